"""A server of aiohttp over TLS on loopback, on a thread and an event loop of its own.

Comes in: what answers requests, and a certificate by an authority whom clients trust. Goes out: its address, for the
time of a block.
"""

import asyncio
import ssl
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from typing import Any, TypeVar

import trustme
from aiohttp import web

Result = TypeVar("Result")
Answering = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
HOST = "127.0.0.1"
_ENDS_WITHIN_S = 0.1
"""Seconds that an open watch has to end by itself, when the server ends."""


class Certificate:
    """What a server shows of itself; another one may take its place while it serves."""

    def __init__(self, authority: trustme.CA) -> None:
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.exchange(authority)

    def exchange(self, authority: trustme.CA) -> None:
        """Whoever connects from now on sees one by this authority; connections that are open stay."""
        authority.issue_cert(HOST).configure_cert(self.context)

    def shown(self) -> int:
        """Return how many connections were made with it, of all it was."""
        return self.context.session_stats()["accept_good"]


@contextmanager
def serving(
    answer: Answering, certificate: Certificate, around: AbstractAsyncContextManager[None] | None = None
) -> Iterator[str]:
    """Yield `https://127.0.0.1:port`, served inside `around`; afterwards nothing is left of the server."""
    stack = AsyncExitStack()

    async def start() -> str:
        if around is not None:
            await stack.enter_async_context(around)
        server = web.Server(answer, handler_cancellation=True)
        listening = await asyncio.get_running_loop().create_server(server, HOST, 0, ssl=certificate.context)
        stack.push_async_callback(stop, server)
        stack.callback(listening.close)
        return f"https://{HOST}:{listening.sockets[0].getsockname()[1]}"

    with _event_loop() as run:
        try:
            yield run(start())
        finally:
            run(stack.aclose())


async def stop(server: web.Server) -> None:
    """End all connections of a server that takes no new ones; afterwards none is open, whatever its clients do."""
    for connection in server.connections:
        if connection.transport is not None:
            connection.transport.abort()  # to say goodbye by TLS would wait for the client
    await server.shutdown(_ENDS_WITHIN_S)
    await _rounds()


@contextmanager
def _event_loop() -> Iterator[Callable[[Coroutine[Any, Any, Result]], Result]]:
    """Yield what runs a coroutine on an event loop of another thread and returns its result."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="served")
    thread.start()
    try:
        yield lambda work: asyncio.run_coroutine_threadsafe(work, loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(_settle(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


async def _settle() -> None:
    """Nothing is left on the loop: connections in the middle of TLS's handshake are none of the server's, but tasks."""
    await _rounds()  # a task that has not begun would leave its socket open
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await _rounds()


async def _rounds() -> None:
    """Let begin what was accepted, and close what was broken off: that is done in the next rounds of the loop."""
    for _ in range(5):
        await asyncio.sleep(0)
