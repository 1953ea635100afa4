"""A network of our own: a process whose only interface is a loopback with whatever addresses a test gives it.

In: a function's name and module. Out: what it returns, as JSON. Nothing that runs there can reach anybody, so tests may
hand forbidden addresses to the code inside. Needs user namespaces, which some machines forbid.
"""

import ctypes
import fcntl
import importlib
import json
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

_SIOCSIFADDR, _SIOCSIFFLAGS = 0x8916, 0x8914
_IFF_UP_RUNNING = 0x1 | 0x40
_MS_BIND = 4096
_UNSHARE = ["unshare", "--map-root-user", "--net", "--mount"]


def is_possible() -> bool:
    """Return whether this machine lets an ordinary user have namespaces."""
    try:
        return subprocess.run([*_UNSHARE, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def run_inside(module: str, function: str) -> Any:
    """Return what `function` of `module` returns when called in a namespace."""
    command = [*_UNSHARE, sys.executable, "-m", "tests.fakes.namespace", module, function]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def add_addresses(*addresses: str) -> None:
    """Loopback is up and has `addresses` besides its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP_RUNNING))
        for number, address in enumerate(address for address in addresses if ":" not in address):
            endpoint = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))
            fcntl.ioctl(control, _SIOCSIFADDR, struct.pack("16s16s8x", b"lo:%d" % number, endpoint))
    _add_ipv6([address for address in addresses if ":" in address])


def _add_ipv6(addresses: list[str]) -> None:
    if not addresses:
        return
    loopback = socket.if_nametoindex("lo")
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as control:
        for address in addresses:
            packed = socket.inet_pton(socket.AF_INET6, address)
            fcntl.ioctl(control, _SIOCSIFADDR, struct.pack("16sIi", packed, 128, loopback))


def use_hosts(file: Path) -> None:
    """Names resolve by the hosts file `file`, as it is at each moment, in this namespace only."""
    _put_over(Path("/etc/hosts"), file)


def use_resolver(file: Path) -> None:
    """Names that the hosts file lacks are asked of the servers that `file` names, in this namespace only."""
    _put_over(Path("/etc/resolv.conf"), file)


def _put_over(place: Path, file: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(str(file).encode(), str(place.resolve()).encode(), None, _MS_BIND, None):
        raise OSError(ctypes.get_errno(), f"cannot replace {place}")


if __name__ == "__main__":
    found = getattr(importlib.import_module(sys.argv[1]), sys.argv[2])()
    sys.stdout.write(json.dumps(found))
