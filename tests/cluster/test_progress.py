"""What an attempt tells of its progress, and how often that is written: row F92 of docs/faults.md."""

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

import pytest

from modelfetch.core.status import differs_in_substance
from modelfetch.devcluster.hub.content import Weights
from modelfetch.devcluster.hub.hub import FixtureHub
from modelfetch.devcluster.hub.repository import RepoSpec
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.world import World, repo, slow, until

NAMES = ("a", "b", "c", "d")
SIZE = 4 << 20
"""Bytes of each model: at the pace of `slow` twenty seconds, in which its fetcher tells of itself each second."""
EVERY_S = 5
"""Seconds between two writes of counters, as the operator is told."""


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    """A hub with models that share no file."""
    models = ((name, {"model.safetensors": Weights(SIZE, seed=number)}) for number, name in enumerate(NAMES))
    with FixtureHub([RepoSpec(f"acme/{name}", files) for name, files in models]) as made:
        yield made


def test_f92_counters_are_written_every_so_often(unmanned: World, operator: OperatorProcess, hub: FixtureHub) -> None:
    """However often fetchers tell of themselves, and however many do; what is more than counters is written at once."""
    operator.command += ["--progress-interval", str(EVERY_S)]
    slow(hub)
    unmanned.kubectl("patch", "modelstore", "default", "--type=merge", "-p", f'{{"spec": {{"slots": {len(NAMES)}}}}}')
    operator.start_and_wait()
    for name in NAMES:
        unmanned.fetch(name, repo(hub, f"acme/{name}"))
    until(lambda: {"Ready"} == {unmanned.status(name).get("phase") for name in NAMES}, operator.said)

    for name in NAMES:
        statuses = [body.get("status") or {} for body in unmanned.versions(name)]
        counted = sum(old != new and not differs_in_substance(old, new) for old, new in pairwise(statuses))
        assert 1 <= counted <= _lasted_s(unmanned, name) / EVERY_S + 1


def _lasted_s(world: World, name: str) -> float:
    status = world.status(name)
    ready = next(one for one in status["conditions"] if one["type"] == "Ready")
    began, ended = map(datetime.fromisoformat, (status["attempt"]["startedAt"], ready["lastTransitionTime"]))
    return (ended - began).total_seconds()
