"""The scripted server of evil_server.py over HTTP/2: many requests at once on one connection, which may die under all.

In: the same scripts. Out: frames. `cut_at` of an answer ends its stream with an error after that many bytes; with
`reset` it closes the connection, and with it all other streams. With `keep` False the connection takes no further
streams (GOAWAY), but ends those that it has. `stall_at` holds the one stream. TLS only: clients offer HTTP/2
there.
"""

import contextlib
import selectors
import socket
import ssl
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from tests.fakes.evil_server import LOOK_S, Answer, EvilServer, Request, Script
from tests.fakes.hpack import Decoder, encoded

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
REFUSED_STREAM, INTERNAL_ERROR = 0x7, 0x2
INITIAL_WINDOW = 4
FRAME_BYTES = 16_384


class _Over(Exception):
    """The connection ends."""


@dataclass
class _Stream:
    """An answer on its way; `window` is what the client still takes."""

    answer: Answer
    window: int
    sent: int = 0

    @property
    def end(self) -> int:
        """How much of the body is sent."""
        points = (self.answer.cut_at, self.answer.stall_at)
        return min([len(self.answer.body), *(point for point in points if point is not None)])


class _Connection:
    """One connection, from the client's preface to its end."""

    def __init__(self, server: "Http2Server", connection: ssl.SSLSocket, number: int) -> None:
        self._server = server
        self._connection = connection
        self._number = number
        self._received = b""
        self._decoder = Decoder()
        self._streams: dict[int, _Stream] = {}
        self._window = 65_535
        self._stream_window = 65_535
        self._is_closing = False

    def run(self) -> None:
        """Serve until somebody ends it."""
        self._frame(SETTINGS, 0, 0, b"")
        with contextlib.suppress(_Over):
            while not self._server.is_closing:
                has_sent = self._send_some()
                if self._is_closing and not self._streams:
                    return
                if self._is_readable(0 if has_sent else LOOK_S):
                    self._read()

    def _is_readable(self, wait_s: float) -> bool:
        if self._connection.pending():
            return True
        with selectors.DefaultSelector() as selector:
            selector.register(self._connection, selectors.EVENT_READ)
            return bool(selector.select(wait_s))

    def _read(self) -> None:
        more = self._connection.recv(65_536)
        if not more:
            raise _Over
        self._received += more
        self._received = self._received.removeprefix(PREFACE)
        while len(self._received) >= 9:
            size = int.from_bytes(self._received[:3], "big")
            if len(self._received) < 9 + size:
                return
            kind, flags, stream = struct.unpack("!BBI", self._received[3:9])
            payload, self._received = self._received[9 : 9 + size], self._received[9 + size :]
            self._take(kind, flags, stream & 0x7FFFFFFF, payload)

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == HEADERS:
            self._begin(flags, stream, payload)
        elif kind == SETTINGS and not flags & ACK:
            self._settle(payload)
        elif kind == PING and not flags & ACK:
            self._frame(PING, ACK, 0, payload)
        elif kind == WINDOW_UPDATE:
            self._widen(stream, int.from_bytes(payload, "big"))
        elif kind == RST_STREAM:
            self._streams.pop(stream, None)
        elif kind == GOAWAY:
            raise _Over

    def _settle(self, payload: bytes) -> None:
        for at in range(0, len(payload), 6):
            name, value = struct.unpack("!HI", payload[at : at + 6])
            if name == INITIAL_WINDOW:
                for stream in self._streams.values():
                    stream.window += value - self._stream_window
                self._stream_window = value
        self._frame(SETTINGS, ACK, 0, b"")

    def _widen(self, stream: int, more: int) -> None:
        if stream == 0:
            self._window += more
        elif stream in self._streams:
            self._streams[stream].window += more

    def _begin(self, flags: int, stream: int, payload: bytes) -> None:
        assert flags & END_HEADERS, "a header block in one frame"
        padding = payload[0] if flags & PADDED else 0
        start = bool(flags & PADDED) + 5 * bool(flags & PRIORITY)
        headers = dict(self._decoder.headers(payload[start : len(payload) - padding]))
        request = self._server.note(self._number, headers)
        if self._is_closing:
            self._frame(RST_STREAM, 0, stream, struct.pack("!I", REFUSED_STREAM))
            return
        answer = self._server.script(request)
        if not answer.keep:
            self._is_closing = True
            self._frame(GOAWAY, 0, 0, struct.pack("!II", stream, 0))
        self._send_head(stream, answer)

    def _send_head(self, stream: int, answer: Answer) -> None:
        length = len(answer.body) if answer.length == -1 else answer.length
        sized = [] if length is None else [("content-length", str(length))]
        block = encoded([(":status", str(answer.status)), *answer.headers, *sized])
        is_whole = not answer.body and answer.cut_at is None and answer.stall_at is None
        self._frame(HEADERS, END_HEADERS | (END_STREAM if is_whole else 0), stream, block)
        if not is_whole:
            self._streams[stream] = _Stream(answer, self._stream_window)

    def _send_some(self) -> bool:
        """Send a frame of each stream that may; return whether there was one."""
        has_sent = False
        for number, stream in list(self._streams.items()):
            size = min(stream.end - stream.sent, stream.window, self._window, FRAME_BYTES)
            if size > 0:
                self._send_data(number, stream, size)
                has_sent = True
            elif stream.sent == stream.end:
                has_sent = self._end(number, stream) or has_sent
        return has_sent

    def _send_data(self, number: int, stream: _Stream, size: int) -> None:
        piece = stream.answer.body[stream.sent : stream.sent + size]
        stream.sent += size
        stream.window -= size
        self._window -= size
        is_end = (
            stream.sent == len(stream.answer.body) and stream.answer.cut_at is None and stream.answer.stall_at is None
        )
        self._frame(DATA, END_STREAM if is_end else 0, number, piece)
        self._server.count(size)
        if is_end:
            del self._streams[number]

    def _end(self, number: int, stream: _Stream) -> bool:
        """End or hold a stream that has sent what it is meant to."""
        if stream.answer.stall_at is not None:
            if stream.answer.held is not None:
                stream.answer.held()
            return False
        if stream.answer.reset:
            raise _Over
        self._frame(RST_STREAM, 0, number, struct.pack("!I", INTERNAL_ERROR))
        del self._streams[number]
        return True

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        self._connection.sendall(len(payload).to_bytes(3, "big") + struct.pack("!BBI", kind, flags, stream) + payload)


class Http2Server(EvilServer):
    """A running server that speaks HTTP/2 with clients that offer it, HTTP/1.1 with others."""

    @property
    def is_closing(self) -> bool:
        """Whether it is being stopped."""
        return self._closing.is_set()

    def note(self, connection: int, headers: dict[str, str]) -> Request:
        """Return the request of a stream, written down."""
        with self._lock:
            method, target = headers[":method"], headers[":path"]
            request = Request(len(self.requests), connection, method, target, headers)
            self.requests.append(request)
        return request

    def count(self, size: int) -> None:
        """So many bytes of a body were sent."""
        with self._lock:
            self.bytes_sent += size

    def _converse(self, connection: socket.socket, number: int) -> None:
        if isinstance(connection, ssl.SSLSocket) and connection.selected_alpn_protocol() == "h2":
            _Connection(self, connection, number).run()
        else:
            super()._converse(connection, number)


@contextlib.contextmanager
def http2_server(script: Script, tls: ssl.SSLContext) -> Iterator[Http2Server]:
    """Run a server for the block; afterwards nothing of it is left."""
    tls.set_alpn_protocols(["h2", "http/1.1"])
    server = Http2Server(script, tls)
    server.start()
    try:
        yield server
    finally:
        server.stop()
