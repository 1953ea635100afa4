"""Many resources, troubles and people for a while; then quiet: nothing lost, wrong, stuck or left behind.

`make test` has the short form; `make soak-operator` 500 resources for ten minutes, a trouble every 30 seconds, as long
as SOAK_SECONDS says. The order of events comes from the run's seed, but how they meet does not.
"""

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelfetch.devcluster.hub.hub import FixtureHub
from modelfetch.devcluster.hub.repository import RepoSpec
from modelfetch.devcluster.summary import Summary
from tests.cluster import rights
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.oracles import expect_all_holds
from tests.cluster.outcome import holders_of, left_by, left_to, wait_settled
from tests.cluster.shared import shared_cluster
from tests.cluster.soak.troubles import Troubles
from tests.cluster.soak.users import Users, Wish
from tests.cluster.world import World, new_world, until, with_token

# make hands on the variables that it knows, empty where nobody has set them.
RESOURCES = int(os.environ.get("SOAK_RESOURCES") or "16")
SECONDS = float(os.environ.get("SOAK_SECONDS") or "45")
EVERY_S = float(os.environ.get("SOAK_EVERY_S") or "9")
QUIET_WITHIN_S = 300.0 + RESOURCES * 2.0
GROWTH = 0.05
"""Of the operator's memory, from the first to the last look at all resources while it is left alone."""
GROWTH_MIB = 3.0
"""What a few seconds may add to a process that has just been started, whatever it does."""
GROWTH_FILES = 8
"""File descriptors that may come: connections are made and kept as they are needed."""
LOOKS = max(3, RESOURCES // 25)
"""At all of them, with nobody killed between; many, where many have been troubled."""
STEP_S = 1.5


@pytest.fixture(scope="module")
def cluster_of_its_own() -> Iterator[Summary]:
    """A cluster whose API server may be killed: nobody else uses it."""
    with shared_cluster("soak", ["--without", "hub", "--without", "operator", "--audit"], Path(__file__)) as summary:
        yield summary
        assert [] == rights.refused(summary)


@pytest.fixture
def world(cluster_of_its_own: Summary, tmp_path: Path) -> Iterator[World]:
    """A namespace with a store of four slots."""
    with new_world(cluster_of_its_own, tmp_path / "volume") as made:
        store = {"apiVersion": "modelfetch.io/v1alpha1", "kind": "ModelStore", "metadata": {"name": "default"}}
        made.apply({**store, "spec": {"claimName": "models", "slots": 4}})
        yield with_token(made)


@pytest.fixture
def operator(world: World, tmp_path: Path) -> Iterator[OperatorProcess]:
    """The operator, at work."""
    process = OperatorProcess(world.summary, tmp_path / "operator.log")
    process.start_and_wait()
    yield process
    process.kill()


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    """A hub with a small model for each resource."""
    with FixtureHub([RepoSpec(f"soak/{name}", files_of(name)) for name in names()]) as made:
        yield made


def names() -> list[str]:
    """Return the resources."""
    return [f"m-{number:03}" for number in range(RESOURCES)]


def files_of(name: str) -> dict[str, str]:
    """Return a model of its own."""
    return {"config.json": f'{{"name": "{name}"}}', "model.safetensors": f"weights of {name} " * 2000}


def test_nothing_is_lost_wrong_stuck_or_left(world, operator, hub, request, tell):
    """Whatever was killed, cut, deleted or edited: each fetch is what its spec says, and nothing else is there."""
    seed = request.config.option.hypothesis_seed
    chance = random.Random(seed)
    users, troubles = Users(world, hub, chance), Troubles(world, operator, hub, chance)
    happened = Counter()
    users.want_all(names())
    since, begin, passing = rights.now(world.summary), time.monotonic(), threading.Event()
    due_s = EVERY_S / 2
    while (passed_s := time.monotonic() - begin) < SECONDS:
        troubles.look_after_the_operator()
        users.act()
        if passed_s >= due_s:
            happened[troubles.any()] += 1
            due_s += EVERY_S
        passing.wait(STEP_S)
    troubles.end()
    until(lambda: not users.unfulfilled(), lambda: f"stuck: {users.unfulfilled()}", QUIET_WITHIN_S)
    wait_settled(world)

    told = ", ".join(f"{name} {count}" for name, count in sorted(happened.items()))
    tell(f"soak: {RESOURCES} resources, {SECONDS:g} s, {users.dropped} deleted and made anew; {told}; seed {seed}")
    expect_right(world, users)
    expect_nothing_left(world, users)
    expect_no_growth(world, operator, tell)
    expect_all_holds(world, operator, since)


def expect_right(world: World, users: Users) -> None:
    """Whoever is Ready has exactly the wanted files, byte for byte."""
    for name, wish in users.wishes.items():
        if not wish.suspended:
            expect_files(world.published(name), name, wish)


def expect_files(folder: Path, name: str, wish: Wish) -> None:
    """The wanted ones are there with the right bytes, and no other."""
    there = {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}

    assert {file: files_of(name)[file].encode() for file in wish.files} == there, name


def expect_nothing_left(world: World, users: Users) -> None:
    """No Job or Pod of a fetch that is gone, one Job at most of each other, private files of suspended ones only."""
    there = {body["metadata"]["uid"]: body["metadata"]["name"] for body in world.all("modelfetch")}

    def spare() -> list[str]:
        """Jobs and Pods of fetches that are gone, and Jobs beside a fetch's own."""
        found = world.all("jobs,pods", "-l", "modelfetch.io/task=fetch")
        owners = [(body["kind"], body["metadata"]["labels"]["modelfetch.io/fetch"]) for body in found]
        counts = Counter(owner for kind, owner in owners if kind == "Job")
        return [uid for _, uid in owners if uid not in there] + [uid for uid, count in counts.items() if count > 1]

    until(lambda: not spare(), lambda: f"Jobs or Pods too many: {spare()}")
    suspended = {name for name, wish in users.wishes.items() if wish.suspended}
    may_stay = holders_of([body for body in world.all("modelfetch") if body["metadata"]["name"] in suspended])
    until(lambda: left_to(world) <= may_stay, lambda: f"private files: {left_by(world)} of {left_to(world)}: {there}")
    trees = {path.name for path in (world.volume / "models" / world.namespace).iterdir()}
    assert set(users.wishes) - suspended <= trees <= set(users.wishes)
    assert [] == list((world.volume / "trash").iterdir())


def expect_no_growth(world: World, operator: OperatorProcess, tell) -> None:
    """Looking at all of them again and again takes no more memory, nor file descriptors, once it has warmed up."""
    sizes, files = [], []
    for number in range(LOOKS + 1):
        world.kubectl("annotate", "--overwrite", "modelfetch", "--all", f"soak/look={number}")
        operator.run_for(STEP_S)
        sizes.append(operator.rss_mib())
        files.append(operator.files())
    tell(f"soak: memory of the operator, MiB: {', '.join(f'{size:.1f}' for size in sizes)}; files: {files}")

    assert sizes[-1] - sizes[0] <= max(GROWTH * sizes[0], GROWTH_MIB), sizes
    assert files[-1] - files[0] <= GROWTH_FILES, files
