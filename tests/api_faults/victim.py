"""The client that may be killed: by a callback of the test, and so that nothing it sends meanwhile gets through.

Comes in: the callback. Goes out: `Victim`, for one event loop.
"""

import asyncio
from collections.abc import Callable

READ_WITHIN_S = 0.05
"""Seconds in which a client on loopback reads its answer, before it is killed."""


class Victim:
    """Alive, or being killed; whoever comes after the callback has returned is another client."""

    def __init__(self, kill: Callable[[], object]) -> None:
        self._callback = kill
        self._calm = asyncio.Event()
        self._calm.set()
        self._killing: asyncio.Task[None] | None = None

    async def spared(self) -> bool:
        """Return at once True; while the client is being killed, wait until it is dead and return False."""
        spared = self._calm.is_set()
        await self._calm.wait()
        return spared

    async def kill(self, after_s: float = 0.0) -> None:
        """Run the callback after `after_s`; from now on until it has returned nothing of the client gets through."""
        self._calm.clear()
        # A task of its own: that the client's connections break ends the handlers of its requests, ours among them.
        self._killing = asyncio.create_task(self._kill(after_s))
        await asyncio.shield(self._killing)

    async def _kill(self, after_s: float) -> None:
        try:
            await asyncio.sleep(after_s)
            await asyncio.to_thread(self._callback)
        finally:
            self._calm.set()
