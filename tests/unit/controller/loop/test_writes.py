"""What the loop makes of its own writes, their answers and their refusals; and which of them it may make."""

import copy

import pytest
from aiohttp import web

from modelfetch.controller.mirror import Key
from modelfetch.kube.objects import JOBS, MODELFETCHES, MODELSTORES
from tests import gen
from tests.fakes.api_server import refused
from tests.unit.controller.loop.world import (
    BATCH,
    CLAIM,
    DEFAULT,
    FETCHES,
    NAMESPACE,
    STORES,
    StandingClock,
    drain,
    in_world,
    stored,
)


def test_what_was_written_is_no_news():
    """The event of one's own write has nobody looked at; the store counts what was written, in a second's time."""
    woken = []

    async def scenario(world):
        world.add(MODELFETCHES, stored(gen.fetch("one"), 10))
        await world.look()
        written = world.server.objects[f"{FETCHES}/one"]
        (job,) = (body for path, body in world.server.objects.items() if path.startswith(BATCH))
        world.loop.queue.unschedule(DEFAULT)
        for resource, body in ((JOBS, job), (MODELFETCHES, written)):
            world.loop.seen(resource, "MODIFIED", copy.deepcopy(body))
        woken.append(await drain(world.loop))
        edited = copy.deepcopy(written)
        edited["metadata"]["resourceVersion"] = "900"
        world.loop.seen(MODELFETCHES, "MODIFIED", edited)
        woken.append(await drain(world.loop))

    in_world(scenario)

    assert [[], ["ModelFetch/one"]] == woken


def test_what_was_written_is_counted_by_the_store():
    """It need not wait for the event of the write."""
    due_s = []

    async def scenario(world):
        world.add(MODELFETCHES, stored(gen.fetch("one", suspend=True), 10))
        world.loop.queue.unschedule(DEFAULT)
        await world.look()
        due_s.append(world.due_s(MODELSTORES, "default"))

    in_world(scenario)

    assert 0 < due_s[0] <= 1.0


def test_what_a_refused_write_shows_of_a_store_wakes_its_fetches():
    """The event of a change that was asked for is no news any more: whom it concerns is told at once."""
    woken = []

    async def scenario(world):
        world.add(MODELFETCHES, stored(gen.fetch("one", suspend=True), 10))
        await world.look()
        await world.look()
        changed = copy.deepcopy(world.server.objects[f"{STORES}/default"])
        changed["spec"]["slots"] = 7
        changed["metadata"] |= {"resourceVersion": "900", "generation": 2}
        world.server.objects[f"{STORES}/default"] = changed
        await world.loop._intake.ask(MODELSTORES, DEFAULT)
        woken.append(await drain(world.loop))
        world.loop.seen(MODELSTORES, "MODIFIED", copy.deepcopy(changed))
        woken.append(await drain(world.loop))

    in_world(scenario)

    assert [["ModelFetch/one"], []] == woken


def test_a_job_of_whose_end_nobody_told_is_not_waited_for():
    """It went unseen, and the fetch was edited since: to be deleted it would have to be there."""

    async def scenario(world):
        world.add(MODELFETCHES, stored(gen.fetch("one"), 10))
        await world.look()
        for path in [path for path in world.server.objects if path.startswith(BATCH)]:
            del world.server.objects[path]
        world.edit("one", files={"include": ["*.json"]})
        for _ in range(3):
            await world.look()
            world.loop._intake.wake_all()

    assert [["*.json"]] == [order["selection"]["include"] for order in in_world(scenario).made("fetch")]


def test_a_slot_that_is_given_back_is_counted_soon():
    """No status tells of it where the fetch's own stays as it is."""
    due_s = []

    async def scenario(world):
        world.add(MODELFETCHES, stored(gen.fetch("one"), 10))
        await world.look()
        world.loop.queue.schedule(DEFAULT, 300.0)
        observed = await world.loop._observer.fetch(world.loop.mirror.get(Key(MODELFETCHES.kind, NAMESPACE, "one")))
        world.loop._fetches._claims.set(observed.fetch, "waiting")
        world.loop._fetches._decide(observed)
        due_s.append(world.due_s(MODELSTORES, "default"))

    in_world(scenario)

    assert 0 < due_s[0] <= 1.0


def test_counts_that_are_held_back_are_written_when_they_may_be():
    """A store that has nothing else to say waits for the interval, not for the next look at its claim."""
    due_s = []

    async def scenario(world):
        world.loop._statuses._clock = StandingClock()
        world.loop._statuses._written["uid-default"] = 0.0
        world.add(MODELFETCHES, stored(gen.fetch("one", suspend=True), 10))
        world.loop.queue.add(DEFAULT)
        await world.look()
        world.loop._statuses._written["uid-default"] = 0.0
        await world.loop._stores.reconcile(DEFAULT)
        world.loop.mirror.get(DEFAULT)["status"]["fetches"]["total"] = 7
        await world.loop._stores.reconcile(DEFAULT)
        due_s.append(world.due_s(MODELSTORES, "default"))

    in_world(scenario)

    assert 0 < due_s[0] <= 10.0


def _with(part, name, value):
    def admit(body):
        changed = copy.deepcopy(body)
        if isinstance(name, str):
            changed["metadata"][part][name] = value
        else:
            changed["metadata"][part] = value
        return changed

    return admit


MARKS = {
    "annotation 'modelfetch.io/spec-hash'": _with("annotations", "modelfetch.io/spec-hash", "another"),
    "label 'modelfetch.io/attempt'": _with("labels", "modelfetch.io/attempt", "7"),
    "the owner": _with("ownerReferences", None, []),
}


@pytest.mark.parametrize("mark", MARKS)
def test_a_job_that_is_admitted_as_another_one_is_made_once(mark):
    """A webhook changes what tells whose Job it is: it goes again, the status says what was changed, nobody retries."""

    async def scenario(world):
        world.server.admit = MARKS[mark]
        world.add(MODELFETCHES, stored(gen.fetch("one"), 10))
        await world.look()
        for _ in range(3):
            world.loop._intake.wake_all()
            await world.look()

    world = in_world(scenario)
    status = world.server.objects[f"{FETCHES}/one"]["status"]

    assert [] == world.made("fetch")
    assert 1 == sum(method == "POST" and path == BATCH for method, path in world.server.requests)
    assert "PodRejected" == status["lastError"]["reason"]
    assert f"has changed {mark} of Job" in status["lastError"]["message"]


def test_a_namespace_may_run_fewer_than_its_stores():
    """Two stores have room for one each: the second fetch is told what it waits for, and starts when the first ends."""
    told = []

    async def scenario(world):
        world.add(MODELSTORES, stored(gen.store("other", slots=1), 2))
        world.add(MODELFETCHES, stored(gen.fetch("one"), 10))
        for _ in range(2):
            await world.look()
        world.add(MODELFETCHES, stored(gen.fetch("two", storeRef={"name": "other"}), 11))
        for _ in range(2):
            await world.look()
        told.append(world.server.objects[f"{FETCHES}/two"]["status"]["queue"])
        world.delete("one")
        for path in [path for path in world.server.objects if path.startswith(BATCH)]:
            world.loop.seen(JOBS, "DELETED", world.server.objects.pop(path))
        for _ in range(2):
            await world.look()

    world = in_world(scenario, {"namespace_slots": 1}, slots=1)

    assert [{"position": 1, "waitingFor": "a slot of namespace default"}] == told
    assert ["two"] == [order["name"] for order in world.made("fetch")]


def test_a_fetch_that_has_just_come_is_looked_at_once():
    """It may not start before its store counts it: the claim is read for that look, and for the one of its own."""
    before = []

    async def scenario(world):
        before.append(world.server.requests.count(("GET", CLAIM)))
        world.add(MODELFETCHES, stored(gen.fetch("one"), 10))
        await world.look()

    world = in_world(scenario)

    assert ["one"] == [order["name"] for order in world.made("fetch")]
    assert 2 == world.server.requests.count(("GET", CLAIM)) - before[0]


@pytest.mark.parametrize("resource", [MODELSTORES, CLAIM])
def test_a_fetch_that_nobody_counts_is_told_why(resource):
    """Without a store there is nobody to count it; where the store cannot be written it is looked at all the same."""
    told = []

    async def scenario(world):
        if resource is MODELSTORES:
            world.loop.seen(MODELSTORES, "DELETED", world.server.objects.pop(f"{STORES}/default"))
        else:
            world.server.refuse = lambda method, path: refused(500, "No") if f"{STORES}/default" in path else None
            world.server.objects[CLAIM]["status"] = {"phase": "Lost"}
        world.add(MODELFETCHES, stored(gen.fetch("one"), 10))
        await world.look()
        world.loop.queue.add(Key(MODELFETCHES.kind, NAMESPACE, "one"))
        await world.look()
        told.append(world.server.objects[f"{FETCHES}/one"]["status"]["lastError"]["reason"])

    in_world(scenario)

    assert ["StorageNotReady"] == told


def test_the_event_of_a_write_may_come_before_its_answer():
    """It is no news then either: the look that wrote is the only one."""

    async def scenario(world):
        answered = world.loop._fetches._applier._learn

        def event_first(resource, body):
            world.loop.seen(resource, "MODIFIED", copy.deepcopy(body))
            answered(resource, body)

        world.loop._fetches._applier._learn = event_first
        world.add(MODELFETCHES, stored(gen.fetch("one", suspend=True), 10))
        await world.look()

    assert 3 == in_world(scenario).server.requests.count(("GET", CLAIM))


def test_a_job_is_deleted_once_however_late_its_events_come():
    """The answer says that it is on its way out; until the watch says so, too, no look deletes it again."""

    async def scenario(world):
        world.add(MODELFETCHES, stored(gen.fetch("one"), 10))
        await world.look()
        (path,) = (path for path in world.server.objects if path.startswith(BATCH))
        job = world.server.objects[path]
        leaving = {**job, "metadata": job["metadata"] | {"deletionTimestamp": "2030-01-01T00:01:00Z"}}
        leaving["metadata"]["resourceVersion"] = "500"
        world.server.refuse = lambda method, _: web.json_response(leaving) if method == "DELETE" else None
        world.edit("one", files={"include": ["*.json"]})
        for _ in range(3):
            await world.look()
            world.loop._intake.wake_all()

    assert 1 == sum(method == "DELETE" for method, _ in in_world(scenario).server.requests)


def _forbids_to_delete(method, _):
    return refused(403, "Forbidden", 'cannot delete resource "jobs"') if method == "DELETE" else None


def test_a_job_that_may_not_be_deleted_keeps_its_slot_and_is_told():
    """It runs on, so nobody else starts in its place; when the right is back, what was asked for happens."""
    seen = []

    async def scenario(world):
        world.add(MODELFETCHES, stored(gen.fetch("one"), 10))
        await world.look()
        world.server.refuse = _forbids_to_delete
        world.edit("one", suspend=True)
        world.add(MODELFETCHES, stored(gen.fetch("two"), 20))
        for _ in range(3):
            await world.look()
            world.loop.queue.add(Key(MODELFETCHES.kind, NAMESPACE, "one"))
        seen.append((world.server.objects[f"{FETCHES}/one"]["status"]["lastError"]["message"], world.phase("two")))
        world.server.refuse = lambda *_: None
        world.loop.queue.add(Key(MODELFETCHES.kind, NAMESPACE, "one"))
        await world.look()
        seen.append(world.phase("one"))

    in_world(scenario, slots=1)

    assert [('cannot delete resource "jobs"', "Queued"), "Suspended"] == seen
