"""The operators of one run, one after the other: whoever is killed by the plan is followed by the next.

Comes in: what starts operators, their flags. Goes out: `Shift`; `kill` is the callback of a Proxy, from its thread.
"""

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path

from tests.cluster.kill_points.operators import Operator, Operators

ENDS_WITHIN_S = 20.0
_RUNS = "the operator runs"


class Shift:
    """At most one operator at a time. Belongs to the event loop on which it is made."""

    def __init__(self, operators: Operators, flags: Sequence[str], logs: Path) -> None:
        self.is_on = False
        """Whether there has to be an operator."""
        self._operators, self._flags, self._logs = operators, list(flags), logs
        self._loop = asyncio.get_running_loop()
        self._felled = asyncio.Event()
        self._is_felled = False
        self._all: list[Operator] = []

    @property
    def _now(self) -> Operator | None:
        return self._all[-1] if self._all else None

    @property
    def is_at_work(self) -> bool:
        """True where there is nobody to start, and who was started takes in events."""
        return not self.is_on or (not self._is_felled and _RUNS in self._log_of_now.read_text(errors="replace"))

    @property
    def _log_of_now(self) -> Path:
        return self._logs / f"{len(self._all)}.log"

    def kill(self) -> None:
        """Afterwards the operator is dead, and the next one is on its way."""
        if self._now is not None:
            self._is_felled = True
            self._now.kill()
            self._loop.call_soon_threadsafe(self._felled.set)

    async def follow(self) -> None:
        """Have every operator that the plan kills followed by another; runs until cancelled."""
        while True:
            await self._felled.wait()
            self._felled.clear()
            if self.is_on:
                await self.begin()

    async def begin(self) -> None:
        """An operator runs from now on."""
        self.end()
        log = self._logs / f"{len(self._all) + 1}.log"
        log.touch()
        self._all.append(await asyncio.to_thread(self._operators.start, self._flags, log))
        self.is_on, self._is_felled = True, False

    def end(self) -> None:
        """There is no operator from now on."""
        self.is_on = False
        if self._now is not None:
            self._now.kill()

    async def stop(self) -> None:
        """There is no operator from now on; it ended as SIGTERM asks, unless the plan has killed it meanwhile."""
        self.is_on = False
        assert self._now is not None
        self._now.signal(signal.SIGTERM)
        assert await asyncio.to_thread(self._now.has_ended, ENDS_WITHIN_S), f"it does not end: {self.said()}"

    def check(self) -> None:
        """Raise AssertionError where the operator has ended by itself."""
        is_gone = self._now is not None and self._now.has_ended()
        assert not (self.is_on and is_gone and not self._is_felled), f"the operator ended by itself: {self.said()}"

    def said(self) -> str:
        """Return what all of them have said."""
        return "".join(log.read_text(errors="replace") for log in sorted(self._logs.iterdir()))

    def close(self) -> None:
        """None of them is left."""
        self.is_on = False
        for operator in self._all:
            operator.close()
