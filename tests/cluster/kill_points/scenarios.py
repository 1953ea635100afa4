"""The scenarios: what users do and what befalls fetchers, each told as one coroutine.

Comes in: a Stage whose operator is on. Goes out: `SCENARIOS` by name. Each goes on from what the API server says, and
ends where all has come about that was wanted; a sentence says what that is.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from modelfetch.reasons import Reason
from tests.cluster.kill_points.stage import Stage
from tests.simulation.process import Plan

Story = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True)
class Scenario:
    """A story; `elects` where the operators agree by a Lease on the one that leads."""

    tell: Story
    elects: bool = False


async def _begin(stage: Stage, *names: str, slots: int = 3, **spec: Any) -> None:
    """A claim, a store, and fetches; one after the other, so that each run has the same order."""
    await stage.claim()
    await stage.store(slots)
    for name in names:
        await stage.fetch(name, **spec)


async def _have_ready(stage: Stage, *names: str, **spec: Any) -> None:
    await _begin(stage, *names, **spec)
    for name in names:
        await stage.comes(name, "Ready")
    await stage.settled()


async def _have_downloading(stage: Stage, name: str) -> None:
    stage.cast.hold(name)
    await _begin(stage, name)
    await stage.comes(name, "Downloading")


async def clean_fetch(stage: Stage) -> None:
    """Published and Ready."""
    await _have_ready(stage, "m")


async def handover(stage: Stage) -> None:
    """The first operator makes the Lease, works and gives it up; the next one takes it and has nothing to do."""
    await _have_ready(stage, "m")
    await stage.shift.stop()
    await stage.shift.begin()
    await stage.settled()


async def failure_then_success(stage: Stage) -> None:
    """The second attempt is Ready."""
    stage.cast.plans["m"].append(Plan(0.0, "failed", at_step=1, reason=Reason.SOURCE_UNAVAILABLE))
    await _have_ready(stage, "m")


async def terminal_failure(stage: Stage) -> None:
    """Failed for good, after one attempt."""
    stage.cast.plans["m"].append(Plan(0.0, "failed", at_step=1, reason=Reason.SOURCE_NOT_FOUND))
    await _begin(stage, "m")
    await stage.comes("m", "Failed", Reason.SOURCE_NOT_FOUND)
    await stage.settled()


async def two_fetches_one_slot(stage: Stage) -> None:
    """The second waits for the first; both are Ready."""
    stage.cast.hold("a")
    await _begin(stage, "a", slots=1)
    await stage.comes("a", "Downloading")
    await stage.fetch("b")
    await stage.comes("b", "Queued")
    stage.release("a")
    await stage.comes("a", "Ready")
    await stage.comes("b", "Ready")
    await stage.settled()


async def suspend(stage: Stage) -> None:
    """A download is stopped."""
    await _have_downloading(stage, "m")
    await stage.fetch("m", suspend=True)
    await stage.comes("m", "Suspended")
    await stage.settled()


async def resume(stage: Stage) -> None:
    """A download that was stopped goes on, and is Ready."""
    await suspend(stage)
    stage.release("m")
    await stage.fetch("m", suspend=False)
    await stage.comes("m", "Ready")
    await stage.settled()


async def edit_in_mid_download(stage: Stage) -> None:
    """What the new spec asks for is Ready."""
    await _have_downloading(stage, "m")
    stage.cast.hold_no_more("m")
    await stage.fetch("m", files={"include": ["*.json"]})
    await stage.comes("m", "Ready")
    await stage.settled()


async def delete_while_downloading(stage: Stage) -> None:
    """Nothing is left, on the volume either."""
    await _have_downloading(stage, "m")
    await stage.delete("m")
    await stage.settled()


async def delete_after_ready(stage: Stage) -> None:
    """The tree goes."""
    await _have_ready(stage, "m")
    await stage.delete("m")
    await stage.settled()


async def delete_after_ready_with_retain(stage: Stage) -> None:
    """The tree stays."""
    await _have_ready(stage, "m", deletionPolicy="Retain")
    await stage.delete("m")
    await stage.settled()


async def look_asked_for(stage: Stage) -> None:
    """Of a Ready fetch somebody wants the newest commit: it is Ready all the time, then with that one."""
    await _have_ready(stage, "m")
    stage.cast.commit = "1" * 40
    await stage.fetch("m", asked="now")
    await stage.comes_with("m", stage.cast.commit)
    await stage.settled()


async def deletion_that_nobody_saw(stage: Stage) -> None:
    """A survey finds the tree of whom nobody knows any more, and a removal takes it; the other one stays."""
    await _have_ready(stage, "a", "b")
    stage.shift.end()
    await stage.delete("a")
    await stage.shift.begin()
    await stage.settled()


async def model_that_went(stage: Stage) -> None:
    """What is not on its volume any more is not Ready any more; it is fetched again, and nobody has to look again."""
    await _have_ready(stage, "a", "b")
    stage.shift.end()
    await stage.lose("a")
    await stage.shift.begin()
    await stage.comes_again("a")
    await stage.nobody_asks()
    await stage.settled()


async def claim_that_comes_later(stage: Stage) -> None:
    """StorageNotReady until the claim is there; then Ready."""
    await stage.store()
    await stage.fetch("m")
    await stage.comes("m", "Pending", Reason.STORAGE_NOT_READY)
    await stage.claim()
    await stage.comes("m", "Ready")
    await stage.settled()


async def store_that_comes_later(stage: Stage) -> None:
    """StorageNotReady until the store is there; then Ready."""
    await stage.claim()
    await stage.fetch("m")
    await stage.comes("m", "Pending", Reason.STORAGE_NOT_READY)
    await stage.store()
    await stage.comes("m", "Ready")
    await stage.settled()


async def quota_that_grows(stage: Stage) -> None:
    """PodRejected while no Job is allowed; then Ready."""
    await stage.quota(0)
    await _begin(stage, "m")
    await stage.comes("m", "Pending", Reason.POD_REJECTED)
    await stage.quota(10)
    await stage.comes("m", "Ready")
    await stage.settled()


async def made_again_at_once(stage: Stage) -> None:
    """A fetch is deleted in mid-download, another made under its name: that one is Ready, the first leaves nothing."""
    await _have_downloading(stage, "m")
    await stage.delete("m")
    stage.cast.hold_no_more("m")
    await stage.fetch("m")
    await stage.comes("m", "Ready")
    await stage.settled()


SCENARIOS = {
    "clean fetch": Scenario(clean_fetch),
    "handover": Scenario(handover, elects=True),
    "failure, then success": Scenario(failure_then_success),
    "terminal failure": Scenario(terminal_failure),
    "two fetches, one slot": Scenario(two_fetches_one_slot),
    "suspend": Scenario(suspend),
    "resume": Scenario(resume),
    "edit in mid-download": Scenario(edit_in_mid_download),
    "delete while downloading": Scenario(delete_while_downloading),
    "delete after Ready": Scenario(delete_after_ready),
    "delete after Ready, Retain": Scenario(delete_after_ready_with_retain),
    "look asked for": Scenario(look_asked_for),
    "deletion that nobody saw": Scenario(deletion_that_nobody_saw),
    "model that went": Scenario(model_that_went, elects=True),
    "claim that comes later": Scenario(claim_that_comes_later),
    "store that comes later": Scenario(store_that_comes_later),
    "quota that grows": Scenario(quota_that_grows),
    "made again at once": Scenario(made_again_at_once),
}
