"""Who leads, and until when it may write: several replicas on one Lease, on simulated time."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from modelfetch.controller.leadership import LOOK_S, WRITES_S, Leadership, LeadershipLost, Place
from modelfetch.core.lease import LEASE_S, UNLED_S
from modelfetch.kube.client import Kube
from tests.unit.controller.lease_server import LeaseServer, Line, bad_network
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
                await self.leadership.keep(lambda _words: self.has_checked)

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
        await self.leadership.give_up()

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


def test_one_that_is_killed_is_followed_within_twenty_seconds():
    """Nobody told that it ended: its Lease gets old, as seen from the other, whatever the clocks say."""

    async def case() -> float:
        _, first, second = await leader_and_waiting()
        first.kill()
        return await until(lambda: second.leadership.is_held)

    assert LEASE_S - 4 < run(case) <= 20


def test_one_that_ends_in_good_order_is_followed_at_the_next_look():
    """It blanks the Lease, and the other need not wait."""

    async def case() -> float:
        server, first, second = await leader_and_waiting()
        await first.end()
        seconds = await until(lambda: second.leadership.is_held)
        assert server.stored is not None
        assert 1 == server.stored["spec"]["leaseTransitions"]
        return seconds

    assert run(case) <= LOOK_S + 1


def test_a_cluster_restored_from_a_backup_is_led_by_who_has_not_seen_its_future():
    """The Lease is of an earlier version than its holder wrote: it ends, and leaves the Lease to whoever comes."""

    async def case() -> float:
        server, first, second = await leader_and_waiting()
        backup = server.back_up()
        await asyncio.sleep(30)
        server.restore(backup)
        await until(lambda: first.has_ended)
        assert first.leadership.is_held
        await first.end()
        seconds = await until(lambda: second.leadership.is_held)
        assert second.leadership.asks
        return seconds

    assert run(case) <= LOOK_S + 1


def test_a_backup_that_could_not_be_written_down_is_found_again():
    """The API server takes no write just then: the leader goes on, and ends when its Lease says what has to be done."""

    async def case() -> None:
        server, first, second = await leader_and_waiting()
        backup = server.back_up()
        await asyncio.sleep(30)
        server.restore(backup)
        first.line.takes_writes = False
        await asyncio.sleep(WRITES_S / 2)
        assert not first.has_ended
        first.line.takes_writes = True
        await until(lambda: first.has_ended)
        first.kill()
        await until(lambda: second.leadership.is_held)
        assert second.leadership.asks

    run(case)


def test_who_waits_sees_a_backup_too():
    """The leader was gone by then."""

    async def case() -> None:
        _, second = await restored_without_a_leader()
        await until(lambda: second.leadership.is_held)
        assert second.leadership.asks
        second.has_checked = True
        await until(lambda: not second.leadership.asks)
        await asyncio.sleep(60)
        assert second.may_write

    run(case)


def test_a_leader_that_sees_the_lease_of_one_before_it_writes_down_why():
    """Whoever takes that Lease, once it is stale, was not there to see that it is of a backup."""

    async def case() -> None:
        server, first, second = await leader_and_waiting()
        backup = server.back_up()
        await first.end()
        await until(lambda: second.leadership.is_held)
        await asyncio.sleep(30)
        server.restore(backup)
        await until(lambda: second.has_ended)
        assert not second.leadership.is_held
        assert (await leading(server, "third")).leadership.asks

    run(case)


def test_what_one_who_waits_has_seen_another_who_leads_hears():
    """A replica that has come since, and knew no newer Lease, may lead before it."""

    async def case() -> None:
        server, second = await restored_without_a_leader()
        again = await leading(server, "first")  # its container is started again: it need not wait
        await until(lambda: bool(again.leadership.asks))
        words = again.leadership.asks
        await asyncio.sleep(60)
        assert (words, False) == (again.leadership.asks, second.leadership.is_held)
        again.has_checked = True
        await until(lambda: not again.leadership.asks)
        assert again.may_write

    run(case)


def test_one_that_is_stopped_before_it_could_write_down_a_backup():
    """It does so with its last write."""

    async def case() -> None:
        server, first, second = await leader_and_waiting()
        second.kill()
        backup = server.back_up()
        await asyncio.sleep(30)
        server.restore(backup)
        first.line.takes_writes = False
        await asyncio.sleep(6)
        first.line.takes_writes = True
        await first.end()
        assert (await leading(server, "third")).leadership.asks

    run(case)


def test_a_blank_lease_of_a_backup_is_not_taken_at_once():
    """Somebody may have led when etcd was restored, and send writes until it notices."""

    async def case() -> float:
        server, first, second = await leader_and_waiting()
        await first.end()
        backup = server.back_up()
        assert server.stored is not None
        assert "" == server.stored["spec"]["holderIdentity"]
        await until(lambda: second.leadership.is_held)
        third = Replica("third", Line(server))
        third.start()
        await asyncio.sleep(30)
        server.restore(backup)
        seconds = await until(lambda: third.leadership.is_held)
        assert third.leadership.asks
        return seconds

    assert run(case) >= WRITES_S


@pytest.mark.parametrize(("away_s", "must_check"), [(UNLED_S - 60, False), (UNLED_S + 60, True)])
@pytest.mark.parametrize("ends", ["in good order", "killed"])
def test_after_a_long_time_without_a_leader_all_is_checked(away_s, must_check, ends):
    """The Lease may be of a backup: nobody is left who knew a newer one."""

    async def case() -> None:
        server = LeaseServer()
        first, second = Replica("first", Line(server)), Replica("second", Line(server))
        first.start()
        await until(lambda: first.leadership.is_held)
        first.has_checked = True
        await asyncio.sleep(60)
        if ends == "killed":
            first.kill()
        else:
            await first.end()
        await asyncio.sleep(away_s)
        second.start()
        await until(lambda: second.leadership.is_held)
        assert must_check is bool(second.leadership.asks)

    run(case)


def test_what_has_to_be_checked_is_so_until_it_was():
    """One that ends before leaves it to the next; a word of somebody else's on the Lease stays."""

    async def case() -> None:
        server = LeaseServer()
        first, second, third = (Replica(name, Line(server)) for name in ("first", "second", "third"))
        first.start()
        await until(lambda: first.leadership.is_held)
        assert server.stored is not None
        server.stored["metadata"]["annotations"]["team"] = "ml"
        server.replace(server.find())
        await asyncio.sleep(60)
        await first.end()
        second.start()
        await until(lambda: second.leadership.is_held)
        assert second.leadership.asks
        second.has_checked = True
        await until(lambda: not second.leadership.asks)
        second.kill()
        third.start()
        await until(lambda: third.leadership.is_held)
        assert not third.leadership.asks
        assert {"team": "ml"} == server.stored["metadata"]["annotations"]

    run(case)


def test_one_that_is_started_again_under_its_name_leads_at_once():
    """A container that crashed comes back in the same Pod: nobody else has that name."""

    async def case() -> float:
        server, first, _ = await leader_and_waiting()
        first.kill()
        again = Replica("first", Line(server))
        again.start()
        return await until(lambda: again.leadership.is_held)

    assert run(case) <= 1


def test_one_that_is_cut_off_stops_writing_before_another_begins():
    """It cannot know whether the others still see it: WRITES_S after its last renewal it sends nothing more."""

    async def case() -> None:
        _, first, second = await leader_and_waiting()
        first.line.is_cut = True
        silent_s = await until(lambda: not first.may_write)
        assert silent_s <= WRITES_S
        assert not second.leadership.is_held
        await until(lambda: second.leadership.is_held)
        await asyncio.sleep(30)
        assert not first.leadership.is_held

    run(case)


def test_a_short_outage_changes_nothing():
    """Two renewals that fail are made up for by the third."""

    async def case() -> None:
        server, first, _ = await leader_and_waiting()
        first.line.is_cut = True
        await asyncio.sleep(WRITES_S - 4)
        first.line.is_cut = False
        await asyncio.sleep(60)
        assert first.may_write
        assert ["first"] == server.writers

    run(case)


def test_a_foreign_label_on_the_lease_changes_nothing():
    """The version changed under the leader, the holder did not; the label stays."""

    async def case() -> None:
        server, first, _ = await leader_and_waiting()
        assert server.stored is not None
        server.stored["metadata"]["labels"] = {"team": "ml"}
        server.replace(server.find())
        await asyncio.sleep(30)
        assert first.may_write
        assert {"team": "ml"} == server.stored["metadata"]["labels"]

    run(case)


@pytest.mark.parametrize("change", ["another holder", "deleted"])
def test_who_does_not_hold_the_lease_any_more_stops_at_once(change):
    """Somebody took it by hand, or deleted it: the next renewal finds out."""

    async def case() -> None:
        server, first, _ = await leader_and_waiting()
        assert server.stored is not None
        if change == "deleted":
            server.stored = None
        else:
            server.stored["spec"]["holderIdentity"] = "somebody"
            server.replace(server.find())
        assert await until(lambda: not first.may_write) <= 4

    run(case)


@pytest.mark.parametrize("spec", [{}, {"holderIdentity": "first", "leaseDurationSeconds": 0}, {"holderIdentity": ""}])
def test_a_lease_that_says_nothing_is_taken(spec):
    """Fields that are missing or empty are somebody's edit, not a leader."""

    async def case() -> float:
        server = LeaseServer()
        server.create({"metadata": {"name": "modelfetch-operator"}, "spec": spec | {"holderIdentity": ""}})
        replica = Replica("second", Line(server))
        replica.start()
        return await until(lambda: replica.leadership.is_held)

    assert run(case) <= 1


@pytest.mark.parametrize("seed", range(12))
def test_never_two_may_write(seed):
    """Three replicas that are killed and come back, on lines that delay, lose and are cut: at most one writes."""

    async def case() -> int:
        draw, server = random.Random(seed), LeaseServer()
        made = [0]

        def new() -> Replica:
            made[0] += 1
            line = Line(server, bad_network(draw.getrandbits(32)))
            replica = Replica(f"replica-{made[0]}", line, offset_s=draw.uniform(-1e6, 1e6))
            replica.start()
            return replica

        replicas, held = [new() for _ in range(3)], 0
        for _ in range(6000):
            await asyncio.sleep(0.1)
            writers = [replica for replica in replicas if replica.may_write]
            assert len(writers) <= 1, f"seed {seed}: {[one.leadership.place.identity for one in writers]}"
            held += bool(writers)
            _disturb(draw, replicas, new)
        assert held > 600, "there was a leader most of the time"
        return len(server.writers)

    assert run(case) > 3


def _disturb(draw: random.Random, replicas: list[Replica], new: Callable[[], Replica]) -> None:
    number, what = draw.randrange(len(replicas)), draw.random()
    if what < 0.005:
        replicas[number].line.is_cut = True
    elif what < 0.02:
        replicas[number].line.is_cut = False
    elif what < 0.025 or (what < 0.05 and replicas[number].has_ended):
        replicas[number].kill()
        replicas[number] = new()
