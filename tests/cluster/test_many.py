"""Two hundred ModelFetches at once: all become Ready, in turn, at a bounded price.

The end of the run tells what it took: seconds, and the operator's writes for each.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from modelfetch.devcluster.hub.hub import FixtureHub
from modelfetch.devcluster.hub.repository import RepoSpec
from modelfetch.kube.client import Kube
from modelfetch.kube.connection import from_kubeconfig
from modelfetch.kube.objects import MODELFETCHES
from tests.cluster.rights import writes_of
from tests.cluster.world import Object, World, model_fetch, repo, until

MANY = 200
SLOTS = {"default": 3, "second": 2}
WITHIN_S = 900.0
WRITES = 12
"""API writes of the operator for one fetch, its queueing left out: the budget of a clean fetch."""
LINES_S = 30.0
"""Seconds between two writes of a place in the queue, at the least."""
PROGRESS_S = 1.0
"""Seconds between two writes of an attempt's progress, at the least: what the embedded operator is told."""


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    """A hub with small models, no two of which are alike."""
    specs = [
        RepoSpec(name_of(n), {"config.json": json.dumps({"n": n}), "model.safetensors": f"weights {n}".encode()})
        for n in range(MANY)
    ]
    with FixtureHub(specs) as made:
        yield made


@pytest.fixture
def world(world: World) -> World:
    """A namespace of its own with two stores."""
    world.apply(*(store(name, slots) for name, slots in SLOTS.items()))
    return world


def name_of(n: int) -> str:
    """Return the repository of the n-th fetch."""
    return f"tiny/m-{n:03}"


def store(name: str, slots: int) -> Object:
    """Return a ModelStore; the default one is the volume itself, as in every world."""
    spec = {"claimName": "models", "slots": slots} | ({} if name == "default" else {"path": name})
    return {"apiVersion": "modelfetch.io/v1alpha1", "kind": "ModelStore", "metadata": {"name": name}, "spec": spec}


def store_of(n: int) -> str:
    """Return the store of the n-th fetch: as many as its slots stand for."""
    return "default" if n % sum(SLOTS.values()) < SLOTS["default"] else "second"


def test_two_hundred_at_once_become_ready(world, hub, tell):
    """Each is published and right, the stores keep to their slots, places are told, and nobody pays for the others."""
    begin = time.monotonic()
    world.apply(*(model_fetch(f"m-{n:03}", repo(hub, name_of(n)), storeRef={"name": store_of(n)}) for n in range(MANY)))
    until(lambda: phases(world) == {"Ready": MANY}, lambda: str(phases(world)), WITHIN_S)
    seconds = time.monotonic() - begin
    world.recorder.catch_up(world.all("modelfetch") + world.all("pods"))
    events = wait_for_events(world)
    writes = writes_of_operator(world)
    each = sum(writes.values()) / MANY
    tell(f"{MANY} ModelFetches at once: {seconds:.0f} s, {each:.1f} API writes of the operator for each")

    assert [] == [n for n in range(MANY) if not is_published(world, n)]
    assert SLOTS == {name: most_pods(world, name) for name in SLOTS}
    assert sum(writes_for(events).values()) == writes["events"]
    assert [] == over_budget(writes, events, world)
    assert set(range(1, 20)) <= places_told(world)


def apply_at_once(world: World, fetches: list[Object]) -> None:
    """Apply all of them in one moment, which kubectl, one after the other, does not."""

    async def apply() -> None:
        async with Kube(from_kubeconfig(Path(world.summary.kubeconfig))) as kube:
            await asyncio.gather(
                *(
                    kube.apply(MODELFETCHES, world.namespace, body["metadata"]["name"], body, manager="user")
                    for body in fetches
                )
            )

    asyncio.run(apply())


def phases(world: World) -> Counter[str]:
    """Return how many fetches are in which phase, as the watch tells: asking would cost what is measured."""
    newest = [versions[-1] for versions in world.recorder.by_uid(MODELFETCHES.kind).values()]
    return Counter((body.get("status") or {}).get("phase") or "none" for body in newest)


def is_published(world: World, n: int) -> bool:
    """Return whether the n-th model is there, byte for byte."""
    root = world.volume if store_of(n) == "default" else world.volume / store_of(n)
    folder = root / "models" / world.namespace / f"m-{n:03}" / "current"
    return (folder / "model.safetensors").read_bytes() == f"weights {n}".encode()


def most_pods(world: World, store_name: str) -> int:
    """Return how many Pods of a store were pending or running at the same time, at the most."""
    alive: set[str] = set()
    most = 0
    for body in world.recorder.versions("Pod"):
        meta = body["metadata"]
        if meta["labels"]["modelfetch.io/store"] == store_name:
            (alive.add if body["status"]["phase"] in ("Pending", "Running") else alive.discard)(meta["uid"])
            most = max(most, len(alive))
    return most


def writes_of_operator(world: World) -> Counter[str | None]:
    """Return the operator's writes by what they are about: a ModelFetch by its name, anything else by its kind."""
    calls = [call for call in writes_of(world.summary) if call.namespace == world.namespace]
    kinds = [call.right[1].partition("/")[0] for call in calls]
    return Counter(call.name if kind == "modelfetches" else kind for call, kind in zip(calls, kinds, strict=True))


def wait_for_events(world: World) -> list[Object]:
    """Return the operator's Events once all are posted: that of a fetch that is Ready comes last of all."""
    found: list[Object] = []

    def are_posted() -> bool:
        found[:] = world.all("events", "--field-selector=involvedObject.kind=ModelFetch")
        return MANY == len([event for event in found if event["reason"] == "Published"])

    until(are_posted, lambda: str(Counter(event["reason"] for event in found)))
    return found


def writes_for(events: list[Object]) -> Counter[str]:
    """Return how many writes these Events took, by the fetch: one each, and two each time that one was told again."""
    found: Counter[str] = Counter()
    for event in events:
        found[event["involvedObject"]["name"]] += 2 * event["count"] - 1
    return found


def over_budget(writes: Counter[str], events: list[Object], world: World) -> list[str]:
    """Return the fetches whose statuses, Events and Job took more writes than a clean fetch may.

    Apart from those that tell of time: that a fetch waits and at which place, progress while its attempt runs, which on
    a busy machine takes as long as it takes.
    """
    jobs = writes["jobs"]
    assert jobs == MANY, "one Job each, and none is touched again"
    fetches = {body["metadata"]["name"]: body for body in world.all("modelfetch")}
    news = writes_for([event for event in events if event["reason"] != "Queued"])
    counted = {name: writes[name] + news[name] + 1 for name in fetches}
    return [
        f"{name}: {count} writes" for name, count in counted.items() if count > WRITES + told_of_time(fetches[name])
    ]


def told_of_time(body: Object) -> float:
    """Return how many writes the rates allow between creation, the start of the attempt, and Ready."""
    ready = next(c for c in body["status"]["conditions"] if c["type"] == "Ready")
    moments = body["metadata"]["creationTimestamp"], body["status"]["attempt"]["startedAt"], ready["lastTransitionTime"]
    created, started, ended = map(datetime.fromisoformat, moments)
    return (started - created).total_seconds() / LINES_S + (ended - started).total_seconds() / PROGRESS_S


def places_told(world: World) -> set[int]:
    """Return every place in a queue that a status ever told."""
    statuses = [body.get("status") or {} for body in world.recorder.versions("ModelFetch")]
    return {status["queue"]["position"] for status in statuses if status.get("queue")}
