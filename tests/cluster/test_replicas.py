"""Two operators on one API server: one leads, the other takes over, whatever becomes of the first."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import BAD_REQUEST
from pathlib import Path

import pytest
import trustme

from modelfetch.controller.loop import READS_END_S, WRITES_END_S
from modelfetch.core.lease import LEASE_S
from modelfetch.devcluster.hub.content import Weights
from modelfetch.devcluster.hub.hub import FixtureHub
from modelfetch.devcluster.hub.repository import RepoSpec
from modelfetch.kube.connection import from_kubeconfig
from tests.api_faults.actions import Linger
from tests.api_faults.call import WRITES
from tests.api_faults.proxy import Proxy, proxied, write_proxied_kubeconfig
from tests.api_faults.rules import Match, Plan, Rule
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


@dataclass(frozen=True)
class Replica:
    """An operator, and its own way to the API server."""

    operator: OperatorProcess
    way: Proxy

    def revisions(self) -> list[int]:
        """Return those that it has led to: of all that it has written, its Lease among it."""
        written = (record for record in self.way.log.records() if record.call.verb in WRITES)
        return [record.revision for record in written if record.revision and record.status < BAD_REQUEST]


@dataclass(frozen=True)
class Replicas:
    """`first` leads, `second` waits to."""

    world: World
    hub: FixtureHub
    first: Replica
    second: Replica
    tell: Callable[[str], None]

    def fetch(self, name: str) -> None:
        """Have a model fetched, whole and once."""
        self.world.fetch(name, repo(self.hub))
        assert 1 == self.world.wait_phase(name, "Ready")["attempt"]["number"]

    def wait_taken_over(self, what: str, within_s: float) -> None:
        """Return once the second works; what it took, from now on, is told at the end of the run."""
        began, said = time.monotonic(), self.second.operator.said
        until(lambda: "the operator runs" in said(), said, within_s)
        self.tell(f"replicas: the next one works {time.monotonic() - began:.1f} s after {what}")

    def expect_one_after_the_other(self) -> None:
        """Both have written, and what the first wrote last was before anything that the second wrote."""
        assert max(self.first.revisions()) < min(self.second.revisions())


@pytest.fixture
def replicas(
    unmanned: World,
    operator: OperatorProcess,
    hub: FixtureHub,
    authority: trustme.CA,
    tell: Callable[[str], None],
    tmp_path: Path,
) -> Iterator[Replicas]:
    """`operator` is the second: the one that works in the end."""
    first = OperatorProcess(unmanned.summary, tmp_path / "first.log", "first", unmanned.flags)
    with way_of_its_own(first, authority, tmp_path) as before, way_of_its_own(operator, authority, tmp_path) as after:
        first.start_and_wait()
        operator.start()
        until(lambda: "waits to lead" in operator.said(), operator.said)
        operator.at_end.append(lambda: first.signal(signal.SIGTERM))
        yield Replicas(unmanned, hub, Replica(first, before), Replica(operator, after), tell)
        first.kill()
        operator.kill()


@contextmanager
def way_of_its_own(operator: OperatorProcess, authority: trustme.CA, folder: Path) -> Iterator[Proxy]:
    """Lead an operator that has not started yet by this proxy."""
    identity = from_kubeconfig(operator.kubeconfig)
    proxy = Proxy(identity, Plan())
    with proxied(proxy, authority) as way:
        path = folder / f"way-{way.server.rpartition(':')[2]}"
        operator.command += ["--kubeconfig", str(write_proxied_kubeconfig(path, way, identity))]
        yield proxy


def lease(world: World, field: str) -> str:
    """Return a field of the Lease's spec."""
    return world.kubectl("get", "lease", "modelfetch-operator", "-o", f"jsonpath={{.spec.{field}}}")


def test_the_one_that_waits_writes_nothing(replicas: Replicas) -> None:
    """It is ready to lead, and leaves the work to the one that does."""
    replicas.fetch("model")

    assert "the operator runs" not in replicas.second.operator.said()
    assert "first" == lease(replicas.world, "holderIdentity")
    assert [] == replicas.second.revisions()


def test_a_killed_leader_is_followed(replicas: Replicas) -> None:
    """Its Lease gets old, and what came meanwhile is found."""
    before = int(lease(replicas.world, "leaseTransitions"))
    replicas.first.operator.kill()
    replicas.world.fetch("model", repo(replicas.hub))
    replicas.wait_taken_over("a kill of the one that led", TAKES_OVER_S)
    replicas.fetch("model")

    now = lease(replicas.world, "holderIdentity"), lease(replicas.world, "leaseTransitions")
    assert ("operator", str(before + 1)) == now
    replicas.expect_one_after_the_other()


def test_a_leader_that_ends_in_good_order_is_followed_at_once(replicas: Replicas) -> None:
    """It blanks the Lease: nobody waits until that is old, and the exit code is a good one."""
    replicas.first.operator.signal(signal.SIGTERM)
    replicas.wait_taken_over("the end in good order of the one that led", LEASE_S - 1.0)

    assert 0 == replicas.first.operator.wait_ended()
    replicas.fetch("model")
    replicas.expect_one_after_the_other()


def test_a_leader_that_ends_beside_a_write_leaves_its_lease_to_age(replicas: Replicas) -> None:
    """Its last write, an Event, which nobody refuses, arrives three seconds later: the next one leads after that."""
    first = replicas.first
    first.way.plan.add(Rule(Match("create", "events"), Linger(READS_END_S + WRITES_END_S + 3.0)))
    replicas.world.fetch("model", repo(replicas.hub))
    until(lambda: [1] == first.way.plan.met(), first.operator.said)
    first.operator.signal(signal.SIGTERM)
    assert 0 == first.operator.wait_ended()
    replicas.wait_taken_over("the end beside a write of the one that led", TAKES_OVER_S)

    assert "stops with writes under way" in first.operator.said()
    assert 1 == replicas.world.wait_phase("model", "Ready")["attempt"]["number"]
    replicas.expect_one_after_the_other()


def test_a_leader_that_slept_leads_no_more(replicas: Replicas) -> None:
    """It wakes when another one leads: it writes nothing, says why and ends, to be started again."""
    first = replicas.first.operator
    replicas.world.fetch("model", repo(replicas.hub))
    first.signal(signal.SIGSTOP)
    replicas.wait_taken_over("the one that led fell asleep", TAKES_OVER_S)
    replicas.world.fetch("other", repo(replicas.hub))
    first.signal(signal.SIGCONT)

    assert 1 == first.wait_ended()
    assert "does not lead any more" in first.said()
    for name in ("model", "other"):
        assert 1 == replicas.world.wait_phase(name, "Ready")["attempt"]["number"]
    replicas.expect_one_after_the_other()
