"""An operator that has not started yet, and the proxy that is its only way to the API server: with rules for both.

It sees the namespace of its test only, so that nothing else takes part in the plan.
"""

from dataclasses import dataclass

from modelfetch.devcluster.hub.hub import FixtureHub
from tests.api_faults.actions import Answer, Reset, Truncate
from tests.api_faults.proxy import Proxy
from tests.api_faults.record import Record
from tests.api_faults.rules import Match, Phase, Rule
from tests.api_faults.serving import Certificate
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.outcome import expect_one_attempt_each
from tests.cluster.world import World, repo, until

NAMES = tuple(f"m{number}" for number in range(9))
WATCHED = ("modelfetches", "modelstores", "jobs", "pods")


@dataclass(frozen=True)
class Ground:
    """An operator that has not started yet, and the proxy that is its only way to the API server."""

    world: World
    operator: OperatorProcess
    proxy: Proxy
    hub: FixtureHub
    certificate: Certificate

    def plan(self, *rules: Rule) -> None:
        """Put rules in force."""
        self.proxy.plan.add(*rules)

    def fetch(self, *names: str, meeting: int = 1) -> None:
        """Start the operator and have these fetched: each by one Job, and without another operator.

        Each rule of the plan meets at least `meeting` requests on the way.
        """
        meta = {"apiVersion": "modelfetch.io/v1alpha1", "kind": "ModelStore", "metadata": {"name": "default"}}
        store = {**meta, "spec": {"claimName": "models", "slots": len(names)}}
        self.operator.start_and_wait()
        self.world.apply(store)
        for name in names:
            self.world.fetch(name, repo(self.hub, f"acme/{name}"))
        until(lambda: self.phases() == dict.fromkeys(names, "Ready"), lambda: f"{self.phases()}")
        self.expect_no_trace(*names)
        assert [] == [count for count in self.proxy.plan.met() if count < meeting], self.proxy.plan.met()

    def expect_most_happened(self) -> None:
        """Of the edits at least every second was made: how many events there are to edit is not ours to say."""
        met = self.proxy.plan.met()
        assert 2 * sum(map(bool, met)) >= len(met), met

    def answers(self, match: Match) -> list[int]:
        """Return what the operator was answered to the requests that fit."""
        return [record.status for record in self.proxy.log.records() if match.fits(record.call, record.agent)]

    def writes_about(self, name: str) -> list[Record]:
        """Return what was written, or was to be, about a fetch: its status, and its Jobs as they are made."""
        return [record for record in self.proxy.log.writes() if name in (record.call.name, record.call.about)]

    def expect_no_trace(self, *names: str) -> None:
        """Nothing is left of what happened, and the operator has not ended meanwhile."""
        expect_one_attempt_each(self.world, *names)
        self.operator.run_for(0.0)

    def phases(self) -> dict[str, str]:
        """Return the phase of each fetch."""
        fetches = self.world.all("modelfetch")
        return {body["metadata"]["name"]: (body.get("status") or {}).get("phase", "") for body in fetches}


def each_write_of(name: str, action: Answer | Reset | Truncate, phase: Phase = "before") -> Rule:
    """Return the rule by which everything that is written about a fetch is disturbed once, and passes then."""
    return Rule(Match("write", name=name), action, phase, every=2, times=None)


def each_write_of_the_store(action: Answer | Reset, phase: Phase = "before") -> Rule:
    """Return the rule by which each status of the store is disturbed once, and passes then."""
    return Rule(Match("write", "modelstores/status"), action, phase, every=2, times=None)


def counts_of_versions(world: World, kind: str) -> list[int]:
    """Return how many versions each object of a kind had: so many events there are of it."""
    return [len(versions) for versions in world.recorder.by_uid(kind).values()]
