"""Two operators on one API server: one leads, the other takes over, whatever becomes of the first."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelfetch.core.lease import LEASE_S
from modelfetch.devcluster.hub.content import Weights
from modelfetch.devcluster.hub.hub import FixtureHub
from modelfetch.devcluster.hub.repository import RepoSpec
from modelfetch.devcluster.parts import OPERATOR_NAMESPACE
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.world import World, repo, until

MIB = 1 << 20
TAKES_OVER_S = 60.0
"""Far above the 20 seconds that docs/install.md names: this machine may be busy."""


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    """A hub of its own."""
    with FixtureHub([RepoSpec("acme/model", {"config.json": "{}", "model.safetensors": Weights(MIB, seed=1)})]) as made:
        yield made


@pytest.fixture
def replicas(unmanned: World, tmp_path: Path) -> Iterator[tuple[OperatorProcess, OperatorProcess]]:
    """The operator that leads, and one that waits to."""
    first, second = (OperatorProcess(unmanned.summary, tmp_path / f"{name}.log", name) for name in ("first", "second"))
    first.start_and_wait()
    second.start()
    until(lambda: "waits to lead" in second.said(), second.said)
    yield first, second
    first.kill()
    second.kill()
    unmanned.kubectl("delete", "lease", "modelfetch-operator", "-n", OPERATOR_NAMESPACE)


def lease(world: World, field: str) -> str:
    """Return a field of the Lease's spec."""
    where = ("-n", OPERATOR_NAMESPACE, "-o", f"jsonpath={{.spec.{field}}}")
    return world.kubectl("get", "lease", "modelfetch-operator", *where)


def fetch_one(world: World, hub: FixtureHub) -> None:
    """Have a model fetched, whole and once."""
    world.fetch("model", repo(hub))
    assert 1 == world.wait_phase("model", "Ready")["attempt"]["number"]


def test_the_one_that_waits_writes_nothing(replicas: tuple[OperatorProcess, OperatorProcess], unmanned, hub) -> None:
    """It is ready to lead, and leaves the work to the one that does."""
    _, second = replicas
    fetch_one(unmanned, hub)

    assert "the operator runs" not in second.said()
    assert "first" == lease(unmanned, "holderIdentity")


def test_a_killed_leader_is_followed(replicas: tuple[OperatorProcess, OperatorProcess], unmanned, hub) -> None:
    """Its Lease gets old, and what came meanwhile is found."""
    first, second = replicas
    before = int(lease(unmanned, "leaseTransitions"))  # whoever used this cluster before may have left a Lease
    first.kill()
    unmanned.fetch("model", repo(hub))
    until(lambda: "the operator runs" in second.said(), second.said, TAKES_OVER_S)
    fetch_one(unmanned, hub)

    assert ("second", str(before + 1)) == (lease(unmanned, "holderIdentity"), lease(unmanned, "leaseTransitions"))


def test_a_leader_that_ends_in_good_order_is_followed_at_once(
    replicas: tuple[OperatorProcess, OperatorProcess], unmanned, hub
) -> None:
    """It blanks the Lease: nobody waits until that is old, and the exit code is a good one."""
    first, second = replicas
    first.signal(signal.SIGTERM)
    until(lambda: "the operator runs" in second.said(), second.said, LEASE_S - 1.0)

    assert 0 == first.wait_ended()
    fetch_one(unmanned, hub)


def test_a_leader_that_slept_leads_no_more(replicas: tuple[OperatorProcess, OperatorProcess], unmanned, hub) -> None:
    """It wakes when another one leads: it writes nothing, says why and ends, to be started again."""
    first, second = replicas
    unmanned.fetch("model", repo(hub))
    first.signal(signal.SIGSTOP)
    until(lambda: "the operator runs" in second.said(), second.said, TAKES_OVER_S)
    unmanned.fetch("other", repo(hub))
    first.signal(signal.SIGCONT)

    assert 1 == first.wait_ended()
    assert "does not lead any more" in first.said()
    for name in ("model", "other"):
        assert 1 == unmanned.wait_phase(name, "Ready")["attempt"]["number"]
