"""What follows on an attempt that failed: it gives up, waits for the next, or starts it.

Comes in: one look and the failure. Goes out: the decision, and words that say more of the failure than its Pod knew.
"""

from dataclasses import replace
from datetime import timedelta

from modelfetch.api.meta import doubled, parse_duration_s
from modelfetch.api.store import ModelStore
from modelfetch.core import retry
from modelfetch.core.decisions import FetchDecision, retrying, stalled
from modelfetch.core.job import memory_limit
from modelfetch.core.look import Look
from modelfetch.core.outcome import Failure
from modelfetch.core.retry import Tally
from modelfetch.core.start import start
from modelfetch.core.status import last_error
from modelfetch.reasons import TABLE, Backoff, Reason

TOLD = timedelta(seconds=1)
"""Least time between the status that tells of a failure and the next attempt, so that no failure goes untold."""
OOM_ADVISED = 3
"""Failures from which on a Pod that was killed at its memory limit is told a larger one."""


def after_failure(look: Look, failure: Failure, tally: Tally, **known: object) -> FetchDecision:
    """The last attempt failed, with `tally` after it: give up, wait, or start the next."""
    exhausted = retry.counted(failure.reason) and retry.is_exhausted(look.spec.retry, tally.failures)
    if exhausted and failure.reason is Reason.OOM_KILLED and look.is_made_otherwise:
        return start(look, Tally())
    terminal = failure.reason.row.backoff is Backoff.NONE or exhausted
    error = last_error(failure, retryable=not terminal)
    known["last_error"] = error
    if terminal:
        message = f"gave up after {tally.failures} failures: {failure.message}" if exhausted else failure.message
        return stalled(look, failure.reason, message, **known)
    seed = f"{look.meta.uid}/{look.last_number}"
    due = look.passed(failure.at) + timedelta(seconds=retry.delay_s(look.spec.retry, failure.reason, tally, seed))
    told = look.status.last_error
    if told is None or told.at < error.at:  # what was told since, as that a claim is missing, came after it
        due = max(due, look.now + TOLD)
    return retrying(look, failure, due, **known) if due > look.now else start(look, tally)


def waited_too_long(look: Look) -> Failure | None:
    """The Job's deadline counts from when it was made: a Pod that had to wait has not had the time of the spec.

    Where it never started, what it waited for is why.
    """
    job, outcome, report = look.job, look.outcome, look.report
    is_own_word = report is not None and report.reason is not Reason.CANCELLED
    if job is None or is_own_word or not isinstance(outcome, Failure) or outcome.reason is not Reason.DEADLINE_EXCEEDED:
        return None
    if look.pod is not None and look.pod.ran_s is not None:
        words = "the Job's deadline passed after the Pod had waited for its start"
        had_all = look.pod.ran_s >= parse_duration_s(look.spec.transfer.deadline)
        return None if had_all else replace(outcome, reason=Reason.CANCELLED, message=words)
    if look.told_failure is not None:
        return look.told_failure  # what it waited for was told then, and may stand there no more
    waited_for = next((c.reason for c in look.status.conditions if c.type == "Reconciling"), "")
    if report is not None or look.attempt.job_name != job.name or waited_for not in TABLE:
        return None
    # A look that failed (core/defect.py) is not what the Pod waited for.
    reason = Reason.CANCELLED if waited_for == Reason.INTERNAL else Reason(waited_for)
    return replace(outcome, reason=reason, message="the Pod did not start before the Job's deadline")


def advised(look: Look, failure: Failure, failures: int) -> Failure:
    """A memory limit that was too small again and again: the message names a larger one, until somebody has set one."""
    store, job = look.seen.store, look.job
    is_oom = failure.reason is Reason.OOM_KILLED and failures >= OOM_ADVISED
    if not is_oom or job is None or not isinstance(store, ModelStore) or look.is_made_otherwise:
        return failure
    limit = memory_limit(store)
    place = f"jobTemplate.resources.limits.memory of ModelStore '{store.metadata.name}'"
    advice = f" of {limit}; it is the last of {failures} failures: try {doubled(limit)} as {place}"
    return replace(failure, message=failure.message.removesuffix(advice) + advice)
