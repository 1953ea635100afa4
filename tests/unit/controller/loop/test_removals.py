"""What is taken off the volume when a fetch goes: all it may have put there, and nothing for one that put nothing."""

import copy

import pytest
from aiohttp import web

from modelfetch.kube.objects import JOBS, MODELFETCHES, PODS
from tests import gen
from tests.fakes.api_server import refused
from tests.unit.controller.loop.world import (
    BATCH,
    DEFAULT,
    FETCHES,
    NAMESPACE,
    STORES,
    LeapingClock,
    StandingClock,
    drain,
    in_world,
    stored,
)


def test_fetches_deleted_together_are_all_removed():
    """A deletion that is told of while an earlier one is confirmed must not be forgotten."""

    async def scenario(world):
        for n, name in enumerate(("one", "two", "three")):
            world.add(MODELFETCHES, stored(gen.fetch(name), 10 + n, attempt={"number": 1}, phase="Ready"))
        await drain(world.loop)
        world.delete("one")
        world.server.during = lambda _, path: [
            world.delete(name)
            for name in ("two", "three")
            if path.endswith("/one") and f"{FETCHES}/{name}" in world.server.objects
        ]
        await world.look()

    assert {"uid-one", "uid-two", "uid-three"} == set(in_world(scenario).removed())


def test_a_fetch_deleted_before_its_status_tells_of_an_attempt_leaves_nothing():
    """Its Job was made, and may have published before it was stopped; nothing that is stored tells of that."""

    async def scenario(world):
        world.server.during = lambda method, path: (
            method == "PATCH" and path.endswith("/one/status") and world.delete("one")
        )
        world.add(MODELFETCHES, stored(gen.fetch("one"), 10))
        await world.look()
        for path in [path for path in world.server.objects if path.startswith(BATCH)]:
            world.loop.seen(JOBS, "DELETED", world.server.objects.pop(path))
        world.loop._intake.wake_all()
        await world.look()

    assert ["uid-one"] == in_world(scenario).removed()


@pytest.mark.parametrize(("policy", "retain"), [("Delete", False), ("Retain", True)])
def test_private_files_go_under_any_policy(policy, retain):
    """deletionPolicy is about what was published; what an attempt left unpublished is of no use to anybody."""

    async def scenario(world):
        world.add(MODELFETCHES, stored(gen.fetch("one", deletionPolicy=policy), 10, attempt={"number": 1}))
        await drain(world.loop)
        world.delete("one")
        await world.look()

    (order,) = in_world(scenario).made("remove")

    assert [("uid-one", retain)] == [(target["owner"], target["retain"]) for target in order["targets"]]


def test_nothing_is_removed_while_an_orphaned_pod_may_write():
    """The garbage collector takes the Job first; its Pod may publish until it has ended."""

    async def scenario(world):
        world.add(MODELFETCHES, stored(gen.fetch("one"), 10, attempt={"number": 1}, phase="Ready"))
        await world.look()
        labels = {"modelfetch.io/fetch": "uid-one", "app.kubernetes.io/managed-by": "modelfetch-operator"}
        meta = {"name": "p", "namespace": NAMESPACE, "uid": "pod", "resourceVersion": "11", "labels": labels}
        world.loop.seen(PODS, "ADDED", {"metadata": meta, "status": {"phase": "Running"}})
        world.delete("one")
        await world.look()

    assert [] == in_world(scenario).made("remove")


async def _start_and_forget(world):
    """Have a Job made for `one` that goes before any status tells of it; then the fetch is suspended, and told so."""
    refuse = world.server.refuse
    world.server.refuse = lambda method, path: (
        refused(409, "Conflict") if method == "PATCH" and path.endswith("/one/status") else None
    )
    world.add(MODELFETCHES, stored(gen.fetch("one"), 10))
    await world.look()
    world.server.refuse = refuse
    for path in [path for path in world.server.objects if path.startswith(BATCH)]:
        world.loop.seen(JOBS, "DELETED", world.server.objects.pop(path))
    world.edit("one", suspend=True)
    await world.look()


def test_a_job_that_went_before_any_status_told_of_it_is_remembered():
    """It was deleted by hand, and the fetch suspended meanwhile: its status never tells of an attempt."""

    async def scenario(world):
        await _start_and_forget(world)
        assert "attempt" not in world.server.objects[f"{FETCHES}/one"]["status"]
        world.delete("one")
        await world.look()

    assert ["uid-one"] == in_world(scenario).removed()


def test_a_job_of_the_operator_before_is_reckoned_with():
    """It may have ended right after it made one: whatever was there at the start may have files."""

    async def scenario(world):
        world.add(MODELFETCHES, stored(gen.fetch("one", suspend=True), 10))
        await world.look()
        world.loop._fetches._departed._started.clear()
        await world.loop.prime()
        await world.look()
        world.delete("one")
        await world.look()

    assert ["uid-one"] == in_world(scenario).removed()


def test_for_a_fetch_that_never_started_nothing_is_removed():
    """It came while this operator worked, and its Job was refused."""

    async def scenario(world):
        world.server.refuse = lambda method, path: (
            refused(403, "Forbidden", "exceeded quota") if method == "POST" and path == BATCH else None
        )
        world.add(MODELFETCHES, stored(gen.fetch("one"), 10))
        await world.look()
        world.server.refuse = lambda _method, _path: None
        world.delete("one")
        await world.look()

    assert [] == in_world(scenario).made("remove")


def test_what_a_list_from_the_past_does_not_show_is_remembered():
    """The API server has the fetch after all (F33); when it goes indeed, what it may have left goes, too."""

    async def scenario(world):
        await _start_and_forget(world)
        world.server.refuse = lambda _, path: (
            web.json_response({"items": []}) if path.endswith("/modelfetches") else None
        )
        await world.loop.resync()
        await world.look()
        world.server.refuse = lambda _method, _path: None
        await world.loop.resync()
        await world.look()
        assert [] == world.made("remove")
        world.delete("one")
        await world.look()

    assert ["uid-one"] == in_world(scenario).removed()


def test_a_removal_that_is_refused_is_not_asked_for_before_its_time():
    """A quota does not grow within seconds, whoever else has the store looked at."""
    asked = []

    async def scenario(world):
        world.add(MODELFETCHES, stored(gen.fetch("one", suspend=True), 10, attempt={"number": 1}, phase="Ready"))
        await world.look()

        def refuse(method, path):
            if method == "POST" and path == BATCH:
                asked.append(path)
                return refused(403, "Forbidden", "exceeded quota")
            return None

        world.loop._stores._clock, world.server.refuse = StandingClock(), refuse
        world.delete("one")
        for _ in range(3):
            world.loop.queue.add(DEFAULT)
            await world.look()
        world.loop._stores._clock = LeapingClock()
        world.loop.queue.add(DEFAULT)
        await world.look()

    in_world(scenario)

    assert 2 == len(asked), "at once, and a minute later"


def test_nothing_is_removed_while_a_pod_that_no_watch_told_of_may_write():
    """Its Job is gone, and the Pods' watch is behind: the API server is asked, and not only what is known."""
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods"

    async def scenario(world):
        world.add(MODELFETCHES, stored(gen.fetch("one", suspend=True), 10, attempt={"number": 1}, phase="Ready"))
        await world.look()
        meta = {"name": "p", "namespace": NAMESPACE, "uid": "pod", "labels": {"modelfetch.io/fetch": "uid-one"}}
        world.server.objects[f"{pods}/p"] = {"metadata": meta, "status": {"phase": "Running"}}
        world.delete("one")
        await world.look()
        assert [] == world.made("remove")
        del world.server.objects[f"{pods}/p"]
        world.loop.queue.add(DEFAULT)
        await world.look()

    assert ["uid-one"] == in_world(scenario).removed()


def test_a_fetch_that_goes_while_the_server_says_it_is_there_is_removed():
    """The list that did not show it was from the past (F33); its end is told before the answer is taken in."""

    async def scenario(world):
        one = stored(gen.fetch("one", suspend=True), 10, attempt={"number": 1}, phase="Ready")
        world.add(MODELFETCHES, one)
        await world.look()
        asked = []

        def tell(method, path):
            if (method, path) == ("GET", f"{FETCHES}/one"):
                asked.append(path)
                if len(asked) == 1:
                    world.loop.seen(MODELFETCHES, "DELETED", copy.deepcopy(one))
                else:
                    del world.server.objects[path]

        world.server.during = tell
        world.loop.seen(MODELFETCHES, "DELETED", copy.deepcopy(one))
        await world.look()

    assert ["uid-one"] == in_world(scenario).removed()


def test_a_removal_whose_job_may_not_be_deleted_is_done_nevertheless():
    """What it told counts; the store goes on, and asks again later for the Job's end."""
    seen = []

    async def scenario(world):
        world.add(MODELFETCHES, stored(gen.fetch("one"), 10, attempt={"number": 1}, phase="Ready"))
        await drain(world.loop)
        world.delete("one")
        await world.look()
        (path,) = (path for path in world.server.objects if path.startswith(BATCH))
        ended = [{"type": "Complete", "status": "True", "lastTransitionTime": "2030-01-01T00:00:00Z"}]
        job = copy.deepcopy(world.server.objects[path]) | {"status": {"succeeded": 1, "conditions": ended}}
        job["metadata"]["resourceVersion"] = "900"
        world.server.refuse = lambda method, _: refused(403, "Forbidden") if method == "DELETE" else None
        world.loop.seen(JOBS, "MODIFIED", job)
        world.add(MODELFETCHES, stored(gen.fetch("two"), 20, attempt={"number": 1}, phase="Ready"))
        await world.look()
        world.loop.queue.add(DEFAULT)
        await world.look()
        seen.append("DELETE" in {method for method, _ in world.server.requests})
        seen.append(world.server.objects[f"{STORES}/default"]["status"]["fetches"]["total"])

    in_world(scenario)

    assert [True, 1] == seen
