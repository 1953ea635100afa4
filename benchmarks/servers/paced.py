"""A small server of files whose speed is limited, as a program: `python -m benchmarks.servers.paced --help`.

In: a root, a limit for each connection (`SO_MAX_PACING_RATE`: the kernel paces) or one that all connections share (a
token bucket). Out: files over HTTP/1.1 with ranges, and a line of access log for each request. Without a limit it
stands in for nginx where that is missing.
"""

import argparse
import os
import re
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.files import COMMIT

SO_MAX_PACING_RATE = 47
_CHUNK = 128 * 1024
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass
class Bucket:
    """Hands out bytes at `rate` bytes a second to all who ask, in the order they ask."""

    rate: float
    _free_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, count: int) -> None:
        """Return when `count` bytes may be sent."""
        with self._lock:
            begin = max(self._free_at, time.monotonic() - _CHUNK / self.rate)
            self._free_at = begin + count / self.rate
            wait = self._free_at - time.monotonic()
        if wait > 0:
            time.sleep(wait)


@dataclass(frozen=True)
class Server:
    """What all connections share."""

    root: Path
    log: int
    per_connection: int | None
    bucket: Bucket | None

    def note(self, connection: int, begin: float, status: int, sent: int, request: tuple[str, str]) -> None:
        """Write a line of the access log."""
        end = time.time()
        line = f"{connection} {end:.3f} {end - begin:.3f} {status} {sent} {request[0]} {request[1]}\n"
        os.write(self.log, line.encode())

    def serve(self, peer: socket.socket, connection: int) -> None:
        """Answer the requests of one connection until the client leaves."""
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.per_connection:
            peer.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, self.per_connection)
        with peer, peer.makefile("rb") as lines:
            try:
                while request := _read_request(lines):
                    self._answer(peer, connection, request)
            except OSError:
                return

    def _answer(self, peer: socket.socket, connection: int, request: dict[str, str]) -> None:
        begin, method, target = time.time(), request["method"], request["target"].partition("?")[0]
        path = self.root / (target.strip("/") + (".json" if target.startswith("/api/") else ""))
        if not path.is_file():
            peer.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            return self.note(connection, begin, 404, 0, (method, target))
        facts = path.stat()
        etag = f'"{facts.st_size:x}-{facts.st_mtime_ns:x}"'
        start, end = _asked(request, facts.st_size, etag)
        status = 206 if end - start < facts.st_size or "range" in request else 200
        peer.sendall(_head(status, start, end, facts.st_size, etag))
        sent = 0 if method == "HEAD" else self._send(peer, path, start, end)
        return self.note(connection, begin, status, sent, (method, target))

    def _send(self, peer: socket.socket, path: Path, start: int, end: int) -> int:
        offset, step = start, _CHUNK if self.bucket else 1 << 30
        with path.open("rb") as stream:
            while offset < end:
                count = min(step, end - offset)
                if self.bucket:
                    self.bucket.take(count)
                try:
                    offset += os.sendfile(peer.fileno(), stream.fileno(), offset, count)
                except OSError:
                    # The client has left: what it took is logged, and the next read ends the connection.
                    break
        return offset - start


def _read_request(lines: object) -> dict[str, str] | None:
    first = lines.readline().decode("latin-1").split()  # type: ignore[attr-defined]
    if len(first) != 3:
        return None
    request = {"method": first[0], "target": first[1]}
    while (line := lines.readline().decode("latin-1").strip()) != "":  # type: ignore[attr-defined]
        name, _, value = line.partition(":")
        request[name.lower()] = value.strip()
    return request


def _asked(request: dict[str, str], size: int, etag: str) -> tuple[int, int]:
    match = _RANGE.fullmatch(request.get("range", ""))
    if match is None or request.get("if-range", etag) != etag or int(match[1]) >= size:
        request.pop("range", None)
        return 0, size
    return int(match[1]), min(int(match[2] or size - 1) + 1, size)


def _head(status: int, start: int, end: int, size: int, etag: str) -> bytes:
    lines = [
        f"HTTP/1.1 {status} {'OK' if status == 200 else 'Partial Content'}",
        f"Content-Length: {end - start}",
        "Accept-Ranges: bytes",
        f"ETag: {etag}",
        f"X-Repo-Commit: {COMMIT}",
        *([f"Content-Range: bytes {start}-{end - 1}/{size}"] if status == 206 else []),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.servers.paced", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="the folder to serve")
    parser.add_argument("--log", type=Path, required=True, help="the access log to append to")
    parser.add_argument("--port", type=int, required=True, help="the port of 127.0.0.1 to listen on")
    parser.add_argument("--per-connection", type=int, metavar="BYTES", help="bytes a second for each connection")
    parser.add_argument("--shared", type=float, metavar="BYTES", help="bytes a second for all connections together")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    log = os.open(options.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    bucket = Bucket(options.shared) if options.shared else None
    server = Server(options.root, log, options.per_connection, bucket)
    with socket.create_server(("127.0.0.1", options.port), backlog=256) as listener:
        number = 0
        while True:
            peer, _ = listener.accept()
            number += 1
            threading.Thread(target=server.serve, args=(peer, number), daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
