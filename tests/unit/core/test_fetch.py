"""What is decided about a ModelFetch, case by case: its store, its slot, its status."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from modelfetch.core.actions import CreateJob, DeleteJob
from modelfetch.core.job import job_name, spec_hash
from modelfetch.core.observed import UNKNOWN, ClaimSeen, Slot
from modelfetch.core.status import dump
from modelfetch.reasons import TABLE, Reason
from tests.unit.core import looks
from tests.unit.core.looks import NOW, UID, condition, decide


def test_a_new_fetch_starts_its_first_attempt():
    """A fetch with a store, a claim and a free slot gets the Job of attempt 1 and asks for a slot."""
    decision = decide(looks.look())

    name = job_name(UID, spec_hash(looks.fetch().spec), 1)
    assert [name] == [a.name for a in decision.actions if isinstance(a, CreateJob)]
    assert decision.claim == "active"


def test_the_same_look_gives_the_same_decision():
    """Deciding twice on one look gives one decision: every look may be repeated."""
    assert decide(looks.look()) == decide(looks.look())


def test_the_first_status_already_says_ready_false_and_reconciling():
    """From the first write on Ready exists, so that waiting tools see an unfinished resource."""
    decision = decide(looks.look())

    assert ("False", "Progressing") == condition(decision, "Ready")
    assert ("True", "Progressing") == condition(decision, "Reconciling")


def test_a_missing_store_is_explained():
    """A fetch that names no existing ModelStore waits, with the reason, a remedy and the time of the next look."""
    decision = decide(looks.look(store=None, claim=UNKNOWN))

    assert ("False", "StorageNotReady") == condition(decision, "Ready")
    assert decision.status.next_retry_time == "2026-11-21T12:00:30Z"
    assert decision.status.last_error.remedy == TABLE[Reason.STORAGE_NOT_READY].remedy
    assert () == decision.actions


@pytest.mark.parametrize("claim", [None, ClaimSeen("Lost")])
def test_a_claim_that_is_missing_or_lost_is_explained(claim):
    """Without a usable claim no Job is made, and the message names the claim."""
    decision = decide(looks.look(claim=claim))

    assert ("False", "StorageNotReady") == condition(decision, "StorageReady")
    assert "'models'" in decision.status.last_error.message
    assert () == decision.actions


def test_a_claim_that_was_not_read_is_not_treated_as_missing():
    """Not looked is not absent: the fetch waits a moment instead of reporting a missing claim."""
    decision = decide(looks.look(claim=UNKNOWN))

    assert ("False", "Pending") == condition(decision, "Ready")
    assert decision.status.last_error is None


def test_without_a_slot_a_fetch_is_queued_with_its_position():
    """A fetch beyond its store's slots waits as Queued and says at which place."""
    decision = decide(looks.look(slot=Slot(granted=False, position=7)))

    assert "Queued" == decision.status.phase
    assert 7 == decision.status.queue.position
    assert "waiting" == decision.claim
    assert () == decision.actions


def test_the_queue_position_stands_in_no_condition():
    """A number that changes all the time would make every condition look like news."""
    first, second = (decide(looks.look(slot=Slot(granted=False, position=n))) for n in (7, 8))

    assert first.status.conditions == second.status.conditions


def test_no_attempt_begins_while_a_pod_of_a_deleted_fetch_of_its_name_runs():
    """What that publishes late would make the folder its own, and the removal of it would take the new files away."""
    waiting = looks.look(predecessor_runs=True)
    decision = decide(waiting)
    after = looks.after(waiting, predecessor_runs=False)

    assert () == decision.actions
    assert "an earlier ModelFetch of this name" in str(decision.status.conditions)
    assert [CreateJob] == [type(action) for action in decide(after).actions]


def test_a_running_attempt_shows_its_progress():
    """The report's counters become status.progress, its step the phase."""
    decision = decide(looks.look(jobs=(looks.job(),), pods={"job-1": looks.pod()}, reports={"job-1": looks.progress()}))

    assert ("Downloading", 50) == (decision.status.phase, decision.status.progress.percent)
    assert ("True", "Succeeded") == condition(decision, "SourceResolved")
    assert decision.again_at == NOW + timedelta(seconds=2)


def test_a_published_manifest_makes_ready():
    """Ready=True, no Reconciling, no Stalled, and the artifact to mount, with the claim's name."""
    decision = decide(looks.ready())

    assert ("True", "Available") == condition(decision, "Ready")
    assert (None, None) == (condition(decision, "Reconciling"), condition(decision, "Stalled"))
    assert f"pvc://models/{looks.ARTIFACT.path}" == decision.status.artifact.uri


def test_a_ready_fetch_needs_no_job():
    """A Job that a TTL or a person removed takes nothing from what is published."""
    decision = decide(replace(looks.ready(), jobs=(), pods={}, reports={}))

    assert ("True", "Available") == condition(decision, "Ready")
    assert () == decision.actions


@pytest.mark.parametrize("claim", [None, ClaimSeen("Lost")])
def test_ready_ends_with_the_claim(claim):
    """No claim, no files: not Ready, and the old Job's word is not taken again once there is another claim."""
    seen = replace(looks.ready(), claim=claim)
    decision = decide(seen)
    again = looks.after(seen, claim=looks.CLAIM, jobs=(), pods={}, reports={}, now=NOW + timedelta(seconds=1))

    assert ("False", "StorageNotReady") == condition(decision, "Ready")
    assert (None, True) == (decision.status.artifact, decision.status.next_retry_time is not None)
    assert (DeleteJob(looks.job().name, "job-1"),) == decision.actions
    assert [CreateJob] == [type(action) for action in decide(again).actions]


OTHER_VOLUME = ClaimSeen("Bound", "another-uid", "pv-2")


@pytest.mark.parametrize("claim", [OTHER_VOLUME, ClaimSeen("Pending", "another-uid")])
@pytest.mark.parametrize("job_is_there", [True, False])
def test_ready_ends_with_another_volume(claim, job_is_there):
    """A claim that was made anew under its name has none of the files: they are fetched again, by another attempt."""
    gone = replace(looks.ready(), claim=claim, **({} if job_is_there else {"jobs": (), "pods": {}, "reports": {}}))
    decision = decide(gone)
    again = looks.after(gone, jobs=(), pods={}, reports={})
    (create,) = decide(again).actions

    assert ("False", "Progressing") == condition(decision, "Ready")
    assert "another volume" in str(decision.status.conditions)
    assert (None, [DeleteJob] * job_is_there) == (decision.status.artifact, [type(a) for a in decision.actions])
    assert job_name(UID, spec_hash(looks.fetch().spec), 2) == create.name


@pytest.mark.parametrize("claim", [None, ClaimSeen("Lost"), OTHER_VOLUME])
def test_a_suspended_fetch_is_not_ready_without_its_volume(claim):
    """Nothing is fetched again before it goes on; until then nobody is told to read what is not there."""
    seen = looks.ready()
    paused = seen.fetch.model_copy(update={"spec": seen.fetch.spec.model_copy(update={"suspend": True})})
    kept, lost = (decide(replace(seen, fetch=paused, claim=one)) for one in (looks.CLAIM, claim))

    assert [("True", False), ("False", True)] == [
        (condition(decision, "Ready")[0], decision.status.artifact is None) for decision in (kept, lost)
    ]
    assert {"Suspended"} == {kept.status.phase, lost.status.phase}


@pytest.mark.parametrize("job_is_there", [True, False])
def test_ready_ends_with_its_files(job_is_there):
    """They were looked for and are not there: another attempt fetches them, whatever the first one's report says."""
    gone = replace(looks.ready(), is_lost=True, **({} if job_is_there else {"jobs": (), "pods": {}, "reports": {}}))
    decision = decide(gone)
    again = looks.after(gone, jobs=(), pods={}, reports={}, is_lost=False)
    (create,) = decide(again).actions

    assert ("False", "Progressing") == condition(decision, "Ready")
    assert "not on the store's volume any more" in str(decision.status.conditions)
    assert (None, [DeleteJob] * job_is_there) == (decision.status.artifact, [type(a) for a in decision.actions])
    assert job_name(UID, spec_hash(looks.fetch().spec), 2) == create.name


def test_ready_ends_with_its_files_while_another_attempt_runs():
    """That one goes on, and fetches them."""
    seen = replace(looks.ready(), is_lost=True, claim=UNKNOWN)
    runs = replace(seen, jobs=(*seen.jobs, looks.job(attempt=2)), pods={"job-2": looks.pod()})
    decision = decide(runs)

    assert ("False", "Progressing") == condition(decision, "Ready")
    assert (None, "active") == (decision.status.artifact, decision.claim)
    assert [looks.job().name] == [action.name for action in decision.actions]  # the first one's, which has ended


def test_ready_ends_with_its_files_while_the_pod_of_an_earlier_one_ends():
    """It may end for long; nobody is told meanwhile to read what is not there."""
    assert ("False", "Progressing") == condition(
        decide(replace(looks.ready(), is_lost=True, predecessor_runs=True, jobs=())), "Ready"
    )


@pytest.mark.parametrize("change", [{"suspend": True}, {"source": {"uri": "hf://acme/other"}}])
def test_files_that_are_gone_are_not_ready_again_for_an_old_report(change):
    """Suspended, or edited: the Job that published them goes in any case, before anything else is said."""
    seen = looks.ready()
    changed = seen.fetch.model_copy(update={"spec": seen.fetch.spec.model_copy(update=change)})
    if "source" in change:
        changed = looks.fetch(change, dump(seen.fetch.status))
    decision = decide(replace(seen, fetch=changed, is_lost=True))

    assert ("False", "Progressing", None) == (*condition(decision, "Ready"), decision.status.artifact)
    assert DeleteJob(looks.job().name, "job-1") in decision.actions


def test_what_a_later_attempt_has_published_is_there():
    """Its status was not written yet when the earlier one's files were looked for."""
    seen = looks.ready()
    later = looks.job(attempt=2, result="Complete", finished_at=NOW, created_at=NOW)
    report = looks.published().reports["job-1"].model_copy(update={"at": NOW + timedelta(seconds=1)})
    decision = decide(replace(seen, is_lost=True, jobs=(later,), reports={"job-2": report}, pods={}))

    assert (("True", "Available"), ()) == (condition(decision, "Ready"), decision.actions)


def test_what_was_published_on_a_claim_that_is_another_by_now_makes_nothing_ready():
    """The Job ended while no operator ran, and its claim was made anew before one looked."""
    decision = decide(replace(looks.published(), claim=OTHER_VOLUME))

    assert ("False", "Progressing") == condition(decision, "Ready")


def test_ready_stays_with_the_volume():
    """A claim made anew for the same volume has the files; a claim that is bound late is the same claim."""
    seen = looks.ready()
    early = looks.job(result="Complete", finished_at=NOW, claim=ClaimSeen("Pending", "claim-uid"))

    assert ("True", "Available") == condition(decide(replace(seen, claim=ClaimSeen("Bound", "new", "pv-1"))), "Ready")
    assert ("True", "Available") == condition(decide(replace(looks.published(), jobs=(early,))), "Ready")
    assert "pv-1" == seen.fetch.status.artifact.volume_name


def test_a_claim_that_was_not_read_takes_no_ready():
    """Not looked is not absent."""
    assert ("True", "Available") == condition(decide(replace(looks.ready(), claim=UNKNOWN)), "Ready")


def test_ready_waits_until_the_claim_was_read():
    """Which volume has the files is a part of it; the API server did not answer, and is asked again."""
    decision = decide(replace(looks.published(), claim=UNKNOWN))

    assert ("False", "Progressing") == condition(decision, "Ready")
    assert (NOW + timedelta(seconds=5), ()) == (decision.again_at, decision.actions)


def test_an_invalid_store_is_explained():
    """The fetch names the store and its field; nothing is made from guessed values."""
    decision = decide(looks.look(store=None, store_error="is invalid: spec.slots: too small", claim=UNKNOWN))

    assert ("False", "StorageNotReady") == condition(decision, "Ready")
    assert "'default' is invalid: spec.slots" in decision.status.last_error.message


@pytest.mark.parametrize("letter", ["x", "é", "模", "😀"])
def test_a_status_stays_small_in_every_script(letter):
    """A source chooses its files' names; 8 KiB is the bound of a status."""
    report = looks.failure(Reason.SOURCE_UNAVAILABLE, letter * 1024).model_copy(update={"file": letter * 1024})
    seen = looks.look(jobs=(looks.ended_job(),), pods={"job-1": looks.pod()}, reports={"job-1": report})
    status = dump(decide(seen).status)

    assert len(json.dumps(status, ensure_ascii=False).encode()) < 8192


@pytest.mark.parametrize(("ahead_s", "is_news"), [(-2, False), (0, False), (3, False), (3600, True)])
def test_an_attempt_that_has_started_is_told_once(ahead_s, is_news):
    """What stands in the status when the Job was made is what the next look says; only a wrong time is put right."""
    made = looks.job(created_at=NOW + timedelta(seconds=ahead_s))
    later = looks.after(looks.look(), jobs=(made,))

    assert is_news == (decide(later).status != later.fetch.status)
