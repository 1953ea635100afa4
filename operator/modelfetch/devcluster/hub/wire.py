"""HTTP/1.1 on one connection: reads requests, sends replies at their pace, breaks them where they say so.

In: a connected socket (TLS or not) and a `Reply`. Out: bytes, cuts, stalls. Before: listener.py owns the socket's life;
faults.py decided what is to go wrong. Closing the socket from another thread ends every wait here.
"""

import email.utils
import http
import os
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from modelfetch.devcluster.hub.message import Reply

HEADER_LIMIT_BYTES = 256 * 1024
BODY_LIMIT_BYTES = 8 * 1024 * 1024
_PIECE_BYTES = 1024 * 1024
_TICKS_PER_S = 20


class Gone(Exception):
    """The connection is over: the peer left, the reply broke it, or the hub stops."""


@dataclass(frozen=True)
class Head:
    """A request line and its headers (lower-case names), and the body."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def keeps_alive(self) -> bool:
        """Whether the client lets the connection live on."""
        return self.headers.get("connection", "").lower() != "close"


class Connection:
    """One connection of one client; used by one thread."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = b""

    def read(self) -> Head | None:
        """Return the next request, None when the client closed between requests. Raises Gone on anything malformed."""
        head = self._read_head()
        if head is None:
            return None
        lines = head.decode("latin-1").split("\r\n")
        parts = lines[0].split(" ")
        if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
            raise Gone("malformed request line")
        fields = (line.partition(":") for line in lines[1:] if line)
        headers = {name.strip().lower(): value.strip() for name, _, value in fields}
        return Head(parts[0], parts[1], headers, self._read_body(headers))

    def send(self, method: str, reply: Reply, count: Callable[[int], None], rate: float | None) -> bool:
        """Send `reply`; return whether the connection can carry another request. Raises Gone when it broke.

        `count` is called with the number of body bytes about to be sent (negative to correct). `rate` is the hub's own
        limit in bytes per second.
        """
        body_bytes = reply.stop - reply.start if method != "HEAD" and reply.status not in (204, 304) else 0
        keep = reply.chunked or reply.declared is not None or reply.status in (204, 304) or method == "HEAD"
        if body_bytes and not reply.chunked and reply.declared != body_bytes:
            keep = False
        self._send_head(reply, keep)
        if body_bytes or (reply.chunked and method != "HEAD"):
            self._send_body(reply, body_bytes, count, rate)
        return keep

    def abort(self, reset: bool) -> None:
        """Close the connection at once, by RST when `reset`, and raise Gone."""
        if reset:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._sock.close()
        raise Gone("broken on purpose")

    def hold(self, seconds: float | None) -> None:
        """Send nothing for `seconds`, for ever when None. Raises Gone when the other side leaves or the hub stops."""
        deadline = None if seconds is None else time.monotonic() + seconds
        poller = select.poll()
        # Only the hang-up is watched: a byte of a next request must not end the wait.
        poller.register(self._sock, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
        left_ms = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        if poller.poll(left_ms):
            raise Gone("left while waiting")

    def _read_head(self) -> bytes | None:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > HEADER_LIMIT_BYTES:
                raise Gone("header too large")
            more = self._receive()
            if not more:
                return None
            self._buffer += more
        head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
        return head

    def _read_body(self, headers: Mapping[str, str]) -> bytes:
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > BODY_LIMIT_BYTES or "transfer-encoding" in headers:
            raise Gone("a body needs a Content-Length of at most 8 MiB")
        while len(self._buffer) < int(length):
            more = self._receive()
            if not more:
                raise Gone("body ended early")
            self._buffer += more
        body, self._buffer = self._buffer[: int(length)], self._buffer[int(length) :]
        return body

    def _receive(self) -> bytes:
        try:
            return self._sock.recv(64 * 1024)
        except OSError as error:
            raise Gone(str(error)) from error

    def _send_head(self, reply: Reply, keep: bool) -> None:
        lines = [f"HTTP/1.1 {reply.status} {_phrase(reply.status)}", f"Date: {email.utils.formatdate(usegmt=True)}"]
        lines += [f"{name}: {' '.join(value.splitlines())}" for name, value in reply.headers]
        if reply.chunked:
            lines.append("Transfer-Encoding: chunked")
        elif reply.declared is not None:
            lines.append(f"Content-Length: {reply.declared}")
        lines.append("Connection: " + ("keep-alive" if keep else "close"))
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        if reply.header_bytes is not None:
            self._write(head[: reply.header_bytes])
            self.abort(reply.reset)
        self._write(head)

    def _send_body(self, reply: Reply, body_bytes: int, count: Callable[[int], None], rate: float | None) -> None:
        for begin, end in _stretches(reply, body_bytes):
            if begin == reply.stall_after:
                self.hold(reply.stall_s)
            if begin == reply.cut_after:
                self.abort(reply.reset)
            limits = [limit for limit in (rate, reply.rate if begin >= reply.rate_after else None) if limit]
            self._send_stretch(reply, begin, end, count, min(limits, default=None))
        if reply.chunked and reply.end_chunks:
            self._write(b"0\r\n\r\n")
        elif reply.chunked:
            self.abort(reply.reset)

    def _send_stretch(
        self, reply: Reply, begin: int, end: int, count: Callable[[int], None], rate: float | None
    ) -> None:
        started, first = time.monotonic(), begin
        piece_bytes = _PIECE_BYTES if rate is None else max(1, min(_PIECE_BYTES, int(rate / _TICKS_PER_S)))
        while begin < end:
            size = min(piece_bytes, end - begin)
            self._send_piece(reply, reply.start + begin, size, count)
            begin += size
            if rate is not None:
                self.hold(max(0.0, started + (begin - first) / rate - time.monotonic()))

    def _send_piece(self, reply: Reply, start: int, size: int, count: Callable[[int], None]) -> None:
        # Counted before it is sent, so that a client that has a byte never finds it missing in the journal.
        count(size)
        sent = 0
        try:
            for step in self._steps(reply, start, size):
                sent += step
        except OSError as error:
            raise Gone(str(error)) from error
        finally:
            count(sent - size)

    def _steps(self, reply: Reply, start: int, size: int) -> Iterator[int]:
        """Send the piece; yield the number of body bytes the network took each time."""
        path = reply.content.path
        if path is not None and not (reply.content.patches or reply.chunked or isinstance(self._sock, ssl.SSLSocket)):
            with path.open("rb") as file:
                done = 0
                while done < size:
                    done += (step := os.sendfile(self._sock.fileno(), file.fileno(), start + done, size - done))
                    yield step
            return
        data = reply.content.read(start, start + size)
        if reply.chunked:
            self._sock.sendall(b"%x\r\n%b\r\n" % (size, data))
            yield size
            return
        rest = memoryview(data)
        while rest:
            step = self._sock.send(rest)
            rest = rest[step:]
            yield step

    def _write(self, data: bytes) -> None:
        try:
            self._sock.sendall(data)
        except OSError as error:
            raise Gone(str(error)) from error


def _stretches(reply: Reply, body_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield [begin, end) pieces of the body, split where a cut, a stall or a slower pace begins."""
    marks = (reply.cut_after, reply.stall_after, reply.rate_after)
    stops = sorted({0, body_bytes, *(mark for mark in marks if mark is not None and mark < body_bytes)})
    yield from zip(stops, [*stops[1:], body_bytes], strict=True)


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
