"""Replicas of the operator as far as leadership goes, on one Lease and on simulated time."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from modelfetch.controller.leadership import Leadership, LeadershipLost, Place
from modelfetch.kube.client import Kube
from tests.unit.controller.leadership.lease_server import LeaseServer, Line
from tests.unit.controller.stepped import SteppedLoop

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Replica:
    """One operator as far as leadership goes; `offset_s` is how far its clocks are from the others'."""

    def __init__(self, name: str, line: Line, offset_s: float = 0.0) -> None:
        loop = asyncio.get_running_loop()
        self.line = line
        self.has_checked = False
        self.stop = asyncio.Event()
        self.leadership = Leadership(
            cast(Kube, line),
            Place("modelfetch-system", "modelfetch-operator", name),
            lambda: START + timedelta(seconds=loop.time() + offset_s),
            lambda: loop.time() + offset_s,
        )
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Have it try to lead, and lead until it loses."""
        self._task = asyncio.create_task(self._live())

    async def _live(self) -> None:
        if await self.leadership.win(self.stop):
            with contextlib.suppress(LeadershipLost):
                await self.leadership.keep(self._has_checked)

    def _has_checked(self, _words: str) -> bool:
        return self.has_checked

    def kill(self) -> None:
        """It does nothing any more, and has told nobody."""
        assert self._task is not None
        self._task.cancel()
        self.leadership._renewed = None  # a dead process writes nothing

    async def end(self) -> None:
        """It ends in good order."""
        assert self._task is not None
        self.stop.set()
        self._task.cancel()
        await self.leadership.give_up(self._has_checked)

    @property
    def has_ended(self) -> bool:
        """Whether it lost, as a process that would be started again."""
        return self._task is not None and self._task.done()

    @property
    def may_write(self) -> bool:
        """Whether it would send a write now."""
        return self.leadership.window_s() > 0


def run(case: Callable[[], Awaitable[Any]]) -> Any:
    """Run one case on simulated time."""
    loop = SteppedLoop()
    try:
        return loop.run_until_complete(case())
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


async def until(is_so: Callable[[], bool], within_s: float = 120.0) -> float:
    """Return the simulated seconds that it took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not is_so():
        assert loop.time() - began < within_s, "it did not come to pass"
        await asyncio.sleep(0.1)
    return loop.time() - began


async def leader_and_waiting() -> tuple[LeaseServer, Replica, Replica]:
    """Return a server, the replica that leads and has checked all, and one that has seen that; clocks a day apart."""
    server = LeaseServer()
    first, second = Replica("first", Line(server)), Replica("second", Line(server), offset_s=86_400)
    first.has_checked = True
    first.start()
    await until(lambda: first.leadership.is_held)
    second.start()
    await asyncio.sleep(60)
    assert ("", False) == (first.leadership.asks, second.leadership.is_held)
    return server, first, second


async def restored_without_a_leader() -> tuple[LeaseServer, Replica]:
    """Return a server that was restored when its leader had been killed, and the replica that waited meanwhile."""
    server, first, second = await leader_and_waiting()
    backup = server.back_up()
    await asyncio.sleep(30)
    first.kill()
    server.restore(backup)
    return server, second


async def leading(server: LeaseServer, name: str) -> Replica:
    """Return another replica, once it leads."""
    made = Replica(name, Line(server))
    made.start()
    await until(lambda: made.leadership.is_held)
    return made
