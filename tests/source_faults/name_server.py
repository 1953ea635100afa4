"""A name server on loopback that does what bad ones do.

In: one function from a name to what shall be answered. Out: UDP answers of one A record or an error, and the names that
were asked for. Questions for anything but an IPv4 address are answered with nothing.
"""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

_A, _IN = 1, 1
_LOOK_S = 0.02
SERVFAIL, NXDOMAIN = 2, 3


@dataclass(frozen=True)
class Reply:
    """An address, or the number of an error, `delay_s` seconds late; neither of them: silence."""

    address: str | None = None
    error: int = 0
    delay_s: float = 0.0


Names = Callable[[str, int], Reply]
"""The reply for a name that is asked for for the n-th time (from 0)."""


def _name_in(packet: bytes) -> str:
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1 : at + 1 + packet[at]].decode("ascii"))
        at += 1 + packet[at]
    return ".".join(labels)


def _answer(packet: bytes, reply: Reply) -> bytes:
    end = packet.index(b"\0", 12) + 5
    wants_address = packet[end - 4 : end] == struct.pack("!HH", _A, _IN)
    records = b""
    if reply.address is not None and wants_address:
        records = struct.pack("!HHHIH", 0xC00C, _A, _IN, 0, 4) + socket.inet_aton(reply.address)
    head = packet[:2] + struct.pack("!HHHHH", 0x8180 | reply.error, 1, int(bool(records)), 0, 0)
    return head + packet[12:end] + records


class _Server:
    def __init__(self, names: Names) -> None:
        self.asked: list[str] = []
        self.closing = threading.Event()
        self._names = names

    def serve(self, endpoint: socket.socket) -> None:
        endpoint.settimeout(_LOOK_S)
        while not self.closing.is_set():
            try:
                packet, peer = endpoint.recvfrom(2048)
            except TimeoutError:
                continue
            reply = self._reply_to(packet)
            if reply.address is None and not reply.error:
                continue
            self.closing.wait(reply.delay_s)
            endpoint.sendto(_answer(packet, reply), peer)

    def _reply_to(self, packet: bytes) -> Reply:
        name = _name_in(packet)
        end = packet.index(b"\0", 12) + 5
        times = self.asked.count(name)
        if packet[end - 4 : end - 2] == struct.pack("!H", _A):
            self.asked.append(name)
            return self._names(name, times)
        return replace(self._names(name, times), delay_s=0.0)


@contextlib.contextmanager
def name_server(names: Names) -> Iterator[list[str]]:
    """Answer on port 53 of loopback for the block; yield the names that are asked for."""
    server = _Server(names)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
        endpoint.bind(("127.0.0.1", 53))
        thread = threading.Thread(target=server.serve, args=(endpoint,), name="name-server")
        thread.start()
        try:
            yield server.asked
        finally:
            server.closing.set()
            thread.join()
