"""A request to end that several tasks watch: it comes once, and its deadline can only come nearer."""

import asyncio

from modelfetch.devcluster.node.status import Verdict


class Stop:
    """`verdict` is what the first request that had one says of the Pod; None for an ordinary deletion."""

    def __init__(self) -> None:
        self._requested, self._nearer = asyncio.Event(), asyncio.Event()
        self._deadline = float("inf")
        self.verdict: Verdict | None = None

    def is_requested(self) -> bool:
        """True from the first request on."""
        return self._requested.is_set()

    def request(self, grace_s: float, verdict: Verdict | None = None) -> None:
        """Ask for the end within `grace_s` seconds; a later request may only hasten it."""
        if verdict is not None and not self.is_requested():
            self.verdict = verdict
        deadline = asyncio.get_running_loop().time() + grace_s
        if deadline < self._deadline:
            self._deadline = deadline
            self._nearer.set()
        self._requested.set()

    async def wait(self) -> None:
        """Return once an end is asked for."""
        await self._requested.wait()

    async def expired(self) -> None:
        """Return once the grace of the most urgent request is over."""
        await self.wait()
        loop = asyncio.get_running_loop()
        while (left := self._deadline - loop.time()) > 0:
            self._nearer.clear()
            await pause(self._nearer, left)

    async def pause(self, seconds: float) -> bool:
        """Wait that long, or shorter when an end is asked for; return whether it is."""
        await pause(self._requested, seconds)
        return self.is_requested()


async def pause(event: asyncio.Event, seconds: float) -> None:
    """Return when the event is set or the seconds are over."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        # The time was up; nothing has happened.
        return
