"""Publishers and removals that run at the same time, in every order that two of them can have at each step."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.crash.forker import OPENING
from tests.crash.scenarios import SCENARIOS, Act
from tests.crash.turns import Turns
from tests.unit.store import samples

REMOVE = SCENARIOS["removal"].run
# What runs beside the removal of llama's first owner, and what must hold whichever of the two is first.
BESIDE = ("neighbour", "takeover")
SCHEDULES = 150
"""Random orders for each pair; with 60 to 250 steps a pair, found by planting the bugs of the removal's docstring."""


def finished(root: Path, links: str) -> list[str]:
    """Return what is wrong once everything has ended and a last removal has tidied up."""
    found = samples.violations(root)
    REMOVE(str(root), samples.filesystem(links))
    return found + samples.violations(root) + samples.leftovers(root)


def at_every_step(outer: Act, inner: Act, name: str, links: str, folder: Path) -> list[object]:
    """Run `inner` as a whole at every step of `outer`; return the steps at which something was wrong."""
    scenario, clean = SCENARIOS[name], samples.filesystem(links)
    steps: list[str] = []
    scenario.before(str(folder / "reference"), clean)
    outer(str(folder / "reference"), samples.filesystem(links, steps.append))
    wrong: list[object] = []
    for number, step in enumerate(steps):
        if step.split(" ")[1].startswith(OPENING):
            continue
        root = folder / str(number)
        scenario.before(str(root), clean)
        outer(str(root), samples.filesystem(links, samples.nth(number, partial(inner, str(root), clean))))
        found = finished(root, links)
        if found or not scenario.is_done(root):
            wrong.append((step, found, scenario.is_done(root)))
    return wrong


@pytest.mark.parametrize("links", ["hard", "symbolic"])
@pytest.mark.parametrize("name", BESIDE)
def test_a_removal_at_every_step_of_a_publish(name: str, links: str, quick_folder: Path) -> None:
    """A publish that has returned stands, with manifest, blobs and tree, whenever a removal came between."""

    assert [] == at_every_step(SCENARIOS[name].run, REMOVE, name, links, quick_folder)


@pytest.mark.parametrize("links", ["hard", "symbolic"])
@pytest.mark.parametrize("name", BESIDE)
def test_a_publish_at_every_step_of_a_removal(name: str, links: str, quick_folder: Path) -> None:
    """A model that is published in the middle of a removal stays, and so does all that it shares."""

    assert [] == at_every_step(REMOVE, SCENARIOS[name].run, name, links, quick_folder)


def act(scenario: str, root: Path, links: str) -> Callable[[Callable[[str], None]], None]:
    return lambda hook: SCENARIOS[scenario].run(str(root), samples.filesystem(links, hook))


@pytest.mark.parametrize("links", ["hard", "symbolic"])
@pytest.mark.parametrize("name", BESIDE)
def test_random_orders_of_a_publish_and_a_removal(name: str, links: str, quick_folder: Path) -> None:
    """Step by step in any order: the publish ends well, and what it published stands."""
    wrong = []
    for seed in range(SCHEDULES):
        root = quick_folder / str(seed)
        SCENARIOS[name].before(str(root), samples.filesystem(links))
        errors = Turns(seed).run({"publish": act(name, root, links), "removal": act("removal", root, links)})
        found = finished(root, links)
        if errors or found or not SCENARIOS[name].is_done(root):
            wrong.append((seed, errors, found))

    assert [] == wrong


@pytest.mark.parametrize("links", ["hard", "symbolic"])
def test_random_orders_of_two_publishers_and_a_removal(links: str, quick_folder: Path) -> None:
    """Two attempts that publish the same model while another one goes away end with one tree and one file a digest."""
    wrong = []
    for seed in range(SCHEDULES // 3):
        root = quick_folder / str(seed)
        SCENARIOS["neighbour"].before(str(root), samples.filesystem(links))
        acts = {"one": act("neighbour", root, links), "other": act("neighbour", root, links)}
        errors = Turns(seed).run({**acts, "removal": act("removal", root, links)})
        found = finished(root, links)
        if errors or found or not SCENARIOS["neighbour"].is_done(root):
            wrong.append((seed, errors, found))

    assert [] == wrong


def test_two_removals_at_once(quick_folder: Path) -> None:
    """Two removals of the same model, step by step in any order, both end well and leave the other model whole."""
    wrong = []
    for seed in range(SCHEDULES // 3):
        root = quick_folder / str(seed)
        SCENARIOS["removal"].before(str(root), samples.filesystem("hard"))
        errors = Turns(seed).run({name: act("removal", root, "hard") for name in ("one", "other")})
        found = finished(root, "hard")
        if errors or found or not SCENARIOS["removal"].is_done(root):
            wrong.append((seed, errors, found))

    assert [] == wrong


def test_the_turns_are_taken() -> None:
    """The orders of different seeds differ, so that many seeds are many orders."""

    def order(seed: int) -> tuple[str, ...]:
        taken: list[str] = []

        def walk(name: str, hook: Callable[[str], None]) -> None:
            for _ in range(10):
                hook("step")
                taken.append(name)

        Turns(seed).run({"a": partial(walk, "a"), "b": partial(walk, "b")})
        return tuple(taken)

    assert len({order(seed) for seed in range(20)}) > 15
