"""What a full list brings: news that no watch has told of, and nothing that a watch has told of since."""

import copy

import pytest
from aiohttp import web

from modelfetch.kube.objects import MODELFETCHES
from tests import gen
from tests.unit.controller.loop.world import BATCH, FETCHES, drain, in_world, stored


def _another():
    """Return the fetch that has the name `one` by now."""
    again = stored(gen.fetch("one", suspend=True), 900)
    again["metadata"]["uid"] = "another"
    return again


@pytest.mark.parametrize("everybody", [False, True])
def test_a_list_wakes_whom_it_brings_news_of(everybody):
    """A list soon after the start, when all was looked at, costs a look at what nobody told of, and no more."""
    woken = []

    async def scenario(world):
        for number, name in enumerate(("same", "edited", "gone"), start=10):
            world.add(MODELFETCHES, stored(gen.fetch(name), number))
        await world.look()
        await world.loop.resync()
        await drain(world.loop)
        world.server.objects[f"{FETCHES}/edited"]["metadata"]["resourceVersion"] = "900"
        del world.server.objects[f"{FETCHES}/gone"]
        await world.loop.resync(everybody=everybody)
        woken.extend(await drain(world.loop))

    in_world(scenario)

    others = ["ModelFetch/same"] if everybody else []
    assert ["ModelFetch/edited", *others, "ModelStore/default"] == woken


def test_what_a_watch_tells_during_a_list_is_not_undone_by_it():
    """It is of the moment it was asked for: another fetch of that name, which came since, is not taken for gone."""

    async def scenario(world):
        before = stored(gen.fetch("one", suspend=True), 10)
        again = _another()
        world.add(MODELFETCHES, before)
        await world.look()

        def tell(_, path):
            if path.endswith("/modelfetches"):
                world.loop.seen(MODELFETCHES, "DELETED", copy.deepcopy(before))
                world.loop.seen(MODELFETCHES, "ADDED", copy.deepcopy(again))

        world.server.during = tell
        await world.loop.resync()

    assert ["another"] == [body["metadata"]["uid"] for body in in_world(scenario).loop.mirror.all(MODELFETCHES)]


def test_what_went_while_nobody_watched_is_forgotten():
    """Also where its last version came during the list that shows another fetch of its name."""

    async def scenario(world):
        one = stored(gen.fetch("one", suspend=True), 10, attempt={"number": 1})
        again = _another()
        world.add(MODELFETCHES, one)
        await world.look()

        def tell(_, path):
            if path.endswith("/modelfetches"):
                late = copy.deepcopy(one)
                late["metadata"]["resourceVersion"] = "800"
                world.loop.seen(MODELFETCHES, "MODIFIED", late)
                world.server.objects[f"{FETCHES}/one"] = again

        world.server.during = tell
        await world.loop.resync()
        await world.look()

    assert ["uid-one"] == in_world(scenario).removed()


def test_a_watch_that_hides_another_fetch_of_a_name_is_silent():
    """Nobody tells that one has gone and another has come: the operator is to be started again."""
    said = []

    async def scenario(world):
        world.add(MODELFETCHES, stored(gen.fetch("one", suspend=True), 10))
        await world.look()
        again = _another()
        world.server.objects[f"{FETCHES}/one"] = again
        await world.loop.resync()
        said.extend(world.loop.vigil.silent() for _ in range(3))

    in_world(scenario)

    assert "ModelFetch" in said[-1]


def test_of_what_went_during_a_list_nobody_need_tell_again():
    """Its end was told while the list was on its way: the watch is not taken for silent."""
    said = []

    async def scenario(world):
        one = stored(gen.fetch("one", suspend=True), 10)
        world.add(MODELFETCHES, one)
        await world.look()
        world.server.during = lambda _, path: (
            path.endswith("/modelfetches") and world.loop.seen(MODELFETCHES, "DELETED", copy.deepcopy(one))
        )
        await world.loop.resync()
        said.extend(world.loop.vigil.silent() for _ in range(3))

    assert [] == list(in_world(scenario).loop.mirror.all(MODELFETCHES))
    assert [None] * 3 == said


@pytest.mark.parametrize("is_known", [True, False])
def test_who_waited_before_a_restart_has_its_turn(is_known):
    """The most urgent starts, in whatever order an operator that has just started looks at them."""
    status = {"observedGeneration": 1, "phase": "Queued"} if is_known else {}

    async def scenario(world):
        for number, (name, priority) in enumerate((("apple", 0), ("urgent", 1000), ("zebra", 0)), start=10):
            body = stored(gen.fetch(name, priority=priority), number, **status)
            world.server.objects[f"{FETCHES}/{name}"] = body
        await world.loop.prime()
        for _ in range(3):
            await world.look()

    (order,) = in_world(scenario, slots=1).made("fetch")
    assert "urgent" == order["name"]


def test_a_job_that_runs_is_asked_for_before_it_is_taken_for_gone():
    """A list of before it was made says nothing of it, and no other is made in its place; one that is gone is."""
    made = []

    async def scenario(world):
        world.add(MODELFETCHES, stored(gen.fetch("one"), 10))
        await world.look()
        world.server.refuse = lambda _, path: (
            web.json_response({"items": []}) if path == "/apis/batch/v1/jobs" else None
        )
        for is_gone in (False, True):
            if is_gone:
                world.server.objects = {at: o for at, o in world.server.objects.items() if not at.startswith(BATCH)}
            await world.loop.resync()
            await world.look()
            made.append([path for method, path in world.server.requests if method == "POST" and path == BATCH])

    in_world(scenario)

    assert [1, 2] == [len(paths) for paths in made]
