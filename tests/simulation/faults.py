"""Mistakes that an operator could make, each planted in the real code; the simulation has to notice every one.

A mistake is a function that changes the code through pytest's `monkeypatch`; its docstring says what is left out.
"""

import dataclasses
from collections.abc import Callable

import pytest

from modelfetch.api.fetch_status import AttemptStatus
from modelfetch.controller import fetches, observe, views
from modelfetch.controller.claims import Claims
from modelfetch.core import conditions, ended, fetch, look, outcome
from modelfetch.core.outcome import Published
from modelfetch.report import Artifact

Mistake = Callable[[pytest.MonkeyPatch], None]
MISTAKES: dict[str, Mistake] = {}


def mistake(plant: Mistake) -> Mistake:
    """Add to the list of all."""
    MISTAKES[plant.__name__] = plant
    return plant


@mistake
def a_deleted_job_is_taken_for_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next attempt starts while the Pod of the one before has its grace."""
    read = views.read_job

    def gone_if_deleting(body):
        job = read(body)
        return dataclasses.replace(job, result="Failed") if job.deleting else job

    for module in (fetches, observe, views):
        monkeypatch.setattr(module, "read_job", gone_if_deleting)


@mistake
def exit_code_0_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Job that is complete has published, whatever was reported."""
    judge = outcome.ended

    def by_exit_code(job, pod, report, now):
        found = judge(job, pod, report, now)
        if job.result != "Complete" or isinstance(found, Published):
            return found
        artifact = Artifact(digest="sha256:" + "0" * 64, path="models/ml/x/y", commit="0" * 40, files=1, bytes=1)
        return Published(artifact, now)

    monkeypatch.setattr(look, "ended", by_exit_code)


@mistake
def claims_are_not_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who starts takes no slot."""
    note = Claims.set
    monkeypatch.setattr(Claims, "set", lambda self, of, claim: note(self, of, "none"))


@mistake
def ready_outlives_the_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was published for one spec counts for the next."""
    monkeypatch.setattr(look.Look, "attempt", property(lambda self: self.status.attempt or AttemptStatus()))


@mistake
def every_attempt_before_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Job that has failed is taken for proof that its processes have ended."""
    monkeypatch.setattr(ended, "is_proven", lambda job: job.result != "Running")


@mistake
def times_move_with_every_status(monkeypatch: pytest.MonkeyPatch) -> None:
    """lastTransitionTime is the time of the write."""
    keep = conditions._keep_time

    def move(*known):
        condition, now = keep(*known), known[-1]
        return condition.model_copy(update={"last_transition_time": conditions.timestamp(now)})

    monkeypatch.setattr(conditions, "_keep_time", move)


@mistake
def a_blocked_fetch_does_not_say_until_when(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits, and its status has no time."""
    decide = fetch.decide

    def silent(*seen):
        decision = decide(*seen)
        status = decision.status and decision.status.model_copy(update={"next_retry_time": None})
        return dataclasses.replace(decision, status=status)

    monkeypatch.setattr(fetches, "decide", silent)
