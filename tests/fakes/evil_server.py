"""A scripted HTTP(S) server on loopback that does what bad servers do.

In: one function from a `Request` to an `Answer` (or to raw bytes), asked for each request. Out: bytes on the wire,
exactly as scripted, and the list of requests that came. It speaks sockets, so that it can lie about everything.
"""

import contextlib
import selectors
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

DATE = "Sat, 01 Jan 2022 00:00:00 GMT"
LOOK_S = 0.02


@dataclass(frozen=True)
class Request:
    """What a client sent; header names are lower case. `number` counts from 0 over the server's life."""

    number: int
    connection: int
    method: str
    target: str
    headers: dict[str, str]

    @property
    def range(self) -> tuple[int, int | None] | None:
        """The asked range as (first, last), last None for an open end."""
        value = self.headers.get("range")
        if value is None:
            return None
        first, _, last = value.removeprefix("bytes=").partition("-")
        return int(first), int(last) if last else None


@dataclass(frozen=True)
class Answer:
    """An answer, piece by piece.

    `cut_at`: close after that many bytes of the body. `stall_at`: send nothing more after that many, until the client
    goes. `trickle`: that many bytes a piece after `stall_at`, one piece each time the client was looked for. `length`:
    the Content-Length to claim, None for none. `chunked`: frame the body in chunks of 1 KiB. `held`: called each time
    the client was looked for in a stall.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    length: int | None = -1
    cut_at: int | None = None
    stall_at: int | None = None
    trickle: int = 0
    chunked: bool = False
    reset: bool = False
    keep: bool = True
    raw_head: bytes | None = None
    held: Callable[[], None] | None = None

    def with_headers(self, **headers: str) -> "Answer":
        """Return this answer with `headers` in place of its own of these names; underscores stand for dashes."""
        named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        kept = tuple((name, value) for name, value in self.headers if name.lower() not in named)
        return replace(self, headers=kept + tuple(named.items()))

    def without(self, *names: str) -> "Answer":
        """Return this answer without the headers of `names`."""
        lowered = {name.lower() for name in names}
        return replace(self, headers=tuple(pair for pair in self.headers if pair[0].lower() not in lowered))

    def head(self) -> bytes:
        """The status line and headers as they go over the wire."""
        if self.raw_head is not None:
            return self.raw_head
        headers = list(self.headers)
        length = len(self.body) if self.length == -1 else self.length
        if self.chunked:
            headers.append(("Transfer-Encoding", "chunked"))
        elif length is not None:
            headers.append(("Content-Length", str(length)))
        lines = [f"HTTP/1.1 {self.status} Scripted", *(f"{name}: {value}" for name, value in headers)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


Script = Callable[[Request], Answer]


def file_answer(request: Request, content: bytes, etag: str | None = '"v1"', *, ranges: bool = True) -> Answer:
    """Return what a good server answers for a file: ranges, If-Range, strong ETag."""
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/octet-stream"), ("Date", DATE))
    if etag is not None:
        headers += (("ETag", etag),)
    if ranges:
        headers += (("Accept-Ranges", "bytes"),)
    asked = request.range
    condition = request.headers.get("if-range")
    if not ranges or asked is None or (condition is not None and condition != etag):
        return Answer(200, headers, content)
    first, last = asked[0], len(content) - 1 if asked[1] is None else min(asked[1], len(content) - 1)
    if first >= len(content):
        return Answer(416, (*headers, ("Content-Range", f"bytes */{len(content)}")))
    span = ("Content-Range", f"bytes {first}-{last}/{len(content)}")
    return Answer(206, (*headers, span), content[first : last + 1])


def serve_file(content: bytes, etag: str | None = '"v1"', *, ranges: bool = True) -> Script:
    """Return the script of a server that has one file and no ill will."""
    return lambda request: file_answer(request, content, etag, ranges=ranges)


def in_turn(*scripts: Script) -> Script:
    """Return a script that uses one of `scripts` for each request; the last one for all that follow."""
    return lambda request: scripts[min(request.number, len(scripts) - 1)](request)


@dataclass
class EvilServer:
    """A running server; `requests` holds what came, in order, `connections` how often somebody connected."""

    script: Script
    tls: ssl.SSLContext | None = None
    host: str = "127.0.0.1"
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    bytes_sent: int = 0

    def __post_init__(self) -> None:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listener = socket.create_server((self.host, self.port), family=family, backlog=64)
        self.port = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def scheme(self) -> str:
        """`https` with TLS, else `http`."""
        return "https" if self.tls else "http"

    def url(self, target: str = "/file", host: str | None = None) -> str:
        """Return the address of `target` on this server."""
        name = host or self.host
        return f"{self.scheme}://{f'[{name}]' if ':' in name else name}:{self.port}{target}"

    def targets(self) -> list[str]:
        """Return what was asked for, in order."""
        return [request.target for request in self.requests]

    def start(self) -> None:
        """Answer from now on."""
        self._begin(self._accept)

    def stop(self) -> None:
        """Every connection is closed, every thread has ended."""
        self._closing.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _begin(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=work, args=args, name="evil-server")
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        self._listener.settimeout(LOOK_S)
        while not self._closing.is_set():
            try:
                connection, _peer = self._listener.accept()
            except TimeoutError:
                continue
            self.connections += 1
            self._begin(self._serve, connection, self.connections)

    def _serve(self, plain: socket.socket, number: int) -> None:
        # A client that goes away mid-answer is what half of the tests are about.
        with contextlib.suppress(OSError), plain:
            plain.settimeout(10)
            connection = self.tls.wrap_socket(plain, server_side=True) if self.tls else plain
            with connection:
                self._converse(connection, number)

    def _converse(self, connection: socket.socket, number: int) -> None:
        while (request := self._read(connection, number)) is not None:
            if not self._send(connection, self.script(request), request):
                return

    def _read(self, connection: socket.socket, number: int) -> Request | None:
        received = b""
        while b"\r\n\r\n" not in received:
            if not self._is_readable(connection):
                return None
            more = connection.recv(65536)
            if not more:
                return None
            received += more
        lines = received.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        method, target, _version = lines[0].split(" ", 2)
        pairs = (line.partition(":") for line in lines[1:])
        headers = {name.strip().lower(): value.strip() for name, _colon, value in pairs}
        with self._lock:
            request = Request(len(self.requests), number, method, target, headers)
            self.requests.append(request)
        return request

    def _is_readable(self, connection: socket.socket) -> bool:
        if isinstance(connection, ssl.SSLSocket) and connection.pending():
            return True
        with selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_READ)
            while not self._closing.is_set():
                if selector.select(LOOK_S):
                    return True
        return False

    def _send(self, connection: socket.socket, answer: Answer, request: Request) -> bool:
        """Send `answer`; return whether the connection stays open."""
        connection.sendall(answer.head())
        body = b"" if request.method == "HEAD" else answer.body
        end = min((at for at in (answer.cut_at, answer.stall_at) if at is not None), default=len(body))
        self._send_body(connection, body[:end], answer.chunked)
        if answer.stall_at is not None:
            self._stall(connection, body[end:], answer)
            return False
        if answer.cut_at is not None:
            if answer.reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            return False
        if answer.chunked:
            connection.sendall(b"0\r\n\r\n")
        return answer.keep and (answer.length is not None or answer.chunked)

    def _send_body(self, connection: socket.socket, body: bytes, chunked: bool) -> None:
        step = 1024 if chunked else 65536
        for start in range(0, len(body), step):
            piece = body[start : start + step]
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            with self._lock:
                self.bytes_sent += len(piece)

    def _stall(self, connection: socket.socket, rest: bytes, answer: Answer) -> None:
        connection.settimeout(LOOK_S)
        while not self._closing.is_set():
            if answer.trickle and rest:
                connection.sendall(rest[: answer.trickle])
                rest = rest[answer.trickle :]
            if answer.held is not None:
                answer.held()
            try:
                if not connection.recv(1024):
                    return
            except TimeoutError:
                continue


@contextlib.contextmanager
def evil_server(
    script: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
) -> Iterator[EvilServer]:
    """Run a server for the block, on a free port unless told; afterwards nothing of it is left."""
    server = EvilServer(script, tls, host, port)
    server.start()
    try:
        yield server
    finally:
        server.stop()
