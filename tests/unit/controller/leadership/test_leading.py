"""Who leads, and until when it may write: several replicas on one Lease, on simulated time."""

import asyncio
import random
from collections.abc import Callable

import pytest

from modelfetch.controller.leadership import LOOK_S, WRITES_S
from modelfetch.core.lease import LEASE_S
from tests.unit.controller.leadership.lease_server import LeaseServer, Line, bad_network
from tests.unit.controller.leadership.replicas import (
    Replica,
    leader_and_waiting,
    run,
    until,
)


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
