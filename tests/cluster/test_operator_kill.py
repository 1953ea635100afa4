"""The operator is killed again and again at random moments, and each time started anew; all ends as if it never was.

The moments come from the run's seed, which pytest prints first and a failure repeats. While the operator lives and
while it does not, ModelFetches are edited, deleted, suspended and resumed.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from modelfetch.devcluster.hub.content import Weights
from modelfetch.devcluster.hub.hub import FixtureHub
from modelfetch.devcluster.hub.repository import RepoSpec
from modelfetch.devcluster.hub.rules import Match, Rule, Status
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.outcome import attempts, left_by, wait_settled
from tests.cluster.world import Object, World, repo, slow, until

MIB = 1 << 20
KILLS = 16
LONGEST_LIFE_S = 1.5
NAMES = ("plain", "edited", "dropped", "finished", "resumed", "retried", "paused")
"""One ModelFetch each; `missing` besides, which no hub has."""
END = {
    "plain": "Ready",
    "edited": "Ready",
    "resumed": "Ready",
    "retried": "Ready",
    "paused": "Suspended",
    "missing": "Failed",
}
ATTEMPTS = {"edited": (2,), "resumed": (1, 2), "retried": (2, 3)}
"""How many Jobs a fetch may have had, where not one: who is suspended may have published before it could be stopped."""


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    """A hub of its own, whose models share no weights; the listing of one fails for a whole attempt."""
    specs = [
        RepoSpec(f"acme/{name}", {"config.json": "{}", "model.safetensors": Weights(2 * MIB, seed=n)})
        for n, name in enumerate(NAMES)
    ]
    with FixtureHub(specs) as made:
        actions = (Status(status=503, headers={"Retry-After": "0"}),)
        made.rules.add(Rule(match=Match(port="hub", path="acme/retried", count=6), actions=actions))
        slow(made, 400_000)
        yield made


@dataclass(frozen=True)
class Step:
    """What a user does to `name`, once it is in one of these phases."""

    name: str
    phases: tuple[str, ...]
    act: Callable[[], object]


def steps(world: World, hub: FixtureHub) -> list[Step]:
    """Return what users do, each as soon as its time has come."""
    busy = ("Downloading", "Ready")  # a fetch may end between two looks

    def suspend(name: str, value: bool) -> Callable[[], object]:
        return lambda: world.fetch(name, repo(hub, f"acme/{name}"), suspend=value)

    def edit() -> None:
        world.fetch("edited", repo(hub, "acme/edited"), files={"include": ["config.json"]})

    def delete(name: str) -> Callable[[], object]:
        return lambda: world.kubectl("delete", "modelfetch", name, "--wait=true", "--timeout=30s")

    return [
        Step("edited", busy, edit),
        Step("dropped", busy, delete("dropped")),
        Step("finished", ("Ready",), delete("finished")),
        Step("paused", busy, suspend("paused", True)),
        Step("resumed", busy, suspend("resumed", True)),
        Step("resumed", ("Suspended",), suspend("resumed", False)),
    ]


class Users:
    """Take their steps, the ones for each name in order."""

    def __init__(self, world: World, left: list[Step]) -> None:
        self._world = world
        self.left = left

    def go_on(self) -> None:
        """Take every step whose time has come."""
        phases = {body["metadata"]["name"]: phase_of(body) for body in self._world.all("modelfetch")}
        for name in {step.name for step in self.left}:
            step = next(step for step in self.left if step.name == name)
            if phases.get(name) in step.phases:
                step.act()
                self.left.remove(step)


def phase_of(body: Object) -> str:
    """Return the phase of a ModelFetch, empty before the first."""
    return str((body.get("status") or {}).get("phase", ""))


def live_and_die(operator: OperatorProcess, chance: random.Random, meanwhile: Callable[[], None]) -> None:
    """Start the operator and kill it: before it works, or after a moment of work; `meanwhile` it lives or is dead."""
    operator.start()
    if chance.random() < 0.8:
        operator.wait_running()
    operator.run_for(chance.uniform(0.0, LONGEST_LIFE_S))
    alive = chance.random() < 0.5
    if alive:
        meanwhile()
    operator.kill()
    if not alive:
        meanwhile()


def test_an_operator_killed_at_any_moment_loses_and_repeats_nothing(unmanned, operator, hub, request, tell):
    """Every fetch ends as its spec says, no attempt is made twice, no file of a deleted one and no Job stays."""
    world, seed = unmanned, request.config.option.hypothesis_seed
    chance = random.Random(seed)
    tell(f"the operator's kills: repeat with --hypothesis-seed={seed}")
    users = Users(world, steps(world, hub))
    world.apply({**world_store(world), "spec": {"claimName": "models", "slots": 4}})
    for name in (*NAMES, "missing"):
        retry = {"initialDelay": "1s", "maxDelay": "2s", "limit": 20}
        world.fetch(name, repo(hub, f"acme/{name}"), retry=retry)
    for _ in range(KILLS):
        live_and_die(operator, chance, users.go_on)
    operator.start_and_wait()

    def all_done() -> bool:
        users.go_on()
        return not users.left and END == {b["metadata"]["name"]: phase_of(b) for b in world.all("modelfetch")}

    until(all_done, lambda: world.kubectl("get", "modelfetch", "-o", "wide") + str(users.left))
    wait_settled(world)

    expect_no_needless_work(world, hub)
    expect_nothing_left(world)


def world_store(world: World) -> Object:
    """Return the store of the world, as it is applied."""
    return {"apiVersion": "modelfetch.io/v1alpha1", "kind": "ModelStore", "metadata": {"name": "default"}}


def expect_no_needless_work(world: World, hub: FixtureHub) -> None:
    """No attempt has two Jobs, no fetch has more attempts than its story has, no bytes come twice."""
    made = attempts(world)
    by_fetch = Counter(attempt.fetch for attempt in made)

    assert set(made.values()) == {1}, made
    assert [] == [name for name, count in by_fetch.items() if count not in ATTEMPTS.get(name, (1,))], by_fetch
    whole = [r for r in hub.requests if r.port == "cdn" and r.bytes_sent == 2 * MIB]
    assert len(whole) <= len(NAMES), [r.path for r in whole]


def expect_nothing_left(world: World) -> None:
    """Who is gone has no Job, Pod, tree, private file; who is there has no finalizer; who ended left nothing."""
    there = {body["metadata"]["uid"]: body["metadata"] for body in world.all("modelfetch")}

    def fetching() -> list[Object]:
        return [body["metadata"] for body in world.all("jobs,pods", "-l", "modelfetch.io/task=fetch")]

    def uids() -> set[str]:
        return {meta["labels"]["modelfetch.io/fetch"] for meta in fetching()}

    until(lambda: uids() <= set(there), lambda: f"Jobs or Pods of deleted fetches stay: {uids() - set(there)}")
    models = {path.name for path in (world.volume / "models" / world.namespace).iterdir()}

    assert [] == [meta["name"] for meta in (*fetching(), *there.values()) if meta.get("finalizers")]
    assert {name for name, phase in END.items() if phase == "Ready"} == models - {"paused"}
    until(lambda: left_by(world) <= {world.status("paused")["attempt"]["jobName"]}, lambda: str(left_by(world)))
    assert [] == list((world.volume / "trash").iterdir())
