"""A fetcher at work in a Pod: it gets on by itself, as its plan says, and publishes on the volume of its claim.

Its plan is made when it starts: how long each step takes, and how it ends. It knows nothing of its Pod: it goes on when
the Pod is deleted by force or its node is lost, until somebody ends it.
"""

from dataclasses import dataclass
from typing import Literal

from modelfetch.api.order import CheckOrder, FetchOrder, Order, RemoveOrder
from modelfetch.controller.pace import Clock
from modelfetch.reasons import Reason
from modelfetch.report import Artifact, Progress, Report, Resolved, Step
from tests.simulation.volume import Volume

End = Literal["done", "failed", "silent", "crashed", "oom"]
"""`done` with its report; `failed` with a reason; `silent` exit code 0 without a word; `crashed` and `oom` without one.
"""
STEPS: tuple[Step, ...] = ("Resolving", "Downloading", "Verifying", "Publishing")


@dataclass(frozen=True)
class Plan:
    """How a run of the fetcher goes, unless it is disturbed."""

    step_s: float
    end: End = "done"
    at_step: int = len(STEPS)
    """The step before which it ends otherwise than `done`; the number of all steps: after it has published."""
    reason: Reason = Reason.SOURCE_UNAVAILABLE
    stop_s: float = 1.0
    """Seconds that it takes to end when it is told to; it may publish meanwhile."""


@dataclass(frozen=True)
class Exit:
    """How a container ended."""

    code: int
    message: str = ""
    reason: str = "Completed"


class Process:
    """One run of `modelfetch-fetcher`."""

    def __init__(self, order: Order, spec_hash: str, commit: str, volume: Volume, plan: Plan) -> None:
        self.order = order
        self.plan = plan
        self.volume = volume
        self.spec_hash = spec_hash
        self.artifact: Artifact | None = None
        self.is_stopping = False
        self._commit = commit
        self._step = 0
        if isinstance(order, FetchOrder):
            volume.begin(order)

    @property
    def step(self) -> Step:
        """What it is at."""
        return STEPS[self._step]

    def go_on(self, clock: Clock) -> Exit | None:
        """Take a step; return how it ended, None while it has more to do."""
        if self.plan.end != "done" and self._step >= self.plan.at_step:
            return self._end_badly(clock)
        if not isinstance(self.order, FetchOrder):
            return Exit(0, self._report(clock, ok=True, **self._tend()).line())
        if self.step == "Publishing":
            self.artifact = self.volume.publish(self.order, self.spec_hash, self._commit)
            if self.plan.end != "done":
                return self._end_badly(clock)
            return Exit(0, self._report(clock, ok=True, artifact=self.artifact).line())
        self.volume.begin(self.order)
        self._step += 1
        return None

    def stop(self, clock: Clock) -> Exit:
        """End in good order, as on SIGTERM."""
        return Exit(143, "" if self._step == 0 else self._failure(clock, Reason.CANCELLED), "Error")

    def log(self, clock: Clock) -> str:
        """Return the last line of its output."""
        report = Report(event="progress", at=clock.now(), step=self.step, **self._facts())
        return "a warning of some library\n" + report.line()

    def _end_badly(self, clock: Clock) -> Exit:
        if self.plan.end == "failed":
            reason = self.plan.reason
            return Exit(reason.row.exit_code, self._failure(clock, reason), "Error")
        ends = {"silent": Exit(0), "crashed": Exit(1, reason="Error"), "oom": Exit(137, reason="OOMKilled")}
        return ends[self.plan.end]

    def _failure(self, clock: Clock, reason: Reason) -> str:
        return self._report(clock, ok=False, reason=reason, message="as the simulation had it").line()

    def _report(self, clock: Clock, **result: object) -> Report:
        step = self.step if isinstance(self.order, FetchOrder) else "Removing"
        values = {"event": "result", "at": clock.now(), "step": step, **self._facts(), **result}
        return Report.model_validate(values)

    def _facts(self) -> dict[str, object]:
        if self._step == 0:
            return {}
        resolved = Resolved(revision="main", commit=self._commit, total_bytes=2048, file_count=1)
        return {"resolved": resolved, "progress": Progress(bytes_total=2048, bytes_done=512 * self._step)}

    def _tend(self) -> dict[str, object]:
        assert not isinstance(self.order, FetchOrder)
        if isinstance(self.order, CheckOrder):
            return {"missing": self.volume.check(self.order)}
        if isinstance(self.order, RemoveOrder):
            return {"owners": self.volume.remove(self.order.targets)}
        return {"owners": self.volume.survey(self.order)}
