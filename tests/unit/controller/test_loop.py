"""Which news makes the operator look, and at what; the rest of the loop is shown in tests/cluster."""

import asyncio
import contextlib
import copy
import json
from datetime import UTC, datetime

import pytest
from aiohttp import web

from modelfetch.controller.loop import Loop, resync_for_ever
from modelfetch.controller.mirror import Key
from modelfetch.core.observed import Settings
from modelfetch.kube.client import Kube, KubeError
from modelfetch.kube.connection import Connection
from modelfetch.kube.objects import JOBS, MODELFETCHES, MODELSTORES, PODS
from tests import gen
from tests.fakes.api_server import api_server, refused
from tests.unit.controller.stepped import SteppedLoop


class StandingClock:
    """A clock that stands."""

    def now(self):
        """Return one moment, always."""
        return datetime(2030, 1, 1, tzinfo=UTC)

    def monotonic(self):
        """Return no time passed."""
        return 0.0


class LeapingClock(StandingClock):
    """A clock by which nothing that was read is fresh any more when it is asked for again."""

    def __init__(self):
        self._now_s = 0.0

    def monotonic(self):
        """Return a minute more each time."""
        self._now_s += 60.0
        return self._now_s


def _stored(body, version, *, generation=1, **status):
    name = body["metadata"]["name"]
    meta = {"uid": f"uid-{name}", "resourceVersion": str(version), "generation": generation}
    return {**body, "metadata": body["metadata"] | meta, "status": status}


def _ready(truth):
    return {"conditions": [{"type": "Ready", "status": truth}]}


async def _drain(loop):
    keys = []
    while len(loop.queue):
        key = await loop.queue.get()
        loop.queue.done(key)
        keys.append(f"{key.kind}/{key.name}")
    return sorted(keys)


def _woken_by(*stores):
    """Return what is looked at after the last of these versions of a store, while a fetch of it waits."""

    async def scenario():
        loop = Loop(Kube(Connection("http://127.0.0.1:1")), Settings(image="x"), StandingClock())
        loop.seen(MODELFETCHES, "ADDED", _stored(gen.fetch(), 1, phase="Queued"))
        for store in stores:
            await _drain(loop)
            loop.seen(MODELSTORES, "MODIFIED", store)
        woken = await _drain(loop)
        loop.queue.close()
        return woken

    return asyncio.run(scenario())


def test_a_new_store_wakes_the_fetches_that_wait_for_it():
    """A fetch may come before its store."""

    assert ["ModelFetch/minilm", "ModelStore/default"] == _woken_by(_stored(gen.store(), 2))


@pytest.mark.parametrize(
    "after",
    [_stored(gen.store(slots=5), 3, generation=2, **_ready("False")), _stored(gen.store(), 3, **_ready("True"))],
    ids=["its spec", "its readiness"],
)
def test_a_change_of_a_store_wakes_its_fetches(after):
    """More slots, another claim, a claim that has appeared: whoever waits is looked at again."""

    assert ["ModelFetch/minilm", "ModelStore/default"] == _woken_by(_stored(gen.store(), 2, **_ready("False")), after)


def test_the_counts_of_a_store_wake_nobody():
    """Else each fetch that starts or ends has all others looked at and written: of 200, each up to 400 times."""
    before = _stored(gen.store(), 2, **_ready("True"), fetches={"running": 1})
    after = _stored(gen.store(), 3, **_ready("True"), fetches={"running": 2})

    assert ["ModelStore/default"] == _woken_by(before, after)


NAMESPACE = "default"
FETCHES = f"/apis/modelfetch.io/v1alpha1/namespaces/{NAMESPACE}/modelfetches"
STORES = f"/apis/modelfetch.io/v1alpha1/namespaces/{NAMESPACE}/modelstores"
CLAIM = f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims/models"
BATCH = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"


class World:
    """A loop before an API server with a claim and the store `default`; keys are worked on by `look`."""

    def __init__(self, server, kube, **settings):
        self.server = server
        self.loop = Loop(kube, Settings(image="x", **settings), LeapingClock())
        server.objects[CLAIM] = {"metadata": {"name": "models"}, "status": {"phase": "Bound"}}

    def add(self, resource, body):
        """Store an object and tell the loop of it."""
        path = STORES if resource is MODELSTORES else FETCHES
        self.server.objects[f"{path}/{body['metadata']['name']}"] = body
        self.loop.seen(resource, "ADDED", copy.deepcopy(body))

    def delete(self, name):
        """Delete a ModelFetch and tell the loop of it."""
        body = self.server.objects.pop(f"{FETCHES}/{name}")
        self.loop.seen(MODELFETCHES, "DELETED", body)

    async def look(self):
        """Work on every key that is ready."""
        worker = asyncio.create_task(self.loop.work())
        while len(self.loop.queue) or self.loop.queue._in_work:
            await asyncio.sleep(0)
        worker.cancel()

    def phase(self, name):
        """Return the phase that stands in the status."""
        return self.server.objects[f"{FETCHES}/{name}"]["status"].get("phase")

    def due_s(self, kind, name):
        """Return in how many seconds an object is looked at by itself, None where it is not."""
        timer = self.loop.queue._timers.get(Key(kind.kind, NAMESPACE, name))
        return timer and timer.when() - asyncio.get_running_loop().time()

    def made(self, task):
        """Return the orders of the Jobs of a kind."""
        jobs = [body for path, body in self.server.objects.items() if path.startswith(BATCH)]
        chosen = [job for job in jobs if job["metadata"]["labels"]["modelfetch.io/task"] == task]
        return [json.loads(job["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"]) for job in chosen]


def _in_world(scenario, settings=None, **store):
    async def run():
        async with api_server() as server, Kube(Connection(server.address)) as kube:
            world = World(server, kube, **(settings or {}))
            world.add(MODELSTORES, _stored(gen.store(**store), 1))
            await world.look()
            try:
                await scenario(world)
            finally:
                world.loop.queue.close()
            return world

    return asyncio.run(run())


def test_a_fetch_deleted_while_it_is_looked_at_keeps_no_slot():
    """Its claim would never be given back, and a store would run one fetch less for ever."""

    async def scenario(world):
        world.server.during = lambda _, path: (
            path == CLAIM and f"{FETCHES}/one" in world.server.objects and world.delete("one")
        )
        world.add(MODELFETCHES, _stored(gen.fetch("one"), 2))
        await world.look()
        world.add(MODELFETCHES, _stored(gen.fetch("two"), 3))
        await world.look()

    world = _in_world(scenario, slots=1)

    assert "Pending" == world.phase("two")
    assert ["two"] == [order["name"] for order in world.made("fetch")]


def test_a_fetch_made_again_while_nobody_watched_gives_its_slot_back():
    """Deleted and made again between two lists: the new one comes without the old one's DELETED (F30)."""

    async def scenario(world):
        world.add(MODELFETCHES, _stored(gen.fetch("one"), 2))
        await world.look()
        again = _stored(gen.fetch("one", suspend=True), 900)
        again["metadata"]["uid"] = "another"
        world.add(MODELFETCHES, again)
        world.add(MODELFETCHES, _stored(gen.fetch("two"), 901))
        await world.look()

    assert ["one", "two"] == [order["name"] for order in _in_world(scenario, slots=1).made("fetch")]


def test_fetches_deleted_together_are_all_removed():
    """A deletion that is told of while an earlier one is confirmed must not be forgotten."""

    async def scenario(world):
        for n, name in enumerate(("one", "two", "three")):
            world.add(MODELFETCHES, _stored(gen.fetch(name), 10 + n, attempt={"number": 1}, phase="Ready"))
        await _drain(world.loop)
        world.delete("one")
        world.server.during = lambda _, path: [
            world.delete(name)
            for name in ("two", "three")
            if path.endswith("/one") and f"{FETCHES}/{name}" in world.server.objects
        ]
        await world.look()

    (order,) = _in_world(scenario).made("remove")

    assert {"uid-one", "uid-two", "uid-three"} == {target["owner"] for target in order["targets"]}


def test_a_fetch_deleted_before_its_status_tells_of_an_attempt_leaves_nothing():
    """Its Job was made, and may have published before it was stopped; nothing but the slot it held tells of that."""

    async def scenario(world):
        world.server.during = lambda method, path: (
            method == "PATCH" and path.endswith("/one/status") and world.delete("one")
        )
        world.add(MODELFETCHES, _stored(gen.fetch("one"), 10))
        await world.look()
        for path in [path for path in world.server.objects if path.startswith(BATCH)]:
            world.loop.seen(JOBS, "DELETED", world.server.objects.pop(path))
        world.loop._intake.wake_all()
        await world.look()

    (order,) = _in_world(scenario).made("remove")

    assert ["uid-one"] == [target["owner"] for target in order["targets"]]


@pytest.mark.parametrize("is_made_again", [False, True])
def test_what_a_silent_watch_hides_is_found_by_a_write(is_made_again):
    """The fetch is gone, or another has its name: no second Job is made for it, and the other one gets its own."""

    async def scenario(world):
        world.add(MODELFETCHES, _stored(gen.fetch("one"), 10))
        again = _stored(gen.fetch("one"), 300)
        again["metadata"]["uid"] = "another"
        del world.server.objects[f"{FETCHES}/one"]
        if is_made_again:
            world.server.objects[f"{FETCHES}/one"] = again
        await world.look()
        world.loop._intake.wake_all()
        await world.look()

    world = _in_world(scenario)

    assert ["uid-one"] == [order["owner"] for order in world.made("fetch")]
    assert ([], ["another"])[is_made_again] == [b["metadata"]["uid"] for b in world.loop.mirror.all(MODELFETCHES)]


def test_a_status_does_not_overwrite_what_it_has_not_seen():
    """The fetch was edited meanwhile: the old spec's status is refused, the new spec is looked at."""

    async def scenario(world):
        world.add(MODELFETCHES, _stored(gen.fetch("one", suspend=True), 10))
        newer = _stored(gen.fetch("one", suspend=True, priority=3), 11, generation=2)
        world.server.objects[f"{FETCHES}/one"] = newer
        await world.look()
        assert {} == world.server.objects[f"{FETCHES}/one"]["status"]
        world.loop._intake.wake_all()
        await world.look()

    status = _in_world(scenario).server.objects[f"{FETCHES}/one"]["status"]

    assert ("Suspended", 2) == (status["phase"], status["observedGeneration"])


@pytest.mark.parametrize(("policy", "retain"), [("Delete", False), ("Retain", True)])
def test_private_files_go_under_any_policy(policy, retain):
    """deletionPolicy is about what was published; what an attempt left unpublished is of no use to anybody."""

    async def scenario(world):
        world.add(MODELFETCHES, _stored(gen.fetch("one", deletionPolicy=policy), 10, attempt={"number": 1}))
        await _drain(world.loop)
        world.delete("one")
        await world.look()

    (order,) = _in_world(scenario).made("remove")

    assert [("uid-one", retain)] == [(target["owner"], target["retain"]) for target in order["targets"]]


def test_one_invalid_store_stops_nobody_else():
    """A stored spec that this version refuses: the operator starts, and other stores' fetches run."""

    async def scenario(world):
        bad = _stored(gen.store("bad", slots=0), 2)
        world.add(MODELSTORES, bad)
        world.add(MODELFETCHES, _stored(gen.fetch("one", storeRef={"name": "bad"}), 3))
        world.add(MODELFETCHES, _stored(gen.fetch("two"), 4))
        await world.loop.prime()
        for _ in range(2):
            await world.look()

    world = _in_world(scenario)

    assert ["two"] == [order["name"] for order in world.made("fetch")]
    assert "Stalled" in [c["type"] for c in world.server.objects[f"{STORES}/bad"]["status"]["conditions"]]
    assert "'bad' is invalid" in world.server.objects[f"{FETCHES}/one"]["status"]["lastError"]["message"]


def test_a_store_that_goes_wakes_its_fetches():
    """Whoever waits in its queue waits for nothing now, and is told so."""

    async def scenario():
        loop = Loop(Kube(Connection("http://127.0.0.1:1")), Settings(image="x"), StandingClock())
        loop.seen(MODELSTORES, "ADDED", _stored(gen.store(), 1))
        loop.seen(MODELFETCHES, "ADDED", _stored(gen.fetch(), 2, phase="Queued"))
        await _drain(loop)
        loop.seen(MODELSTORES, "DELETED", _stored(gen.store(), 3))
        woken = await _drain(loop)
        loop.queue.close()
        return woken

    assert ["ModelFetch/minilm", "ModelStore/default"] == asyncio.run(scenario())


def test_nothing_is_removed_while_an_orphaned_pod_may_write():
    """The garbage collector takes the Job first; its Pod may publish until it has ended."""

    async def scenario(world):
        world.add(MODELFETCHES, _stored(gen.fetch("one"), 10, attempt={"number": 1}, phase="Ready"))
        await world.look()
        labels = {"modelfetch.io/fetch": "uid-one", "app.kubernetes.io/managed-by": "modelfetch-operator"}
        meta = {"name": "p", "namespace": NAMESPACE, "uid": "pod", "resourceVersion": "11", "labels": labels}
        world.loop.seen(PODS, "ADDED", {"metadata": meta, "status": {"phase": "Running"}})
        world.delete("one")
        await world.look()

    assert [] == _in_world(scenario).made("remove")


def test_what_is_written_is_told_once():
    """An attempt that starts is news, and none when the same is seen again."""
    told = []

    async def scenario(world):
        world.add(MODELFETCHES, _stored(gen.fetch("one"), 10))
        for _ in range(2):
            await world.look()
            told.append(len(world.loop.recorder))
            await world.loop.resync()

    _in_world(scenario)

    assert [1, 1] == told


def test_what_was_not_written_is_not_told():
    """A fetch that goes before its status is written has no Events."""
    told = []

    async def scenario(world):
        world.server.during = lambda method, path: (
            method == "PATCH" and path.endswith("/one/status") and world.delete("one")
        )
        world.add(MODELFETCHES, _stored(gen.fetch("one"), 10))
        await world.look()
        told.append(len(world.loop.recorder))

    _in_world(scenario)

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


def test_what_went_before_the_watches_began_is_found_soon():
    """Between the lists of the start and the watches' own an object may go; nobody tells of it but another list."""
    loop, lists = SteppedLoop(), []

    class Lists:
        async def resync(self):
            """Take note of the time."""
            lists.append(loop.elapsed)

    async def some_time():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(resync_for_ever(Lists()), 1300.0)

    try:
        loop.run_until_complete(some_time())
    finally:
        loop.close()

    assert [15.0, 615.0, 1215.0] == lists


def test_what_was_written_is_no_news():
    """The event of one's own write has nobody looked at; the store counts what was written, in a second's time."""
    woken = []

    async def scenario(world):
        world.add(MODELFETCHES, _stored(gen.fetch("one"), 10))
        await world.look()
        written = world.server.objects[f"{FETCHES}/one"]
        (job,) = (body for path, body in world.server.objects.items() if path.startswith(BATCH))
        world.loop.queue.unschedule(Key(MODELSTORES.kind, NAMESPACE, "default"))
        for resource, body in ((JOBS, job), (MODELFETCHES, written)):
            world.loop.seen(resource, "MODIFIED", copy.deepcopy(body))
        woken.append(await _drain(world.loop))
        edited = copy.deepcopy(written)
        edited["metadata"]["resourceVersion"] = "900"
        world.loop.seen(MODELFETCHES, "MODIFIED", edited)
        woken.append(await _drain(world.loop))

    _in_world(scenario)

    assert [[], ["ModelFetch/one"]] == woken


def test_what_was_written_is_counted_by_the_store():
    """It need not wait for the event of the write."""
    due_s = []

    async def scenario(world):
        world.add(MODELFETCHES, _stored(gen.fetch("one", suspend=True), 10))
        world.loop.queue.unschedule(Key(MODELSTORES.kind, NAMESPACE, "default"))
        await world.look()
        due_s.append(world.due_s(MODELSTORES, "default"))

    _in_world(scenario)

    assert 0 < due_s[0] <= 1.0


def test_what_a_refused_write_shows_of_a_store_wakes_its_fetches():
    """The event of a change that was asked for is no news any more: whom it concerns is told at once."""
    woken = []

    async def scenario(world):
        world.add(MODELFETCHES, _stored(gen.fetch("one", suspend=True), 10))
        await world.look()
        await world.look()
        changed = copy.deepcopy(world.server.objects[f"{STORES}/default"])
        changed["spec"]["slots"] = 7
        changed["metadata"] |= {"resourceVersion": "900", "generation": 2}
        world.server.objects[f"{STORES}/default"] = changed
        await world.loop._intake.ask(MODELSTORES, Key(MODELSTORES.kind, NAMESPACE, "default"))
        woken.append(await _drain(world.loop))
        world.loop.seen(MODELSTORES, "MODIFIED", copy.deepcopy(changed))
        woken.append(await _drain(world.loop))

    _in_world(scenario)

    assert [["ModelFetch/one"], []] == woken


def test_a_job_of_whose_end_nobody_told_is_not_waited_for():
    """It went unseen, and the fetch was edited since: to be deleted it would have to be there."""

    async def scenario(world):
        world.add(MODELFETCHES, _stored(gen.fetch("one"), 10))
        await world.look()
        for path in [path for path in world.server.objects if path.startswith(BATCH)]:
            del world.server.objects[path]
        edited = copy.deepcopy(world.server.objects[f"{FETCHES}/one"])
        edited["spec"]["files"] = {"include": ["*.json"]}
        edited["metadata"] |= {"resourceVersion": "900", "generation": 2}
        world.server.objects[f"{FETCHES}/one"] = edited
        world.loop.seen(MODELFETCHES, "MODIFIED", copy.deepcopy(edited))
        for _ in range(2):
            await world.look()

    assert [["*.json"]] == [order["selection"]["include"] for order in _in_world(scenario).made("fetch")]


def test_a_slot_that_is_given_back_is_counted_soon():
    """No status tells of it where the fetch's own stays as it is."""
    due_s = []

    async def scenario(world):
        world.add(MODELFETCHES, _stored(gen.fetch("one"), 10))
        await world.look()
        store = Key(MODELSTORES.kind, NAMESPACE, "default")
        world.loop.queue.schedule(store, 300.0)
        observed = await world.loop._observer.fetch(world.loop.mirror.get(Key(MODELFETCHES.kind, NAMESPACE, "one")))
        world.loop._claims.set(observed.fetch, "waiting")
        world.loop._decide(observed)
        due_s.append(world.due_s(MODELSTORES, "default"))

    _in_world(scenario)

    assert 0 < due_s[0] <= 1.0


def test_counts_that_are_held_back_are_written_when_they_may_be():
    """A store that has nothing else to say waits for the interval, not for the next look at its claim."""
    due_s = []

    async def scenario(world):
        world.loop._clock = StandingClock()
        key = Key(MODELSTORES.kind, NAMESPACE, "default")
        world.loop._written["uid-default"] = 0.0
        world.add(MODELFETCHES, _stored(gen.fetch("one", suspend=True), 10))
        world.loop.queue.add(key)
        await world.look()
        world.loop._written["uid-default"] = 0.0
        await world.loop._reconcile_store(key)
        world.loop.mirror.get(key)["status"]["fetches"]["total"] = 7
        await world.loop._reconcile_store(key)
        due_s.append(world.due_s(MODELSTORES, "default"))

    _in_world(scenario)

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
        world.add(MODELFETCHES, _stored(gen.fetch("one"), 10))
        await world.look()
        for _ in range(3):
            world.loop._intake.wake_all()
            await world.look()

    world = _in_world(scenario)
    status = world.server.objects[f"{FETCHES}/one"]["status"]

    assert [] == world.made("fetch")
    assert 1 == sum(method == "POST" and path == BATCH for method, path in world.server.requests)
    assert "PodRejected" == status["lastError"]["reason"]
    assert f"has changed {mark} of Job" in status["lastError"]["message"]


def test_a_namespace_may_run_fewer_than_its_stores():
    """Two stores have room for one each: the second fetch is told what it waits for, and starts when the first ends."""
    told = []

    async def scenario(world):
        world.add(MODELSTORES, _stored(gen.store("other", slots=1), 2))
        world.add(MODELFETCHES, _stored(gen.fetch("one"), 10))
        for _ in range(2):
            await world.look()
        world.add(MODELFETCHES, _stored(gen.fetch("two", storeRef={"name": "other"}), 11))
        for _ in range(2):
            await world.look()
        told.append(world.server.objects[f"{FETCHES}/two"]["status"]["queue"])
        world.delete("one")
        for path in [path for path in world.server.objects if path.startswith(BATCH)]:
            world.loop.seen(JOBS, "DELETED", world.server.objects.pop(path))
        for _ in range(2):
            await world.look()

    world = _in_world(scenario, {"namespace_slots": 1}, slots=1)

    assert [{"position": 1, "waitingFor": "a slot of namespace default"}] == told
    assert ["two"] == [order["name"] for order in world.made("fetch")]


def test_a_fetch_that_has_just_come_is_looked_at_once():
    """It may not start before its store counts it: the claim is read for that look, and for the one of its own."""
    before = []

    async def scenario(world):
        before.append(world.server.requests.count(("GET", CLAIM)))
        world.add(MODELFETCHES, _stored(gen.fetch("one"), 10))
        await world.look()

    world = _in_world(scenario)

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
        world.add(MODELFETCHES, _stored(gen.fetch("one"), 10))
        await world.look()
        world.loop.queue.add(Key(MODELFETCHES.kind, NAMESPACE, "one"))
        await world.look()
        told.append(world.server.objects[f"{FETCHES}/one"]["status"]["lastError"]["reason"])

    _in_world(scenario)

    assert ["StorageNotReady"] == told


def test_the_event_of_a_write_may_come_before_its_answer():
    """It is no news then either: the look that wrote is the only one."""

    async def scenario(world):
        answered = world.loop._applier._learn

        def event_first(resource, body):
            world.loop.seen(resource, "MODIFIED", copy.deepcopy(body))
            answered(resource, body)

        world.loop._applier._learn = event_first
        world.add(MODELFETCHES, _stored(gen.fetch("one", suspend=True), 10))
        await world.look()

    assert 3 == _in_world(scenario).server.requests.count(("GET", CLAIM))


def test_a_job_is_deleted_once_however_late_its_events_come():
    """The answer says that it is on its way out; until the watch says so, too, no look deletes it again."""

    async def scenario(world):
        world.add(MODELFETCHES, _stored(gen.fetch("one"), 10))
        await world.look()
        (path,) = (path for path in world.server.objects if path.startswith(BATCH))
        job = world.server.objects[path]
        leaving = {**job, "metadata": job["metadata"] | {"deletionTimestamp": "2030-01-01T00:01:00Z"}}
        leaving["metadata"]["resourceVersion"] = "500"
        world.server.refuse = lambda method, _: web.json_response(leaving) if method == "DELETE" else None
        edited = copy.deepcopy(world.server.objects[f"{FETCHES}/one"])
        edited["spec"]["files"] = {"include": ["*.json"]}
        edited["metadata"] |= {"resourceVersion": "900", "generation": 2}
        world.server.objects[f"{FETCHES}/one"] = edited
        world.loop.seen(MODELFETCHES, "MODIFIED", copy.deepcopy(edited))
        for _ in range(3):
            await world.look()
            world.loop._intake.wake_all()

    assert 1 == sum(method == "DELETE" for method, _ in _in_world(scenario).server.requests)
