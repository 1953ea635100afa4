"""What is said and decided where a look of the operator's own has failed, and after it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from modelfetch.core.actions import CreateJob
from modelfetch.core.conditions import timestamp
from modelfetch.core.defect import after_defect
from modelfetch.core.observed import Slot
from modelfetch.reasons import Reason
from tests.kstatus import check_history
from tests.unit.core import looks
from tests.unit.core.looks import NOW, condition, decide

WORDS = "the operator met KeyError in x.py:1"


def _told(seen, **changes):
    """Return the look after one that has failed."""
    status = after_defect(seen.fetch, WORDS, seen.now)
    return replace(seen, **{"fetch": seen.fetch.model_copy(update={"status": status}), **changes})


QUEUED = looks.look(slot=Slot(granted=False, position=2))
WAITING = {
    "new": looks.look(),
    "queued": looks.after(QUEUED),
    "running": looks.after(looks.look(jobs=(looks.job(),), pods={"job-1": looks.pod()})),
    "between attempts": looks.after(looks.failed(Reason.RATE_LIMITED)),
}


@pytest.mark.parametrize("seen", WAITING.values(), ids=WAITING.keys())
def test_looks_that_fail_again_and_again_write_once(seen):
    """Until the time that it tells is over, where it tells one: ten thousand of them fail at once, or none."""
    first, second = _told(seen), _told(_told(seen, now=seen.now + timedelta(seconds=60)))

    assert first.fetch.status == second.fetch.status
    assert [] == check_history([looks.dump(first.fetch.status)])


@pytest.mark.parametrize("seen", WAITING.values(), ids=WAITING.keys())
def test_the_next_look_goes_on_as_if_it_had_not_failed(seen):
    """Nothing that is decided by follows from a look that failed."""
    assert decide(seen).actions == decide(_told(seen)).actions
    assert decide(seen).status == decide(_told(seen)).status


def test_a_reason_of_the_past_does_not_stall_it():
    """Somebody asked again after a terminal failure; the new attempt's Job goes while looks fail."""
    failed = looks.after(looks.failed(Reason.GATED_ACCESS_REQUIRED))
    runs = looks.after(looks.asking(failed), jobs=(looks.job(attempt=2),), pods={"job-2": looks.pod()})
    again = decide(_told(looks.after(runs), jobs=(), pods={}, reports={}))

    assert [CreateJob] == [type(action) for action in again.actions]


def test_a_pod_that_never_started_did_not_wait_for_a_look():
    """Its Job's deadline passes meanwhile: another attempt, and no failure that counts."""
    waits = looks.look(jobs=(looks.job(),), pods={"job-1": looks.pod(phase="Pending")})
    ended = looks.ended_job(failure_reason="DeadlineExceeded")
    decision = decide(_told(looks.after(waits), jobs=(ended,), pods={}))

    assert ("Cancelled", 0) == (decision.status.last_error.reason, decision.status.attempt.failures)
    assert condition(decision, "Stalled") is None


SUSPENDED = looks.after(looks.with_spec(looks.ready(), suspend=True))


@pytest.mark.parametrize(
    "seen", [looks.ready(), looks.after(looks.failed(Reason.SOURCE_NOT_FOUND)), SUSPENDED, looks.edited(SUSPENDED)]
)
def test_what_is_settled_stays_so(seen):
    """Whether it is published or has ended does not hang on a look."""
    assert after_defect(seen.fetch, WORDS, NOW) is None


def test_an_edit_that_nobody_can_look_at_is_told():
    """Of a fetch that had ended; when it is looked at again stands there, too, where it has no attempt."""
    invalid = looks.edited(looks.after(looks.look(spec_error="source: wrong")))
    status = after_defect(invalid.fetch, WORDS, NOW)

    assert ["Internal", timestamp(NOW + timedelta(seconds=300))] == [
        status.conditions[0].reason,
        status.next_retry_time,
    ]
