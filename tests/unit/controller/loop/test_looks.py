"""Which news makes the operator look, and at what; the rest of the loop is shown in tests/cluster."""

import asyncio
import contextlib

import pytest

from modelfetch.controller import fetches
from modelfetch.controller.fetches import EDIT_S
from modelfetch.controller.loop import Loop, resync_for_ever
from modelfetch.controller.mirror import Key
from modelfetch.core.observed import Settings
from modelfetch.kube.client import Kube
from modelfetch.kube.connection import Connection
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import MODELFETCHES, MODELSTORES
from tests import gen
from tests.kstatus import check_history
from tests.unit.controller.loop.world import (
    CLAIM,
    FETCHES,
    NAMESPACE,
    STORES,
    StandingClock,
    drain,
    in_world,
    stored,
)
from tests.unit.controller.stepped import SteppedLoop


def _ready(truth):
    return {"conditions": [{"type": "Ready", "status": truth}]}


def _woken_by(*stores):
    """Return what is looked at after the last of these versions of a store, while a fetch of it waits."""

    async def scenario():
        loop = Loop(Kube(Connection("http://127.0.0.1:1")), Settings(image="x"), StandingClock())
        loop.seen(MODELFETCHES, "ADDED", stored(gen.fetch(), 1, phase="Queued"))
        for store in stores:
            await drain(loop)
            loop.seen(MODELSTORES, "MODIFIED", store)
        woken = await drain(loop)
        loop.queue.close()
        return woken

    return asyncio.run(scenario())


def test_a_new_store_wakes_the_fetches_that_wait_for_it():
    """A fetch may come before its store."""

    assert ["ModelFetch/minilm", "ModelStore/default"] == _woken_by(stored(gen.store(), 2))


@pytest.mark.parametrize(
    "after",
    [stored(gen.store(slots=5), 3, generation=2, **_ready("False")), stored(gen.store(), 3, **_ready("True"))],
    ids=["its spec", "its readiness"],
)
def test_a_change_of_a_store_wakes_its_fetches(after):
    """More slots, another claim, a claim that has appeared: whoever waits is looked at again."""

    assert ["ModelFetch/minilm", "ModelStore/default"] == _woken_by(stored(gen.store(), 2, **_ready("False")), after)


def test_the_counts_of_a_store_wake_nobody():
    """Else each fetch that starts or ends has all others looked at and written: of 200, each up to 400 times."""
    before = stored(gen.store(), 2, **_ready("True"), fetches={"running": 1})
    after = stored(gen.store(), 3, **_ready("True"), fetches={"running": 2})

    assert ["ModelStore/default"] == _woken_by(before, after)


def test_a_fetch_deleted_while_it_is_looked_at_keeps_no_slot():
    """Its claim would never be given back, and a store would run one fetch less for ever."""

    async def scenario(world):
        world.server.during = lambda _, path: (
            path == CLAIM and f"{FETCHES}/one" in world.server.objects and world.delete("one")
        )
        world.add(MODELFETCHES, stored(gen.fetch("one"), 2))
        await world.look()
        world.add(MODELFETCHES, stored(gen.fetch("two"), 3))
        await world.look()

    world = in_world(scenario, slots=1)

    assert "Pending" == world.phase("two")
    assert ["two"] == [order["name"] for order in world.made("fetch")]


def test_a_fetch_made_again_while_nobody_watched_gives_its_slot_back():
    """Deleted and made again between two lists: the new one comes without the old one's DELETED (F30)."""

    async def scenario(world):
        world.add(MODELFETCHES, stored(gen.fetch("one"), 2))
        await world.look()
        again = stored(gen.fetch("one", suspend=True), 900)
        again["metadata"]["uid"] = "another"
        world.add(MODELFETCHES, again)
        world.add(MODELFETCHES, stored(gen.fetch("two"), 901))
        await world.look()

    assert ["one", "two"] == [order["name"] for order in in_world(scenario, slots=1).made("fetch")]


@pytest.mark.parametrize("is_made_again", [False, True])
def test_what_a_silent_watch_hides_is_found_by_a_write(is_made_again):
    """The fetch is gone, or another has its name: no second Job is made for it, and the other one gets its own."""

    async def scenario(world):
        world.add(MODELFETCHES, stored(gen.fetch("one"), 10))
        again = stored(gen.fetch("one"), 300)
        again["metadata"]["uid"] = "another"
        del world.server.objects[f"{FETCHES}/one"]
        if is_made_again:
            world.server.objects[f"{FETCHES}/one"] = again
        await world.look()
        world.loop._intake.wake_all()
        await world.look()

    world = in_world(scenario)

    assert ["uid-one"] == [order["owner"] for order in world.made("fetch")]
    assert ([], ["another"])[is_made_again] == [b["metadata"]["uid"] for b in world.loop.mirror.all(MODELFETCHES)]


def test_a_status_does_not_overwrite_what_it_has_not_seen():
    """The fetch was edited meanwhile: the old spec's status is refused, the new spec is looked at."""

    async def scenario(world):
        world.add(MODELFETCHES, stored(gen.fetch("one", suspend=True), 10))
        newer = stored(gen.fetch("one", suspend=True, priority=3), 11, generation=2)
        world.server.objects[f"{FETCHES}/one"] = newer
        await world.look()
        assert {} == world.server.objects[f"{FETCHES}/one"]["status"]
        world.loop._intake.wake_all()
        await world.look()

    status = in_world(scenario).server.objects[f"{FETCHES}/one"]["status"]

    assert ("Suspended", 2) == (status["phase"], status["observedGeneration"])


def test_one_invalid_store_stops_nobody_else():
    """A stored spec that this version refuses: the operator starts, and other stores' fetches run."""

    async def scenario(world):
        bad = stored(gen.store("bad", slots=0), 2)
        world.add(MODELSTORES, bad)
        world.add(MODELFETCHES, stored(gen.fetch("one", storeRef={"name": "bad"}), 3))
        world.add(MODELFETCHES, stored(gen.fetch("two"), 4))
        await world.loop.prime()
        for _ in range(2):
            await world.look()

    world = in_world(scenario)

    assert ["two"] == [order["name"] for order in world.made("fetch")]
    assert "Stalled" in [c["type"] for c in world.server.objects[f"{STORES}/bad"]["status"]["conditions"]]
    assert "'bad' is invalid" in world.server.objects[f"{FETCHES}/one"]["status"]["lastError"]["message"]


def test_a_store_that_goes_wakes_its_fetches():
    """Whoever waits in its queue waits for nothing now, and is told so."""

    async def scenario():
        loop = Loop(Kube(Connection("http://127.0.0.1:1")), Settings(image="x"), StandingClock())
        loop.seen(MODELSTORES, "ADDED", stored(gen.store(), 1))
        loop.seen(MODELFETCHES, "ADDED", stored(gen.fetch(), 2, phase="Queued"))
        await drain(loop)
        loop.seen(MODELSTORES, "DELETED", stored(gen.store(), 3))
        woken = await drain(loop)
        loop.queue.close()
        return woken

    assert ["ModelFetch/minilm", "ModelStore/default"] == asyncio.run(scenario())


def test_what_is_written_is_told_once():
    """An attempt that starts is news, and none when the same is seen again."""
    told = []

    async def scenario(world):
        world.add(MODELFETCHES, stored(gen.fetch("one"), 10))
        for _ in range(2):
            await world.look()
            told.append(len(world.loop.recorder))
            await world.loop.resync()

    in_world(scenario)

    assert [1, 1] == told


@pytest.mark.parametrize(
    ("phase", "told"), [(None, True), ("Downloading", True), ("Failed", False), ("Suspended", False)]
)
def test_f8_a_defect_stands_in_the_status_until_a_look_succeeds(phase, told, monkeypatch):
    """Of who waits, with the reason Internal and the time of the next look; what is settled stays so meanwhile."""
    seen, whole = [], fetches.decide
    told_before = {"phase": phase, "observedGeneration": 1} if phase else {}

    async def scenario(world):
        world.add(MODELFETCHES, stored(gen.fetch("one"), 10, **told_before))
        await world.look()
        seen.append(world.server.objects[f"{FETCHES}/one"]["status"])
        monkeypatch.setattr(fetches, "decide", whole)
        world.loop.queue.add(Key(MODELFETCHES.kind, NAMESPACE, "one"))
        await world.look()
        seen.append(world.server.objects[f"{FETCHES}/one"]["status"])

    def defect(*_):
        raise LookupError("a secret of somebody's")

    monkeypatch.setattr(fetches, "decide", defect)
    in_world(scenario)

    first, then = seen
    named = [condition["type"] for condition in first.get("conditions", ()) if condition["reason"] == "Internal"]
    assert (["Ready", "Reconciling"] if told else []) == named
    assert (told, False) == ("LookupError in test_looks.py:" in str(first), "a secret" in str(first))
    assert told == ("nextRetryTime" in first)
    assert [] == check_history([status for status in seen if status.get("conditions")])
    assert ("Pending", "Progressing") == (then["phase"], then["conditions"][0]["reason"])


def test_what_was_not_written_is_not_told():
    """A fetch that goes before its status is written has no Events."""
    told = []

    async def scenario(world):
        world.server.during = lambda method, path: (
            method == "PATCH" and path.endswith("/one/status") and world.delete("one")
        )
        world.add(MODELFETCHES, stored(gen.fetch("one"), 10))
        await world.look()
        told.append(len(world.loop.recorder))

    in_world(scenario)

    assert [0] == told


@pytest.mark.parametrize(("status", "asked_for"), [(429, None), (429, 30.0), (503, 30.0)])
def test_a_server_with_too_much_to_do_is_left_alone_by_all(status, asked_for):
    """One key that was told so holds the others back (F17); a server that is not there is asked by each in its turn."""

    async def scenario():
        loop = Loop(Kube(Connection("http://127.0.0.1:1")), Settings(image="x"), StandingClock())
        loop._come_back(Key("ModelFetch", "demo", "one"), KubeError(status, "TooManyRequests", "no", asked_for))
        loop.queue.add(Key("ModelFetch", "demo", "two"))
        taking = asyncio.create_task(loop.queue.get())
        await asyncio.sleep(0)
        loop.queue.close()
        return not taking.done()

    assert (status == 429) == asyncio.run(scenario())


@pytest.mark.parametrize(("listed_in_s", "first_s"), [(0.0, 15.0), (10.0, 45.0), (1000.0, 600.0)])
def test_what_went_before_the_watches_began_is_found_soon(listed_in_s, first_s):
    """Between the lists of the start and the watches' own an object may go; nobody tells of it but another list.

    Where the first lists took long, the watches' own do, too.
    """
    loop, lists = SteppedLoop(), []

    class Lists:
        async def resync(self, *, everybody):
            """Take note of the time, and of who is looked at."""
            lists.append((loop.elapsed, everybody))

    async def some_time():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(resync_for_ever(Lists(), listed_in_s), first_s + 1250.0)

    try:
        loop.run_until_complete(some_time())
    finally:
        loop.close()

    assert [(first_s, False), (first_s + 600.0, True), (first_s + 1200.0, True)] == lists


def test_a_store_is_looked_at_before_fetches():
    """They wait until it counts them."""

    async def scenario():
        loop = Loop(Kube(Connection("http://127.0.0.1:1")), Settings(image="x"), StandingClock())
        loop.seen(MODELFETCHES, "ADDED", stored(gen.fetch(), 2))
        loop.seen(MODELSTORES, "ADDED", stored(gen.store(), 3))
        first = await loop.queue.get()
        loop.queue.close()
        return first.kind

    assert "ModelStore" == asyncio.run(scenario())


@pytest.mark.parametrize("has_stood", [False, True])
def test_f94_an_edit_that_is_reverted_within_a_second_leaves_the_attempt_alone(has_stood):
    """It is seen at once and waited for; one that has stood for a second ends the attempt, which begins anew."""

    async def scenario(world):
        world.add(MODELFETCHES, stored(gen.fetch("one"), 2))
        await world.look()
        world.edit("one", source={"uri": "hf://acme/other"})
        await world.look()
        assert 0 < world.due_s(MODELFETCHES, "one") <= EDIT_S
        if has_stood:
            world.loop._intake.wake_all()
            await world.look()
        world.edit("one", source={"uri": gen.URI})
        for _ in range(2):
            await world.look()
            world.loop._intake.wake_all()

    world = in_world(scenario)
    ended = [path for method, path in world.server.requests if method == "DELETE"]

    assert (has_stood, not has_stood) == (bool(ended), bool(world.made("fetch")))
    assert 3 == world.server.objects[f"{FETCHES}/one"]["status"]["observedGeneration"]


@pytest.mark.parametrize("is_ready", [True, False])
def test_f94_an_edit_of_what_is_ready_waits_for_a_second_too(is_ready):
    """What would take Ready away may be taken back; where there is nothing to lose, nobody waits."""
    ready = {"type": "Ready", "status": str(is_ready), "reason": "Any", "message": "", "observedGeneration": 1}
    told = {"observedGeneration": 1, "conditions": [{**ready, "lastTransitionTime": "2026-11-21T12:00:00Z"}]}

    async def scenario(world):
        world.add(MODELFETCHES, stored(gen.fetch("one"), 2, generation=2, **told))
        await world.look()
        assert not is_ready or 0 < world.due_s(MODELFETCHES, "one") <= EDIT_S

    assert is_ready == (in_world(scenario).made("fetch") == [])
