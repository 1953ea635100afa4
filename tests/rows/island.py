"""The pulls of forbidden addresses, in a network of our own where each of them answers and every packet is seen.

Comes in: the tables of this module. Goes out, as JSON from a process in a namespace: for each pull its outcome and
where packets went. A guard that failed would be answered, and would reach nobody.
"""

import contextlib
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.fakes import namespace
from tests.fakes.evil_server import Answer, Request, evil_server
from tests.rows.ground import CANARY, NAME, Ground

PUBLIC = "93.184.216.34"
HOME = f"http://public.example/to/{NAME}"

INSIDE = (
    "169.254.169.254", "169.254.170.2", "168.63.129.16", "10.0.0.5", "10.96.0.1", "172.16.0.1", "192.168.1.1",
    "100.64.0.1", "169.254.1.1", "fd00:ec2::254", "fd12:3456::1", "fec0::1", "64:ff9b::7f00:1",
)  # fmt: skip

# host as a user writes it: what the refusal must name
FORBIDDEN: dict[int, dict[str, tuple[str, ...]]] = {
    21: {
        "169.254.169.254": ("169.254.169.254", "(metadata)"),
        "[fd00:ec2::254]": ("fd00:ec2::254", "(metadata)"),
        "169.254.170.2": ("169.254.170.2", "(metadata)"),
        "168.63.129.16": ("168.63.129.16", "(metadata)"),
    },
    22: {
        "127.0.0.1": ("127.0.0.1", "(loopback)"),
        "[::1]": ("::1", "(loopback)"),
        "10.0.0.5": ("10.0.0.5", "(private)"),
        "10.96.0.1": ("10.96.0.1", "(private)"),
        "172.16.0.1": ("172.16.0.1", "(private)"),
        "192.168.1.1": ("192.168.1.1", "(private)"),
        "[fd12:3456::1]": ("fd12:3456::1", "(private)"),
        "[fec0::1]": ("fec0::1", "(private)"),
        "100.64.0.1": ("100.64.0.1", "(carrier-grade NAT)"),
        "169.254.1.1": ("169.254.1.1", "(link-local)"),
        "[fe80::1]": ("fe80::1", "(link-local)"),
        "224.0.0.1": ("224.0.0.1", "(multicast)"),
        "[ff02::1]": ("ff02::1", "(multicast)"),
        "0.0.0.0": ("0.0.0.0", "(unspecified)"),
        "[::]": ('"::"', "(unspecified)"),
    },
    23: {
        "kubernetes.default.svc": ('"kubernetes.default.svc"', "inside the cluster"),
        "kubernetes.default": ('"kubernetes.default"', "inside the cluster"),
        "hub.team.svc.cluster.local": ('"hub.team.svc.cluster.local"', "inside the cluster"),
        "localhost": ('"localhost"', "inside the cluster"),
        "bare": ('"bare"', "inside the cluster"),
    },
    24: {
        host: ("an IPv4 address as four decimal numbers", host)
        for host in ("2130706433", "0177.0.0.1", "0x7f.1", "0x7f000001", "127.1", "127.0.0.01")
    },
    25: {"[64:ff9b::7f00:1]": ("64:ff9b::7f00:1", "(loopback)"), "[::7f00:1]": ("::7f00:1", "(reserved)")},
    26: {
        "inside.example": ('"10.0.0.5" for "inside.example"', "(private)"),
        "metadata.example": ('"169.254.169.254" for "metadata.example"', "(metadata)"),
        "inside6.example": ('"fd00:ec2::254" for "inside6.example"', "(metadata)"),
    },
    35: {f"public.example:{port}": ("expected port 80, 443", f"got {port}") for port in (22, 25, 6379, 10250)},
}
CASES = [(row, host) for row, hosts in FORBIDDEN.items() for host in hosts]

_HOSTS = f"""
127.0.0.1 localhost
10.0.0.5 kubernetes.default.svc kubernetes.default hub.team.svc.cluster.local bare inside.example both.example
169.254.169.254 metadata.example
fd00:ec2::254 inside6.example
{PUBLIC} public.example both.example
"""


_PROTOCOLS = {socket.IPPROTO_TCP: "tcp", socket.IPPROTO_UDP: "udp"}


def answer(request: Request) -> Answer:
    """Send to the host that stands in the path; to the file where none does."""
    host = request.target.removeprefix("/to/")
    if host in ("/model", NAME):
        return Answer(body=b"public")
    return Answer(302, (("Location", f"http://{host}/model?token={CANARY}"),))


@contextlib.contextmanager
def listening() -> Iterator[list[str]]:
    """Yield a list that holds, after the block, protocol and address of each packet that was sent within it."""
    seen: list[str] = []
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as tap:
        tap.bind(("lo", 0))
        tap.setblocking(False)
        yield seen
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, (_name, _protocol, kind, *_rest) = tap.recvfrom(256)
                if kind == socket.PACKET_OUTGOING:
                    seen.append(_described(frame[14:]))


def _described(packet: bytes) -> str:
    is_v4 = packet[0] >> 4 == 4
    protocol = _PROTOCOLS.get(packet[9] if is_v4 else packet[6], "other")
    address = packet[16:20] if is_v4 else packet[24:40]
    return f"{protocol} {socket.inet_ntop(socket.AF_INET if is_v4 else socket.AF_INET6, address)}"


def voyage(source: str, *arguments: str) -> dict[str, Any]:
    """Return the outcome of a pull onto new ground, and where packets went."""
    with TemporaryDirectory() as folder, listening() as packets:
        outcome = Ground(Path(folder)).pull(source, "--allow-http", f"--name={NAME}", *arguments)
    return {"outcome": outcome.as_json(), "packets": sorted(set(packets))}


def explore() -> dict[str, dict[str, Any]]:
    """Pull from every forbidden host, directly and by redirect, and from the public one."""
    namespace.add_addresses(PUBLIC, *INSIDE)
    with ExitStack() as stack:
        hosts = Path(stack.enter_context(TemporaryDirectory())) / "hosts"
        hosts.write_text(_HOSTS)
        namespace.use_hosts(hosts)
        for everywhere in ("0.0.0.0", "::1", *(address for address in INSIDE if ":" in address)):
            stack.enter_context(evil_server(answer, host=everywhere, port=80))
        found = {f"direct {host}": voyage(f"http://{host}/model") for _row, host in CASES}
        found |= {f"redirect {host}": voyage(f"http://public.example/to/{host}") for _row, host in CASES}
        found["public"] = voyage(HOME)
        found["both"] = voyage("http://both.example/model")
        found["allowed"] = voyage("http://169.254.169.254/model", "--allow-network=169.254.0.0/16")
        found["allowed 6"] = voyage("http://[fd00:ec2::254]/model", "--allow-network=fd00::/8")
        found["allowed name"] = voyage("http://kubernetes.default.svc/model", "--allow-network=10.0.0.0/8")
    return found
