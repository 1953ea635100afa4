"""What is decided when somebody edits, suspends, deletes a ModelFetch or asks for another look."""

from dataclasses import replace
from datetime import timedelta

import pytest

from modelfetch.core.actions import CreateJob, DeleteJob
from modelfetch.core.job import job_name, spec_hash
from modelfetch.core.observed import Slot
from modelfetch.core.retry import WAIT_S
from modelfetch.reasons import Reason
from tests.unit.core import looks
from tests.unit.core.looks import NOW, UID, condition, decide

STUCK = {"phase": "Pending", "waiting_reason": "ImagePullBackOff", "waiting_message": "back-off"}


def _stuck(**changes):
    return looks.after(looks.look(jobs=(looks.job(),), pods={"job-1": looks.pod(**STUCK)}), **changes)


def test_an_edited_spec_stops_the_old_attempt_before_the_new_one_starts():
    """The old Job is deleted with its uid, and nothing starts while it may still write."""
    edited = looks.fetch({"files": {"include": ["*.json"]}})
    decision = decide(looks.look(edited, jobs=(looks.job(),), pods={"job-1": looks.pod()}))

    assert (DeleteJob(looks.job().name, "job-1"),) == decision.actions
    assert "active" == decision.claim


def test_an_edited_spec_starts_once_the_old_job_is_gone():
    """Attempts count on from those of the spec before, with all its tries; nothing of its failures is counted."""
    failed = looks.after(looks.failed(Reason.SOURCE_UNAVAILABLE, attempt=3, failures=2), jobs=(), reports={})
    edited = looks.with_spec(failed, files={"include": ["*.json"]})
    decision = decide(edited)

    (create,) = decision.actions
    assert job_name(UID, spec_hash(edited.fetch.spec), 4) == create.name
    assert (4, 0) == (decision.status.attempt.number, decision.status.attempt.failures)


@pytest.mark.parametrize("suspend", [False, True])
def test_what_is_ready_is_so_by_its_own_attempt(suspend):
    """A Job of another spec with a larger number, on its way out, is not told in its place: numbers were by spec."""
    edited = looks.fetch({"files": {"include": ["*.json"]}})
    old = looks.job(edited, attempt=5, result="Complete", finished_at=NOW, deleting=True)
    first = replace(looks.with_spec(looks.ready(), suspend=suspend), jobs=(old,), pods={}, reports={})

    assert ["True", "True"] == [condition(decide(seen), "Ready")[0] for seen in (first, looks.after(first))]
    assert () == decide(looks.after(first)).actions


def test_a_number_that_nobody_can_have_written_is_not_counted_on():
    """The next one would have more digits than are read from a Job."""
    failed = looks.after(looks.look(jobs=(looks.job(),), pods={}), jobs=())
    attempt = failed.fetch.status.attempt.model_copy(update={"number": 999_999_999})
    status = failed.fetch.status.model_copy(update={"attempt": attempt})
    (create,) = decide(replace(failed, fetch=failed.fetch.model_copy(update={"status": status}))).actions

    assert "1" == create.manifest["metadata"]["labels"]["modelfetch.io/attempt"]


def test_a_spec_that_is_corrected_to_what_it_was_goes_on():
    """Where its Job has gone since: that it was invalid in between is no outcome of its attempt."""
    gone = looks.after(looks.ready(), jobs=(), pods={}, reports={})
    invalid = looks.after(looks.edited(gone), spec_error="files.include: wrong")
    wrong = looks.after(invalid)
    corrected = looks.edited(replace(wrong, spec_error=None))

    assert ("True", "SpecInvalid") == condition(decide(wrong), "Stalled")
    assert [CreateJob] == [type(action) for action in decide(corrected).actions]


def test_what_may_start_once_a_job_has_ended_waits_for_no_time():
    """A Job that may not be deleted has kept it for hours; that was no refusal of the next one."""
    running = looks.after(looks.look(jobs=(looks.job(),), pods={"job-1": looks.pod()}))
    edited = looks.with_spec(running, files={"include": ["*.json"]}, retry={"maxDelay": "24h"})
    kept = looks.after(replace(edited, kept="cannot delete resource jobs"))
    later = replace(looks.after(replace(kept, now=NOW + timedelta(hours=9))), kept=None, jobs=(), pods={})

    assert ("True", "PodRejected") == condition(decide(kept), "Reconciling")
    assert [CreateJob] == [type(action) for action in decide(later).actions]


@pytest.mark.parametrize("is_written", [True, False])
def test_a_spec_that_comes_back_uses_no_name_again(is_written):
    """A Pod of its first attempt that nobody hears of may write where that had its files; an attempt has its own.

    Also where the last status of the first was not written: its Job tells how many there were, until it is gone.
    """
    running = looks.after(looks.look(jobs=(looks.job(attempt=2),), pods={"job-2": looks.pod()}))
    told = running if is_written else looks.after(looks.look(), jobs=running.jobs, pods=running.pods)
    edited = looks.after(looks.with_spec(told, files={"include": ["*.json"]}))
    (create,) = decide(looks.with_spec(replace(edited, jobs=(), pods={}))).actions

    assert job_name(UID, spec_hash(looks.fetch().spec), 3) == create.name


def test_a_deleted_job_on_its_way_out_still_blocks():
    """While the API server still shows the old Job, its Pod may write."""
    edited = looks.fetch({"files": {"include": ["*.json"]}})
    decision = decide(looks.look(edited, jobs=(looks.job(deleting=True),)))

    assert () == decision.actions
    assert "Pending" == decision.status.phase


def test_suspend_stops_the_attempt():
    """A suspended fetch has no Job, and no Reconciling that would keep waiting tools waiting."""
    seen = looks.look(looks.fetch({"suspend": True}), jobs=(looks.job(),), pods={"job-1": looks.pod()})
    decision = decide(seen)

    assert (DeleteJob(looks.job().name, "job-1"),) == decision.actions
    assert ("Suspended", None) == (decision.status.phase, condition(decision, "Reconciling"))


def test_suspend_keeps_ready_as_it_was():
    """What is published stays published: Ready stays True with the reason Suspended."""
    seen = looks.ready()
    suspended = seen.fetch.model_copy(update={"spec": seen.fetch.spec.model_copy(update={"suspend": True})})

    assert ("True", "Suspended") == condition(decide(replace(seen, fetch=suspended)), "Ready")


def test_resume_of_a_ready_fetch_is_ready_again_without_a_job():
    """Suspending and resuming starts nothing where nothing is to do."""
    seen = looks.ready()
    suspended = seen.fetch.model_copy(update={"spec": seen.fetch.spec.model_copy(update={"suspend": True})})
    resumed = looks.after(replace(seen, fetch=suspended))
    resumed = replace(resumed, fetch=resumed.fetch.model_copy(update={"spec": looks.fetch().spec}), jobs=())
    decision = decide(resumed)

    assert ("True", "Available") == condition(decision, "Ready")
    assert () == decision.actions


def test_a_request_tries_a_stalled_fetch_again_at_once():
    """The annotation starts the next attempt with a fresh count and is echoed in the status."""
    seen = looks.after(looks.failed(Reason.GATED_ACCESS_REQUIRED))
    decision = decide(looks.asking(seen))

    assert "now" == decision.status.last_handled_reconcile_at
    assert "0" == decision.actions[0].manifest["metadata"]["annotations"]["modelfetch.io/failures"]
    assert () == decide(looks.after(looks.asking(seen), jobs=(looks.job(attempt=2),))).actions


def test_a_request_on_a_ready_fetch_looks_again_in_the_background():
    """Ready stays True and Reconciling absent while the new attempt runs (kstatus rule 5)."""
    seen = looks.ready()
    asked = seen.fetch.model_copy(
        update={"metadata": seen.meta.model_copy(update={"annotations": {"modelfetch.io/reconcile-at": "now"}})}
    )
    started = decide(replace(seen, fetch=asked))
    running = looks.after(
        replace(seen, fetch=asked), jobs=(looks.job(attempt=2),), pods={"job-2": looks.pod()}, reports={}
    )

    assert CreateJob is type(started.actions[0])
    assert ("True", None) == (condition(decide(running), "Ready")[0], condition(decide(running), "Reconciling"))


@pytest.mark.parametrize("reason", [Reason.CHECKSUM_MISMATCH, Reason.SOURCE_UNAVAILABLE])
def test_a_failed_background_attempt_takes_nothing_away(reason):
    """What is published stays Ready; the failure stands in lastError."""
    seen = replace(
        looks.ready(),
        jobs=(looks.ended_job(attempt=2),),
        pods={"job-2": looks.pod()},
        reports={"job-2": looks.failure(reason)},
    )
    decision = decide(seen)

    assert ("True", "Available") == condition(decision, "Ready")
    assert reason == decision.status.last_error.reason


def test_a_spec_that_does_not_parse_stalls():
    """An object that an older CRD let through is refused with the field's name."""
    decision = decide(looks.look(spec_error="spec.source: exactly one of uri, huggingFace and http must be set"))

    assert ("True", "SpecInvalid") == condition(decision, "Stalled")


def test_nothing_is_said_of_a_fetch_that_is_being_deleted():
    """A status written now would only cause conflicts."""
    decision = decide(looks.look(looks.fetch(deletionTimestamp="2026-11-21T12:00:00Z")))

    assert (None, ()) == (decision.status, decision.actions)


def test_a_fetch_that_is_held_by_a_finalizer_downloads_no_more():
    """Somebody else's finalizer keeps it from the garbage collector; its slot is free once the Job has ended."""
    decision = decide(looks.look(looks.fetch(deletionTimestamp="2026-11-21T12:00:00Z"), jobs=(looks.job(),)))

    assert ((DeleteJob(looks.job().name, "job-1"),), "active") == (decision.actions, decision.claim)


def test_suspended_with_another_spec_is_not_ready():
    """Edited and suspended in one step: the new generation's files are not there, whatever the old one's are."""
    edited = looks.with_spec(looks.ready(), suspend=True, files={"include": ["*.json"]})

    assert ("False", "Suspended") == condition(decide(edited), "Ready")


@pytest.mark.parametrize("length", [256, 257, 100_000])
def test_a_request_of_any_length_is_handled_once(length):
    """The status has room for 256 characters; one that it refused would ask for attempt after attempt, for ever."""
    asked = looks.asking(looks.after(looks.failed(Reason.GATED_ACCESS_REQUIRED)), "x" * length)
    once = looks.after(asked, jobs=(looks.job(attempt=2),))

    assert len(once.fetch.status.last_handled_reconcile_at) <= 256
    assert "2" == decide(asked).actions[0].manifest["metadata"]["labels"]["modelfetch.io/attempt"]
    assert ((), None) == (decide(once).actions, condition(decide(once), "Stalled"))


def test_a_store_on_another_claim_is_another_place():
    """A ModelStore deleted and made again on a new volume: what was published is not there, so it is fetched again."""
    moved = replace(looks.ready(), store=looks.store(claimName="larger"))
    decision = decide(moved)
    gone = decide(replace(moved, jobs=(), pods={}, reports={}))

    assert [looks.job().name] == [a.name for a in decision.actions if isinstance(a, DeleteJob)]
    assert ("False", "Progressing") == condition(gone, "Ready")
    assert "2" == gone.actions[0].manifest["metadata"]["labels"]["modelfetch.io/attempt"]


def test_a_stuck_attempt_is_made_anew_when_its_template_changes():
    """The remedy says: change the jobTemplate. A Job keeps what it was made of, so another one has to be made."""
    template = {"jobTemplate": {"nodeSelector": {"pool": "storage"}}}

    assert () == decide(_stuck()).actions
    assert (DeleteJob(looks.job().name, "job-1"),) == decide(_stuck(store=looks.store(**template))).actions


def test_a_stuck_attempt_is_made_anew_on_request():
    """The annotation tries again at once; it is echoed when the next attempt starts, not before."""
    asked = looks.asking(_stuck())
    gone = looks.after(asked, jobs=(), pods={})

    assert (DeleteJob(looks.job().name, "job-1"),) == decide(asked).actions
    assert None is decide(asked).status.last_handled_reconcile_at
    assert "now" == decide(gone).status.last_handled_reconcile_at


def test_a_request_lets_a_running_attempt_run():
    """It is being tried right now."""
    seen = looks.after(looks.look(jobs=(looks.job(),), pods={"job-1": looks.pod()}))

    assert () == decide(looks.asking(seen)).actions


def test_a_background_attempt_on_its_way_out_takes_nothing_away():
    """Somebody deletes the Job of a background attempt: Ready stays True meanwhile."""
    seen = replace(looks.ready(), jobs=(looks.job(attempt=2, deleting=True),), reports={})

    assert ("True", "Available") == condition(decide(seen), "Ready")


def test_a_queued_spec_tells_nothing_of_the_one_before():
    """Commit, counters and error of another generation would be read as this one's."""
    failed = looks.after(looks.failed(Reason.GATED_ACCESS_REQUIRED), jobs=(), pods={}, reports={})
    edited = replace(looks.with_spec(failed, files={"include": ["*.json"]}), slot=Slot(granted=False, position=1))
    status = decide(edited).status

    assert ("Queued", None, None, None) == (status.phase, status.resolved, status.progress, status.last_error)


@pytest.mark.parametrize("edit", [{"suspend": True}, {"files": {"include": ["*.json"]}}])
def test_an_attempt_is_told_of_whatever_came_after_it(edit):
    """It may have left files: without it in the status a deletion would leave them on the volume for ever."""
    decision = decide(looks.look(looks.fetch(edit), jobs=(looks.job(),), pods={"job-1": looks.pod()}))

    assert looks.job().name == decision.status.attempt.job_name


@pytest.mark.parametrize("edit", [{"suspend": True}, {"files": {"include": ["*.json"]}}])
def test_a_job_that_may_not_be_deleted_is_told(edit):
    """In the server's words, in place of what its end is waited for; it runs on, so that it keeps its slot."""
    running = looks.after(looks.look(jobs=(looks.job(),), pods={"job-1": looks.pod()}))
    kept = decide(replace(looks.with_spec(running, **edit), kept='cannot delete resource "jobs"'))

    assert ("True", "PodRejected") == condition(kept, "Reconciling")
    assert 'cannot delete resource "jobs"' in kept.status.last_error.message
    assert "active" == kept.claim


def _as_it_is(seen):
    """Return whether nothing is said, and it is looked at again in time, in the same slot."""
    kept, otherwise = decide(replace(seen, kept="forbidden")), decide(seen)
    return kept.status is None and kept.again_at == NOW + timedelta(seconds=WAIT_S) and kept.claim == otherwise.claim


def test_nothing_is_said_of_lost_files_before_the_job_that_published_them_may_be_deleted():
    """Its report would make the fetch Ready again; what is said to be lost stays to be told."""
    assert _as_it_is(replace(looks.ready(), is_lost=True))


def test_ready_stays_as_it_is_where_something_else_may_not_be_stopped():
    """A background attempt that goes on takes nothing from what is published."""
    ready = looks.ready()
    older = looks.job(looks.fetch({"files": {"include": ["*.json"]}}), attempt=7)
    runs = replace(ready, jobs=(*ready.jobs, older), pods={**ready.pods, older.uid: looks.pod()})

    assert _as_it_is(looks.with_spec(runs, suspend=True))


def test_what_is_published_is_told_while_an_older_job_may_not_be_stopped():
    """Nobody reads anything wrong by that; the older Job writes into private files of its own."""
    older = looks.job(looks.fetch({"files": {"include": ["*.json"]}}), attempt=7)
    published = looks.published()
    runs = replace(published, jobs=(*published.jobs, older), pods={**published.pods, older.uid: looks.pod()})
    decision = decide(replace(runs, kept="forbidden"))

    assert ("True", "Available") == condition(decision, "Ready")
    assert decision.again_at == NOW + timedelta(seconds=WAIT_S)


def test_ready_ends_with_its_claim_though_the_finished_job_may_not_be_deleted():
    """What it reports is not believed any more: it was published on another volume."""
    decision = decide(replace(looks.ready(), claim=None, kept="forbidden"))

    assert ("False", "StorageNotReady") == condition(decision, "Ready")


def test_a_fetch_that_goes_is_looked_at_again_while_its_job_may_not_be_deleted():
    """Somebody's finalizer holds it, so there is no other event to come."""
    goes = looks.fetch(deletionTimestamp="2026-11-21T11:59:30Z")

    assert _as_it_is(looks.look(goes, jobs=(looks.job(),), pods={"job-1": looks.pod()}))


def test_what_a_finished_job_of_the_past_is_deleted_for_does_not_wait():
    """It goes in passing: the next attempt starts, and the status tells of it, whatever becomes of the old Job."""
    failed = looks.after(looks.failed(Reason.EVICTED))
    decision = decide(replace(failed, now=NOW + timedelta(minutes=10)))
    create, delete = decision.actions

    assert (CreateJob, True) == (type(create), delete.in_passing)
    assert 2 == decision.status.attempt.number
