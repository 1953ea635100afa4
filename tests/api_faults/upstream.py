"""The API server behind the proxy, asked with the credentials of whoever asks the proxy.

Comes in: a Connection, of which only the address and the CA are used; requests. Goes out: the server's answers.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from yarl import URL

from modelfetch.kube.client import WATCH_LINE_LIMIT
from modelfetch.kube.connection import Connection
from tests.api_faults.exchange import Answered, Headers

_HOP = frozenset(("host", "connection", "keep-alive", "transfer-encoding", "content-length", "accept-encoding"))
"""Headers between two neighbours. Nobody is asked to pack: a body is read here, too."""
_GOODBYE_S = 30.0
"""Seconds in which the server answers a goodbye."""
_PATIENT = aiohttp.ClientTimeout(total=None, connect=10)


class Upstream:
    """Use it inside `connected`, on one event loop."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._late: set[asyncio.Future[Answered]] = set()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Hold connections to the server for the time of the block."""
        made: list[socket.socket] = []

        def make(address: aiohttp.AddrInfoType) -> socket.socket:
            made.append(socket.socket(*address[:3]))
            return made[-1]

        connector = aiohttp.TCPConnector(ssl=self._connection.ssl_context(), limit=0, socket_factory=make)
        async with aiohttp.ClientSession(connector=connector, read_bufsize=WATCH_LINE_LIMIT) as self._session:
            yield
        # The session does not wait for a connection whose request was broken off: that says goodbye by TLS first.
        async with asyncio.timeout(_GOODBYE_S):
            while any(one.fileno() >= 0 for one in made):
                await asyncio.sleep(0.01)

    async def regardless(self, seconds: float, asking: Coroutine[None, None, Answered]) -> Answered:
        """Return the answer to what is asked after `seconds`; it is also asked where nobody waits for that any more."""

        async def later() -> Answered:
            await asyncio.sleep(seconds)
            return await asking

        late = asyncio.ensure_future(later())
        self._late.add(late)
        late.add_done_callback(self._late.discard)
        return await asyncio.shield(late)

    @asynccontextmanager
    async def ask(self, request: web.BaseRequest, target: str, body: bytes) -> AsyncIterator[aiohttp.ClientResponse]:
        """Yield the answer to `request`, at `target`; raises aiohttp.ClientError where the server breaks off."""
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in _HOP]
        async with self._session.request(
            request.method,
            URL(self._connection.server + target, encoded=True),
            data=body or None,
            headers=[*headers, ("Accept-Encoding", "identity")],
            skip_auto_headers=("User-Agent", "Content-Type", "Accept"),
            allow_redirects=False,
            timeout=_PATIENT,
        ) as real:
            try:
                yield real
            finally:
                if real.connection is not None and real.connection.transport is not None:
                    real.connection.transport.abort()  # a watch that goes on: nobody reads it any more


def headers_of(real: aiohttp.ClientResponse) -> Headers:
    """Return the headers that go on to the client."""
    return tuple((name, value) for name, value in real.headers.items() if name.lower() not in _HOP)


async def whole(real: aiohttp.ClientResponse) -> Answered:
    """Return an answer, once all of it is here."""
    return Answered(real.status, headers_of(real), await real.read())
