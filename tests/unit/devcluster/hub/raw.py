"""A client that hides nothing: sends a request on a socket of its own and returns every byte that came back."""

import contextlib
import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

DEADLINE_S = 30.0


@dataclass(frozen=True)
class Heard:
    """What came back: `raw` is the body as on the wire, `reset` whether the connection ended by RST."""

    status: int
    headers: Mapping[str, str]
    raw: bytes
    reset: bool

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


@contextlib.contextmanager
def connected(url: str, tls: ssl.SSLContext | None = None) -> Iterator[socket.socket]:
    """Yield a socket connected to the host of `url`, over TLS when a context is given."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=DEADLINE_S) as plain:
        if tls is None:
            yield plain
            return
        with tls.wrap_socket(plain, server_hostname=parts.hostname) as secured:
            yield secured


def request_bytes(url: str, method: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return the request on the wire, for a connection that ends after it."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    sent = {"Host": parts.netloc, "Connection": "close", "Content-Length": str(len(body)), **headers}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def hear(
    url: str,
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
    body: bytes = b"",
    tls: ssl.SSLContext | None = None,
) -> Heard:
    """Return everything the server sends until it closes; status 0 when no whole header came."""
    received, reset = b"", False
    with connected(url, tls) as sock:
        sock.sendall(request_bytes(url, method, headers or {}, body))
        try:
            while piece := sock.recv(1 << 16):
                received += piece
        except ConnectionResetError:
            reset = True
    return parsed(received, reset)


def parsed(received: bytes, reset: bool = False) -> Heard:
    """Return the answer in `received`."""
    head, end, raw = received.partition(b"\r\n\r\n")
    if not end:
        return Heard(0, {}, head, reset)
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(": ") for line in lines)
    return Heard(int(first.split(" ")[1]), {name.lower(): value for name, _, value in pairs}, raw, reset)


def follow(url: str, headers: Mapping[str, str] | None = None) -> Heard:
    """Return the answer after the redirect of an LFS file, asked with the same headers."""
    return hear(hear(url, method="HEAD").headers["location"], headers)
