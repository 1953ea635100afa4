"""The life of two fetches, told while something that is stored is wrong: what the operator makes of it.

A Pod waits for its Secret, an attempt fails and the next one publishes, an operator starts anew in the middle, and once
more when all is done; then one of the two is deleted. At each of these moments another of the wrong values takes the
place of the one before. At last what was wrong is put right, and all comes right by itself.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from modelfetch.api.fetch import RECONCILE_ANNOTATION
from modelfetch.core.job import FETCH_LABEL
from modelfetch.kube.client import Object
from modelfetch.kube.objects import JOBS, MODELFETCHES, MODELSTORES, Resource
from modelfetch.reasons import Reason
from tests.gen import full_spec
from tests.simulation.calm import CONVERGED_S, end_faults, unfulfilled
from tests.simulation.operator import Operator
from tests.simulation.oracle import Broken
from tests.simulation.pods import is_finished
from tests.simulation.process import Plan
from tests.simulation.rules import ask_again
from tests.simulation.world import World
from tests.stored_fields.changes import Path
from tests.stored_fields.sight import Sight, Wrong

NAME, BESIDE = "bert", "phi"
FAILS = Plan(0.5, "failed", 2, Reason.SOURCE_UNAVAILABLE)
WORKS = Plan(0.5)
MOMENT_S = 0.3
"""Seconds for which each wrong value is there, but for the one that stays."""
SPEC = {"source": {"uri": "hf://acme/model-1"}, "auth": {"secretRef": {"name": "hf-token"}}}
OURS = {
    "storeRef": {"name": "default"},
    "retry": {"limit": 20, "initialDelay": "3s", "maxDelay": "6s"},
    "suspend": False,
    "deletionPolicy": "Delete",
}
"""What a story needs of a spec."""
MARKS = {"labels": {"team": "search"}, "annotations": {RECONCILE_ANNOTATION: "2030-01-01T00:00:00Z"}}


@dataclass(frozen=True)
class Wrongs:
    """What is wrong: in all objects of a kind, at one place, these values in turn."""

    kind: str
    path: Path
    values: Sequence[Wrong]


@dataclass(frozen=True)
class Outcome:
    """What the operator did while something was wrong."""

    told: frozenset[str]
    """Phases and reasons of all statuses."""
    jobs: int
    """How many Jobs of fetches it made."""
    is_mended: bool
    """Whether it wrote a status anew that was wrong."""


class Story(World):
    """One world, and what an operator sees of it."""

    def __init__(self, wrongs: Wrongs | None = None, turn: int = 0) -> None:
        """`turn` is the number of the value that comes first."""
        super().__init__()
        self.sight = Sight(self.server, self.cluster)
        self._wrongs = wrongs
        # What a fetch has left in a store that it named before stays there: so it is said at spec.storeRef.
        self.store_was_deleted = wrongs is not None and wrongs.path[:2] == ("spec", "storeRef")
        self._plans = deque([WORKS, FAILS])
        self._turn = turn
        self._told: set[str] = set()
        self._jobs = 0
        self._mended = False
        self.oracle.is_strict = False  # who cannot read the last status cannot go on from it
        self.server.watchers.append(self._see)

    def start_operator(self) -> None:
        """One operator, which sees what it is shown."""
        self.operators.append(Operator(self.sight, self.sight, self.clock))  # type: ignore[arg-type]  # it has what is used

    def _plan(self) -> Plan:
        return self._plans.popleft() if self._plans else WORKS

    def _see(self, resource: Resource, kind: str, body: Object) -> None:
        self._jobs += resource is JOBS and kind == "ADDED" and FETCH_LABEL in body["metadata"]["labels"]
        if resource in (MODELFETCHES, MODELSTORES):
            self._told.add(str(body["status"].get("phase")))
            self._told |= {c["reason"] for c in body["status"].get("conditions") or ()}

    def tell(self) -> Outcome:
        """Tell it to its end; raises Broken where an invariant does not hold, or a reconcile fails."""
        self._tell()
        outcome = Outcome(frozenset(self._told), self._jobs, self._mended)
        self.sight.end()
        self._end_well()
        return outcome

    def _tell(self) -> None:
        self._make(BESIDE)
        self._pass(4.0)
        self.cluster.missing.add("secret")
        self._make(NAME)
        self._pass(1.0)
        self._go_wrong()
        self._pass(3.0)
        self.cluster.missing.clear()
        self.cluster.look_again()
        self._pass(0.6)
        self._go_wrong()
        self._pass(1.0)  # the attempt fails
        self._start_anew()
        self._forget_ended_jobs()
        self._pass(1.0)
        self._go_wrong()
        self._pass(3.0)  # the next attempt runs
        self._go_wrong()
        self._pass(3.0)
        self._start_anew()
        self._pass(1.0)
        self.server.delete(MODELFETCHES, BESIDE)
        self._pass(1.5)
        self._go_wrong()  # a removal runs
        self._pass(4.0)

    def _make(self, name: str) -> None:
        """Somebody asks for a model, with all that can be said in the part of the spec that goes wrong."""
        spec = SPEC | self._part_that_goes_wrong() | OURS
        self.server.create(MODELFETCHES, {"metadata": {"name": name, **MARKS}, "spec": spec})

    def _part_that_goes_wrong(self) -> Object:
        wrongs = self._wrongs or Wrongs(MODELFETCHES.kind, ("spec",), ())
        if wrongs.kind != MODELFETCHES.kind or wrongs.path[0] != "spec":
            return {}
        whole = full_spec(wrongs.kind, wrongs.path[1:])
        return {part: said for part, said in whole.items() if wrongs.path[1:2] in ((), (part,))}

    def _forget_ended_jobs(self) -> None:
        for job in self.jobs():
            if is_finished(job):
                self.server.delete(JOBS, job["metadata"]["name"])

    def _start_anew(self) -> None:
        for operator in tuple(self.operators):
            self.kill(operator)
        self._go_wrong()
        self.start_operator()

    def _go_wrong(self) -> None:
        """Another of the wrong values comes and stays."""
        if self._wrongs is not None:
            values = self._wrongs.values
            self.sight.change(self._wrongs.kind, self._wrongs.path, values[self._turn % len(values)])
            self._turn += 1
            self._pass(MOMENT_S)

    def _pass(self, seconds: float) -> None:
        self.pass_time(seconds)
        self.check()
        self._mended |= bool(self.sight.written)

    def _end_well(self) -> None:
        end_faults(self)
        end = self.clock.monotonic() + CONVERGED_S
        while missing := unfulfilled(self):
            if self.clock.monotonic() > end:
                raise Broken(f"I4: {CONVERGED_S:g} s after all was put right {missing}")
            for body in self.fetches():
                if body["status"].get("phase") == "Failed":
                    ask_again(self, body)
            self._pass(15.0)
