"""Whole lives of fetches (suspended, resumed, edited, deleted) beside faults of every kind, by turns and by chance.

The operator is started again where it has ended, as a kubelet would; in the end all is as it was asked for.
"""

import random
from collections.abc import Callable

import pytest

from tests.api_faults.actions import Action, Answer, Delay, Reset, Truncate
from tests.api_faults.generated import random_rules
from tests.api_faults.rules import Match, Phase, Rule
from tests.cluster.api_faults.ground import Ground
from tests.cluster.world import repo, slow, until

LIVING = ("m0", "m1", "m2", "m3")
RULES = 60
SLOW_BYTES_PER_S = 2_500
"""A model takes half a minute: it is edited, suspended and deleted before it has come. What was verified by then and is
wanted by nobody any more stays on the volume for a week."""
KINDS = ("jobs", "modelfetches/status", "modelstores/status", "events")
FAULTS: tuple[tuple[Action, Phase], ...] = (
    (Answer(500), "before"),
    (Reset(), "after"),
    (Truncate(40), "after"),
    (Answer(409, "Conflict", "the object has been modified"), "before"),
)


def live(ground: Ground) -> None:
    """Return once each of them has had its life: fetched, edited, suspended and resumed, deleted and made anew."""
    slow(ground.hub, SLOW_BYTES_PER_S)
    for name in LIVING:
        ground.world.fetch(name, repo(ground.hub, f"acme/{name}"))
    wait_all(ground, lambda phases: len(phases) == len(LIVING) and "Downloading" in phases.values())
    ground.world.fetch("m1", repo(ground.hub, "acme/m4"))
    ground.world.fetch("m2", repo(ground.hub, "acme/m2"), suspend=True)
    ground.world.kubectl("delete", "modelfetch", "m3", "--wait=false")
    wait_all(ground, lambda phases: phases.get("m2") == "Suspended" and "m3" not in phases)
    ground.hub.rules.clear()
    for name in ("m2", "m3"):
        ground.world.fetch(name, repo(ground.hub, f"acme/{name}"), suspend=False)
    wait_all(ground, lambda phases: phases == dict.fromkeys(LIVING, "Ready"))


def wait_all(ground: Ground, hold: Callable[[dict[str, str]], bool]) -> None:
    """Return once the phases of all fetches are as `hold` wants them."""

    def they_do() -> bool:
        if not ground.operator.is_running():
            ground.operator.start()
        return hold(ground.phases())

    until(they_do, lambda: f"{ground.phases()}: {ground.operator.said()}", within_s=240.0)


def test_f22_every_write_of_whole_lives(ground: Ground) -> None:
    """Every second of each kind fails, in one of four ways: before it is done, or after, unanswered or cut off."""
    for kind in KINDS:
        for turn, (fault, phase) in enumerate(FAULTS, 1):
            ground.plan(Rule(Match("write", kind), fault, phase, nth=2 * turn, every=2 * len(FAULTS), times=None))
    ground.plan(Rule(Match("delete", "jobs"), Reset(), "after"), Rule(Match("delete", "jobs"), Delay(2.0), nth=2))
    ground.operator.start_and_wait()
    live(ground)

    assert all(ground.proxy.plan.met()), ground.proxy.plan.met()


def test_any_faults_at_any_time(ground: Ground, request: pytest.FixtureRequest, tell: Callable[[str], None]) -> None:
    """Sixty of them by chance, of writes, reads and watches; another seed has others."""
    seed = request.config.option.hypothesis_seed
    ground.operator.list_often()
    ground.plan(*random_rules(random.Random(seed), RULES))
    ground.operator.start()
    live(ground)

    tell(f"api faults by chance: {sum(map(bool, ground.proxy.plan.met()))} of {RULES} happened, seed {seed}")
