"""An island: a process whose network reaches nobody, where every address of the world, IPv4 and IPv6, is its own.

In: a `World` (names, web servers, the command to run), as JSON. Out: a `Sighting`: how the command ended, every TCP and
UDP destination that a packet was sent to, and the requests that the servers saw. So a test may hand out any address,
and sees a single packet to it. Needs user namespaces, which some machines forbid; nothing of them needs root.
"""

import ctypes
import errno
import fcntl
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from tests.fakes.evil_server import Answer, EvilServer, Request, evil_server

ROOT = Path(__file__).parents[2]
NAME_SERVER = "192.0.2.53"
FORBIDDEN = 77
"""Exit code for a machine that lets nobody have namespaces."""

_NEW_USER, _NEW_NET, _NEW_MOUNTS = 0x10000000, 0x40000000, 0x20000
_SIOCSIFFLAGS, _UP_RUNNING, _MS_BIND = 0x8914, 0x41, 4096
_PROTOCOLS = {6: "tcp", 17: "udp"}
_A, _AAAA = 1, 28


@dataclass(frozen=True)
class Site:
    """A web server on `port` of every address; `pages` maps `host/path` to status, headers and body."""

    port: int
    pages: Mapping[str, tuple[int, Mapping[str, str], str]]
    certificate: str | None = None


@dataclass(frozen=True)
class World:
    """What is on the island. `names` maps a name to its addresses by turns: the n-th question gets the n-th list."""

    argv: list[str]
    cwd: str
    environment: Mapping[str, str]
    names: Mapping[str, list[list[str]]] = field(default_factory=dict)
    sites: tuple[Site, ...] = ()


@dataclass(frozen=True)
class Sighting:
    """What was seen. `packets` are `tcp 1.2.3.4:80`, name servers left out; `asked` the names looked up."""

    exit_code: int
    stdout: str
    stderr: str
    packets: list[str]
    asked: list[str]
    requests: list[dict[str, Any]]


def visit(world: World) -> Sighting | None:
    """Return what was seen on an island of its own, None where this machine allows none."""
    argv = [sys.executable, "-m", "tests.rows.island"]
    done = subprocess.run(argv, cwd=ROOT, input=json.dumps(asdict(world)), capture_output=True, text=True, check=False)
    if done.returncode == FORBIDDEN:
        return None
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Sighting(**json.loads(done.stdout))


def main() -> None:
    """Read a world, run its command there, write what was seen."""
    given = json.load(sys.stdin)
    world = World(**{**given, "sites": tuple(Site(**site) for site in given["sites"])})
    try:
        leave_the_world()
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(FORBIDDEN)
    own_every_address()
    with ExitStack() as stack:
        ears = stack.enter_context(listening())
        resolver = stack.enter_context(name_server(world.names))
        servers = [stack.enter_context(site_server(site)) for site in world.sites]
        done = subprocess.run(
            world.argv, cwd=world.cwd, env=dict(world.environment), capture_output=True, text=True, check=False
        )
        requests = [
            {"host": request.headers.get("host"), "target": request.target, "token": "authorization" in request.headers}
            for server in servers
            for request in server.requests
        ]
        seen = Sighting(done.returncode, done.stdout, done.stderr, heard(ears), resolver.asked, requests)
    sys.stdout.write(json.dumps(asdict(seen)))


def leave_the_world() -> None:
    """This process has a network, mounts and a name of its own; raises OSError where that is forbidden."""
    libc, uid, gid = ctypes.CDLL(None, use_errno=True), os.getuid(), os.getgid()
    if libc.unshare(_NEW_USER | _NEW_NET | _NEW_MOUNTS):
        raise OSError(ctypes.get_errno(), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (
            ("resolv.conf", f"nameserver {NAME_SERVER}\noptions timeout:2 attempts:1\n"),
            ("nsswitch.conf", "hosts: files dns\n"),
            ("hosts", "127.0.0.1 localhost\n::1 localhost\n"),
        ):
            (Path(folder) / name).write_text(text)
            if libc.mount(f"{folder}/{name}".encode(), f"/etc/{name}".encode(), None, _MS_BIND, None):
                raise OSError(ctypes.get_errno(), f"mount /etc/{name}")


def own_every_address() -> None:
    """Loopback is up and takes packets for any address whatsoever."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _UP_RUNNING))
    for family in (socket.AF_INET, socket.AF_INET6):
        _add_local_route(family)


def _add_local_route(family: int) -> None:
    # `ip route add local default dev lo`: rtmsg with table local, scope host, type local; RTA_OIF of interface 1.
    route = struct.pack("BBBBBBBBI", family, 0, 0, 0, 255, 4, 254, 2, 0) + struct.pack("HHI", 8, 4, 1)
    message = struct.pack("IHHII", 16 + len(route), 24, 0x1 | 0x4 | 0x400, 1, 0) + route
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as kernel:
        kernel.sendall(message)
        code = -struct.unpack("i", kernel.recv(4096)[16:20])[0]
    if code and not (family == socket.AF_INET6 and code in (errno.EOPNOTSUPP, errno.EAFNOSUPPORT, errno.EACCES)):
        raise OSError(code, "route")


@contextmanager
def listening() -> Iterator[socket.socket]:
    """Yield a socket that hears every packet that is sent."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as ears:
        ears.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        ears.bind(("lo", 0))
        ears.setblocking(False)
        yield ears


def heard(ears: socket.socket) -> list[str]:
    """Return the destinations of the packets with which somebody began to speak, in order, each once."""
    found: list[str] = []
    while (frame := _next_frame(ears)) is not None:
        destination = _destination(frame)
        if destination is not None and destination != f"udp {NAME_SERVER}:53" and destination not in found:
            found.append(destination)
    return found


def _next_frame(ears: socket.socket) -> bytes | None:
    while True:
        try:
            frame, (_name, _protocol, direction, *_rest) = ears.recvfrom(65536)
        except BlockingIOError:
            return None
        if direction == socket.PACKET_OUTGOING:
            return frame[14:]


def _destination(packet: bytes) -> str | None:
    is_v4 = packet[0] >> 4 == 4
    head = (packet[0] & 15) * 4 if is_v4 else 40
    protocol, address = (packet[9], packet[16:20]) if is_v4 else (packet[6], packet[24:40])
    if protocol not in _PROTOCOLS:
        return None
    source, port = struct.unpack("!HH", packet[head : head + 4])
    is_answer = packet[head + 13] & 0x12 != 0x02 if protocol == 6 else source == 53
    host = ip_address(address)
    return None if is_answer else f"{_PROTOCOLS[protocol]} {f'[{host}]' if host.version == 6 else host}:{port}"


class NameServer:
    """Answers questions of DNS over UDP from a table; `asked` has the names."""

    def __init__(self, names: Mapping[str, list[list[str]]], endpoint: socket.socket) -> None:
        self.asked: list[str] = []
        self._names = names
        self._endpoint = endpoint
        self._turns: dict[tuple[str, int], int] = {}

    def serve(self) -> None:
        """Answer until the socket is closed; an empty datagram ends it."""
        while True:
            question, client = self._endpoint.recvfrom(2048)
            if not question:
                return
            self._endpoint.sendto(self._answer(question), client)

    def _answer(self, question: bytes) -> bytes:
        name, end = _read_name(question)
        (kind,) = struct.unpack("!H", question[end : end + 2])
        self.asked.append(name)
        packed = [ip_address(text).packed for text in self._turn(name, kind)]
        records = b"".join(
            struct.pack("!HHHIH", 0xC00C, kind, 1, 0, len(data)) + data
            for data in packed
            if len(data) == (4 if kind == _A else 16)
        )
        count = sum(len(data) == (4 if kind == _A else 16) for data in packed)
        flags = 0x8180 if name in self._names else 0x8183
        return struct.pack("!HHHHHH", *struct.unpack("!H", question[:2]), flags, 1, count, 0, 0) + (
            question[12 : end + 4] + records
        )

    def _turn(self, name: str, kind: int) -> list[str]:
        lists = self._names.get(name, [[]])
        turn = self._turns.get((name, kind), 0)
        self._turns[name, kind] = turn + 1
        return lists[min(turn, len(lists) - 1)] if kind in (_A, _AAAA) else []


def _read_name(question: bytes) -> tuple[str, int]:
    labels, at = [], 12
    while length := question[at]:
        labels.append(question[at + 1 : at + 1 + length].decode("ascii", "replace").lower())
        at += length + 1
    return ".".join(labels), at + 1


@contextmanager
def name_server(names: Mapping[str, list[list[str]]]) -> Iterator[NameServer]:
    """Run a name server for the block."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
        endpoint.bind((NAME_SERVER, 53))
        server = NameServer(names, endpoint)
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            yield server
        finally:
            endpoint.sendto(b"", (NAME_SERVER, 53))
            thread.join()


@contextmanager
def site_server(site: Site) -> Iterator[EvilServer]:
    """Run a web server for the block."""

    def script(request: Request) -> Answer:
        host = request.headers.get("host", "").partition(":")[0]
        status, headers, body = site.pages.get(f"{host}{request.target}", (404, {}, "no such page"))
        return Answer(status, tuple(headers.items()), body.encode())

    tls = None
    if site.certificate is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(site.certificate)
    with evil_server(script, tls, host="0.0.0.0", port=site.port) as server:
        yield server


if __name__ == "__main__":
    main()
