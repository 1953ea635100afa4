"""A large file that exists nowhere, served over HTTP, and a count of what was sent of it.

Comes in: a size. Goes out: an address, the SHA-256, the bytes that were given to the network, and, for whoever kills
clients in the middle, a wait for a number of them. Every MiB differs from every other.
"""

import contextlib
import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from benchmarks.servers.paced import Bucket

MIB = 1 << 20
_BLOCK = hashlib.sha256(b"generated").digest() * (MIB // 32)
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_PIECE_BYTES = 256 * 1024
_QUEUE_BYTES = 128 * 1024
"""What the kernel may hold back of an answer: it counts as sent, and has not crossed the network."""


def pieces(start: int, end: int, most: int = MIB) -> Iterator[bytes]:
    """Yield the bytes of [start, end), at most `most` at a time."""
    while start < end:
        number, offset = divmod(start, MIB)
        block = number.to_bytes(8, "little") + _BLOCK[8:]
        piece = block[offset : offset + min(most, end - start)]
        yield piece
        start += len(piece)


def sha256_of(size: int) -> str:
    """Return the SHA-256 (hex) of the file of this size."""
    hasher = hashlib.sha256()
    for piece in pieces(0, size):
        hasher.update(piece)
    return hasher.hexdigest()


class Generated(ThreadingHTTPServer):
    """Serves a file of `size` bytes at every path, at `rate` bytes a second over all connections."""

    daemon_threads = False
    block_on_close = True

    def __init__(self, size: int, rate: float | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.size = size
        self._link = None if rate is None else Bucket(rate)
        self.sent = 0
        self.asked: list[tuple[int, int]] = []
        """Start and end of what each request wanted."""
        self.open = 0
        self._limit: int | None = None
        self.most_open = 0
        """Answers that were being sent at once."""
        self._changed = threading.Condition()

    @property
    def url(self) -> str:
        """Where the file is."""
        return f"http://127.0.0.1:{self.server_address[1]}/model.safetensors"

    def handle_error(self, *_request: object) -> None:
        """Pass over a client that was killed."""

    def count(self, size: int) -> None:
        """So many more bytes were given to the network."""
        with self._changed:
            self.sent += size
            self._changed.notify_all()

    def hold(self, size: int | None) -> None:
        """Send about `size` bytes in all and then nothing more; None: go on."""
        with self._changed:
            self._limit = size
            self._changed.notify_all()

    def wait_for_leave(self) -> None:
        """Return as soon as a piece more may be sent."""
        with self._changed:
            self._changed.wait_for(lambda: self._limit is None or self.sent < self._limit)
        if self._link is not None:
            self._link.take(_PIECE_BYTES)

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """Count an answer while it is being sent."""
        with self._changed:
            self.open += 1
            self.most_open = max(self.most_open, self.open)
        try:
            yield
        finally:
            with self._changed:
                self.open -= 1
                self._changed.notify_all()

    def wait_until_sent(self, size: int, timeout_s: float) -> bool:
        """Return True as soon as `size` bytes were sent in all."""
        with self._changed:
            return self._changed.wait_for(lambda: self.sent >= size, timeout_s)

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Return True as soon as nothing is being sent: the client is gone."""
        with self._changed:
            return self._changed.wait_for(lambda: self.open == 0, timeout_s)


@contextlib.contextmanager
def serving(size: int, rate: float | None = None) -> Iterator[Generated]:
    """Serve the file while the block runs."""
    with Generated(size, rate) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="generated")
        thread.start()
        try:
            yield server
        finally:
            server.hold(None)
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Generated
    protocol_version = "HTTP/1.1"
    timeout = 60

    def setup(self) -> None:
        """Take a connection on."""
        super().setup()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _QUEUE_BYTES)

    def log_message(self, *_arguments: object) -> None:
        """Be quiet."""

    def do_GET(self) -> None:
        """Send the file, or the range that was asked for."""
        asked = _RANGE.fullmatch(self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        end = min(self.server.size, int(asked[2]) + 1) if asked and asked[2] else self.server.size
        self.server.asked.append((start, end))
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{self.server.size}")
        self.send_header("ETag", '"1"')
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(end - start))
        # A client that goes away mid-answer is what this is for.
        with contextlib.suppress(OSError), self.server.answering():
            self.end_headers()
            for piece in pieces(start, end, _PIECE_BYTES):
                self.server.wait_for_leave()
                self.wfile.write(piece)
                self.server.count(len(piece))
            return
        self.close_connection = True
