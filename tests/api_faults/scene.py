"""A small API server, the proxy in front of it, and a client that sees exactly what comes over the wire.

Comes in: an authority. Goes out: `Scene`, for the time of a block. The server is real HTTPS and answers at once.
"""

import asyncio
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import trustme
from aiohttp import web

from modelfetch.kube.connection import Connection
from tests.api_faults.proxy import Proxy, proxied
from tests.api_faults.rules import Plan, Rule
from tests.api_faults.serving import Certificate, serving

ANSWERS_WITHIN_S = 10.0
BROKEN = (ConnectionResetError, ssl.SSLEOFError)
"""What a client hears of a reset; OpenSSL does not always say that it was one."""
SILENT_S = 0.2
"""Seconds after which a test takes a watch for silent; what is sent on loopback is there at once."""


@dataclass(frozen=True)
class Asked:
    """A request that reached the server."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """Answers `listed` to reads, the next of `revisions` to writes; a watch gets `events` and stays open."""

    events: list[bytes] = field(default_factory=list)
    listed: dict[str, Any] = field(default_factory=dict)
    revisions: Iterator[int] = field(default_factory=lambda: iter(range(100, 200)))
    ends: bool = False
    requests: list[Asked] = field(default_factory=list)
    told: threading.Event = field(default_factory=threading.Event)
    """Set once a watch has got all events."""
    left: threading.Event = field(default_factory=threading.Event)
    """Set once the client of a watch has gone before its end."""

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append(Asked(request.method, request.raw_path, headers, await request.read()))
        if request.query.get("watch"):
            return await self._watch(request)
        if request.method == "GET":
            return web.json_response(self.listed, headers={"Audit-Id": "a-1"})
        return web.json_response({"metadata": {"resourceVersion": str(next(self.revisions))}}, status=201)

    async def _watch(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for line in self.events:
            await response.write(line)
        self.told.set()
        try:
            await asyncio.sleep(0 if self.ends else ANSWERS_WITHIN_S)
        except asyncio.CancelledError:
            self.left.set()
            raise
        return response


@dataclass(frozen=True)
class Scene:
    """`killed` gets a letter each time the plan kills the client."""

    server: Server
    proxy: Proxy
    way: Connection
    killed: list[str]

    def plan(self, *rules: Rule) -> None:
        """Put rules in force."""
        self.proxy.plan.add(*rules)

    def client(self) -> AbstractContextManager[http.client.HTTPSConnection]:
        """Hold a connection to the proxy."""
        return reaching(self.way)

    def ask(self, method: str, target: str, body: str = "") -> tuple[int, dict[str, Any]]:
        """Return status and body of an answer; raises what the socket does where there is none."""
        with self.client() as connection:
            connection.request(method, target, body or None, {"User-Agent": "test/1", "Authorization": "Bearer t"})
            with connection.getresponse() as answer:
                return answer.status, json.loads(answer.read())

    def watch(self, target: str, lines: int) -> Iterator[bytes]:
        """Yield so many lines of a watch, b"" for its end, then b"silence" where nothing comes for a moment."""
        with self.client() as connection:
            connection.request("GET", target)
            with connection.getresponse() as answer:
                for _ in range(lines):
                    yield answer.readline()
                assert self.server.told.wait(ANSWERS_WITHIN_S)
                connection.sock.settimeout(SILENT_S)
                yield _one_more(answer)


@contextmanager
def reaching(way: Connection) -> Iterator[http.client.HTTPSConnection]:
    """Yield a client that is connected to a server, and that takes no broken connection for one that was closed."""
    host, port = way.server.removeprefix("https://").split(":")
    client = http.client.HTTPSConnection(host, int(port))
    plain = socket.create_connection((host, int(port)), ANSWERS_WITHIN_S)
    client.sock = way.ssl_context().wrap_socket(plain, server_hostname=host, suppress_ragged_eofs=False)
    try:
        yield client
    finally:
        client.close()


def ending(connection: ssl.SSLSocket) -> str:
    """Wait until the other side has ended a connection; return `closed` or `broken`."""
    try:
        while connection.recv(1 << 16):
            pass
    except BROKEN:
        return "broken"
    return "closed"


def _one_more(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.readline()
    except TimeoutError:
        return b"silence"


@contextmanager
def scene(authority: trustme.CA) -> Iterator[Scene]:
    """Yield a scene without rules."""
    server = Server()
    killed: list[str] = []
    with serving(server.answer, Certificate(authority)) as address:
        upstream = Connection(address, ca_pem=authority.cert_pem.bytes().decode())
        proxy = Proxy(upstream, Plan(), lambda: killed.append("x"))
        with proxied(proxy, authority) as way:
            yield Scene(server, proxy, way, killed)
