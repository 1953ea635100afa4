"""What is decided about a ModelFetch, case by case."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from modelfetch.core.actions import CreateJob, DeleteJob
from modelfetch.core.job import job_name, spec_hash
from modelfetch.core.observed import UNKNOWN, PodEnd, Slot
from modelfetch.core.status import dump
from modelfetch.reasons import TABLE, Backoff, Reason
from tests.unit.core import looks
from tests.unit.core.looks import NOW, UID, condition, decide

TERMINAL = [reason for reason, row in TABLE.items() if row.backoff is Backoff.NONE]
COUNTED = [reason for reason, row in TABLE.items() if row.backoff is Backoff.NORMAL]
FREE = [reason for reason, row in TABLE.items() if row.backoff in (Backoff.DISRUPTION, Backoff.WAIT)]


def _failed(reason: Reason, attempt: int = 1, failures: int = 0):
    return looks.look(
        jobs=(looks.ended_job(attempt=attempt, failures=failures),),
        pods={f"job-{attempt}": looks.pod()},
        reports={f"job-{attempt}": looks.failure(reason)},
    )


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
    decision = decide(looks.look(store=None, claim_phase=UNKNOWN))

    assert ("False", "StorageNotReady") == condition(decision, "Ready")
    assert decision.status.next_retry_time == "2026-11-21T12:00:30Z"
    assert decision.status.last_error.remedy == TABLE[Reason.STORAGE_NOT_READY].remedy
    assert () == decision.actions


@pytest.mark.parametrize("phase", [None, "Lost"])
def test_a_claim_that_is_missing_or_lost_is_explained(phase):
    """Without a usable claim no Job is made, and the message names the claim."""
    decision = decide(looks.look(claim_phase=phase))

    assert ("False", "StorageNotReady") == condition(decision, "StorageReady")
    assert "'models'" in decision.status.last_error.message
    assert () == decision.actions


def test_a_claim_that_was_not_read_is_not_treated_as_missing():
    """Not looked is not absent: the fetch waits a moment instead of reporting a missing claim."""
    decision = decide(looks.look(claim_phase=UNKNOWN))

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


def test_a_pod_that_died_after_publishing_has_published():
    """The truth is the published manifest, not the exit code."""
    seen = looks.look(
        jobs=(looks.ended_job(),), pods={"job-1": looks.pod(exit_code=137)}, reports={"job-1": looks.success()}
    )

    assert ("True", "Available") == condition(decide(seen), "Ready")


def test_a_foreign_job_with_our_labels_is_not_believed():
    """Labels alone prove nothing: a Job of another owner makes nothing Ready and stops nothing."""
    foreign = looks.job(owner_uid="somebody else", result="Complete", finished_at=NOW)
    decision = decide(looks.look(jobs=(foreign,), reports={"job-1": looks.success()}))

    assert ("False", "Progressing") == condition(decision, "Ready")
    assert [CreateJob] == [type(action) for action in decision.actions]


@pytest.mark.parametrize("reason", TERMINAL)
def test_a_terminal_reason_stalls(reason):
    """Stalled=True and no Reconciling, no next time, no new attempt: pipelines see the failure at once."""
    decision = decide(_failed(reason))

    assert ("True", reason.value) == condition(decision, "Stalled")
    assert (None, None) == (condition(decision, "Reconciling"), decision.status.next_retry_time)
    assert ("Failed", False) == (decision.status.phase, decision.status.last_error.retryable)
    assert () == decision.actions


@pytest.mark.parametrize("reason", COUNTED + FREE)
def test_a_passing_reason_waits_for_its_time(reason):
    """Reconciling stays with the reason, the next time is said, and Stalled is absent."""
    decision = decide(_failed(reason))

    assert ("True", reason.value) == condition(decision, "Reconciling")
    assert condition(decision, "Stalled") is None
    assert decision.again_at > NOW
    assert decision.status.next_retry_time is not None


def test_the_next_attempt_starts_when_its_time_has_come():
    """After the delay the Job of attempt 2 is made, with the failure counted, and the old Job goes."""
    decision = decide(replace(_failed(Reason.SOURCE_UNAVAILABLE), now=NOW + timedelta(seconds=6)))

    create, delete = decision.actions
    assert (job_name(UID, spec_hash(looks.fetch().spec), 2), "job-1") == (create.name, delete.uid)
    assert "1" == create.manifest["metadata"]["annotations"]["modelfetch.io/failures"]


def _order(create: CreateJob):
    (container,) = create.manifest["spec"]["template"]["spec"]["containers"]
    return json.loads(next(e["value"] for e in container["env"] if e["name"] == "MODELFETCH_ORDER"))


@pytest.mark.parametrize(("pod", "ended"), [(PodEnd(terminated=True), True), (PodEnd(), False)])
def test_the_next_attempt_is_told_which_have_ended(pod, ended):
    """Its order names the attempt before where that is proven to have ended; its Job keeps the names for the next."""
    before = looks.ended_job(pods=(pod,), pods_ended=1)
    seen = replace(_failed(Reason.SOURCE_UNAVAILABLE), jobs=(before,), now=NOW + timedelta(seconds=6))
    create, _ = decide(seen).actions

    assert ([before.name] if ended else []) == _order(create)["ended"]
    assert (before.name if ended else None) == create.manifest["metadata"]["annotations"].get("modelfetch.io/ended")


def test_an_attempt_of_another_spec_is_named_as_one_of_another_volume_is_not():
    """What an edited fetch has left may be taken over, where it is in the same store."""
    seen = looks.look(looks.fetch({"files": {"include": ["*.json"]}}))
    jobs = [looks.ended_job(attempt=n, pods=(PodEnd(terminated=True),), pods_ended=1) for n in (1, 2)]
    actions = decide(replace(seen, jobs=(jobs[0], replace(jobs[1], volume="pvc://other/")))).actions

    assert [[jobs[0].name]] == [_order(a)["ended"] for a in actions if isinstance(a, CreateJob)]


def test_retries_end_at_the_limit():
    """The failure after retry.limit further attempts is terminal and says how many there were."""
    decision = decide(_failed(Reason.SOURCE_UNAVAILABLE, attempt=6, failures=5))

    assert ("True", "SourceUnavailable") == condition(decision, "Stalled")
    assert "gave up after 6 failures" in decision.status.conditions[0].message


def test_a_disruption_is_not_counted():
    """An evicted Pod costs no try: even at the limit the fetch goes on."""
    decision = decide(_failed(Reason.EVICTED, attempt=9, failures=5))

    assert condition(decision, "Stalled") is None


@pytest.mark.parametrize(("lived_s", "least"), [(30, 160), (3600, 5)])
def test_evictions_in_a_row_wait_longer_with_and_without_the_job(lived_s, least):
    """The sixth of them in a row waits; one that had run for an hour does not. The status alone tells the same."""
    evicted = looks.ended_job(attempt=6, created_at=NOW - timedelta(seconds=lived_s))
    seen = looks.look(jobs=(evicted,), reports={"job-6": looks.failure(Reason.EVICTED)})
    due = decide(seen).again_at

    assert timedelta(seconds=least) <= due - NOW <= timedelta(seconds=least * 1.1)
    assert due == decide(looks.after(seen, jobs=(), reports={})).again_at


def test_a_failure_is_counted_once_however_often_it_is_seen():
    """Looking again at a failed Job after the status was written changes nothing."""
    seen = _failed(Reason.SOURCE_UNAVAILABLE)

    assert decide(seen).status == decide(looks.after(seen)).status


def test_a_restart_between_job_and_status_loses_no_count():
    """The Job of attempt 2 carries its failures, so an operator that died before the status still knows them."""
    recorded = looks.after(_failed(Reason.SOURCE_UNAVAILABLE))
    seen = replace(
        recorded, jobs=(looks.ended_job(attempt=2, failures=1),), reports={"job-2": looks.failure(Reason.RATE_LIMITED)}
    )

    assert 2 == decide(seen).status.attempt.failures
    assert decide(seen).again_at >= NOW + timedelta(seconds=10)


def test_an_edited_spec_stops_the_old_attempt_before_the_new_one_starts():
    """The old Job is deleted with its uid, and nothing starts while it may still write."""
    edited = looks.fetch({"files": {"include": ["*.json"]}})
    decision = decide(looks.look(edited, jobs=(looks.job(),), pods={"job-1": looks.pod()}))

    assert (DeleteJob(looks.job().name, "job-1"),) == decision.actions
    assert "active" == decision.claim


def test_an_edited_spec_starts_once_the_old_job_is_gone():
    """The new spec's attempts count from 1."""
    edited = looks.fetch({"files": {"include": ["*.json"]}})

    (create,) = decide(looks.look(edited)).actions
    assert job_name(UID, spec_hash(edited.spec), 1) == create.name


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
    seen = looks.after(_failed(Reason.GATED_ACCESS_REQUIRED))
    asked = seen.fetch.model_copy(
        update={"metadata": seen.meta.model_copy(update={"annotations": {"modelfetch.io/reconcile-at": "now"}})}
    )
    decision = decide(replace(seen, fetch=asked))

    assert "now" == decision.status.last_handled_reconcile_at
    assert "0" == decision.actions[0].manifest["metadata"]["annotations"]["modelfetch.io/failures"]
    assert () == decide(looks.after(replace(seen, fetch=asked), jobs=(looks.job(attempt=2),))).actions


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


def test_a_job_deleted_by_hand_is_followed_by_another():
    """The next attempt starts; nothing is counted against the limit."""
    running = looks.after(
        looks.look(jobs=(looks.job(),), pods={"job-1": looks.pod()}, reports={"job-1": looks.progress()})
    )

    (create,) = decide(replace(running, jobs=(), pods={}, reports={})).actions
    assert "2" == create.manifest["metadata"]["labels"]["modelfetch.io/attempt"]


def test_a_ready_fetch_needs_no_job():
    """A Job that a TTL or a person removed takes nothing from what is published."""
    decision = decide(replace(looks.ready(), jobs=(), pods={}, reports={}))

    assert ("True", "Available") == condition(decision, "Ready")
    assert () == decision.actions


def test_a_stalled_fetch_stays_stalled_without_its_job():
    """A terminal outcome that stands in the status is not tried again because its Job is gone."""
    decision = decide(replace(looks.after(_failed(Reason.SOURCE_NOT_FOUND)), jobs=(), reports={}))

    assert ("True", "SourceNotFound") == condition(decision, "Stalled")
    assert () == decision.actions


def test_an_announced_retry_is_kept_without_its_job():
    """The next attempt starts at the announced time, counted on from the recorded failures."""
    waiting = replace(looks.after(_failed(Reason.RATE_LIMITED)), jobs=(), reports={})

    assert () == decide(waiting).actions
    (create,) = decide(replace(waiting, now=NOW + timedelta(seconds=7))).actions
    assert "1" == create.manifest["metadata"]["annotations"]["modelfetch.io/failures"]


@pytest.mark.parametrize(
    ("pod", "reason"),
    [
        ({"unschedulable": "0/3 nodes are available: 3 Insufficient memory."}, "Unschedulable"),
        ({"unschedulable": 'persistentvolumeclaim "models" not found'}, "StorageNotReady"),
        ({"waiting_reason": "ImagePullBackOff", "waiting_message": "back-off"}, "ImagePullFailed"),
        ({"mount_failure": 'MountVolume.SetUp failed for volume "token" : secret "x" not found'}, "SecretNotFound"),
        ({"mount_failure": "references non-existent secret key: token"}, "SecretKeyMissing"),
        (
            {"mount_failure": "driver name efs.csi.aws.com not found in the list of registered CSI drivers"},
            "StorageNotReady",
        ),
    ],
)
def test_what_keeps_a_pod_from_starting_is_said(pod, reason):
    """The cluster's words become the reason while the Pod waits, and the fetch holds no slot meanwhile."""
    decision = decide(looks.look(jobs=(looks.job(),), pods={"job-1": looks.pod(phase="Pending", **pod)}))

    assert ("True", reason) == condition(decision, "Reconciling")
    assert "none" == decision.claim


def test_a_refused_job_is_explained_in_the_servers_words():
    """A quota or an admission rule becomes PodRejected with what the API server said."""
    decision = decide(looks.look(refusal="exceeded quota: pods=0"))

    assert ("False", "PodRejected") == condition(decision, "Ready")
    assert "exceeded quota" in decision.status.last_error.message


def test_a_spec_that_does_not_parse_stalls():
    """An object that an older CRD let through is refused with the field's name."""
    decision = decide(looks.look(spec_error="spec.source: exactly one of uri, huggingFace and http must be set"))

    assert ("True", "SpecInvalid") == condition(decision, "Stalled")


def test_an_announced_look_does_not_move_with_every_look():
    """A next time that changed at every event would cause a write, which would cause an event, for ever."""
    seen = looks.look(store=None)

    assert decide(seen).status == decide(looks.after(seen, now=NOW + timedelta(seconds=3))).status


def test_nothing_is_said_of_a_fetch_that_is_being_deleted():
    """A status written now would only cause conflicts."""
    decision = decide(looks.look(looks.fetch(deletionTimestamp="2026-11-21T12:00:00Z")))

    assert (None, ()) == (decision.status, decision.actions)


def test_a_fetch_that_is_held_by_a_finalizer_downloads_no_more():
    """Somebody else's finalizer keeps it from the garbage collector; its slot is free once the Job has ended."""
    decision = decide(looks.look(looks.fetch(deletionTimestamp="2026-11-21T12:00:00Z"), jobs=(looks.job(),)))

    assert ((DeleteJob(looks.job().name, "job-1"),), "active") == (decision.actions, decision.claim)


@pytest.mark.parametrize("reason", [Reason.SOURCE_NOT_FOUND, Reason.RATE_LIMITED])
def test_a_finished_job_on_its_way_out_changes_nothing(reason):
    """Its time to live is over: what stands in the status stays, Stalled does not flicker."""
    before = looks.after(_failed(reason))
    leaving = replace(before, jobs=(looks.ended_job(deleting=True),))

    assert decide(before).status.conditions == decide(leaving).status.conditions
    assert () == decide(leaving).actions


def _asks(seen, value="now"):
    meta = seen.meta.model_copy(update={"annotations": {"modelfetch.io/reconcile-at": value}})
    return replace(seen, fetch=seen.fetch.model_copy(update={"metadata": meta}))


def _with_spec(seen, **spec):
    return replace(seen, fetch=seen.fetch.model_copy(update={"spec": looks.fetch(spec).spec}))


def test_suspended_with_another_spec_is_not_ready():
    """Edited and suspended in one step: the new generation's files are not there, whatever the old one's are."""
    edited = _with_spec(looks.ready(), suspend=True, files={"include": ["*.json"]})

    assert ("False", "Suspended") == condition(decide(edited), "Ready")


@pytest.mark.parametrize("length", [256, 257, 100_000])
def test_a_request_of_any_length_is_handled_once(length):
    """The status has room for 256 characters; one that it refused would ask for attempt after attempt, for ever."""
    asked = _asks(looks.after(_failed(Reason.GATED_ACCESS_REQUIRED)), "x" * length)
    once = looks.after(asked, jobs=(looks.job(attempt=2),))

    assert len(once.fetch.status.last_handled_reconcile_at) <= 256
    assert "2" == decide(asked).actions[0].manifest["metadata"]["labels"]["modelfetch.io/attempt"]
    assert ((), None) == (decide(once).actions, condition(decide(once), "Stalled"))


def test_a_report_that_was_not_read_changes_nothing():
    """The budget of log reads was used up: phase and conditions stay, or they would go to and fro."""
    seen = looks.look(jobs=(looks.job(),), pods={"job-1": looks.pod()}, reports={"job-1": looks.progress()})
    unread = decide(looks.after(seen, reports={})).status

    assert decide(seen).status.conditions == unread.conditions
    assert ("Downloading", 50) == (unread.phase, unread.progress.percent)


def test_progress_is_dated_by_its_report():
    """A finished fetch that is looked at again later has the same status: nothing to write for 10,000 idle ones."""
    seen = looks.ready()

    assert decide(seen).status == decide(replace(seen, now=NOW + timedelta(hours=1))).status


def test_a_store_on_another_claim_is_another_place():
    """A ModelStore deleted and made again on a new volume: what was published is not there, so it is fetched again."""
    moved = replace(looks.ready(), store=looks.store(claimName="larger"))
    decision = decide(moved)
    gone = decide(replace(moved, jobs=(), pods={}, reports={}))

    assert [DeleteJob(looks.job().name, "job-1")] == [a for a in decision.actions if isinstance(a, DeleteJob)]
    assert ("False", "Progressing") == condition(gone, "Ready")
    assert "2" == gone.actions[0].manifest["metadata"]["labels"]["modelfetch.io/attempt"]


@pytest.mark.parametrize("phase", [None, "Lost"])
def test_ready_ends_with_the_claim(phase):
    """No claim, no files: not Ready, and the old Job's word is not taken again once there is another claim."""
    seen = replace(looks.ready(), claim_phase=phase)
    decision = decide(seen)
    again = looks.after(seen, claim_phase="Bound", jobs=(), pods={}, reports={}, now=NOW + timedelta(seconds=1))

    assert ("False", "StorageNotReady") == condition(decision, "Ready")
    assert (None, True) == (decision.status.artifact, decision.status.next_retry_time is not None)
    assert (DeleteJob(looks.job().name, "job-1"),) == decision.actions
    assert [CreateJob] == [type(action) for action in decide(again).actions]


def test_a_claim_that_was_not_read_takes_no_ready():
    """Not looked is not absent."""
    assert ("True", "Available") == condition(decide(replace(looks.ready(), claim_phase=UNKNOWN)), "Ready")


STUCK = {"phase": "Pending", "waiting_reason": "ImagePullBackOff", "waiting_message": "back-off"}


def _stuck(**changes):
    return looks.after(looks.look(jobs=(looks.job(),), pods={"job-1": looks.pod(**STUCK)}), **changes)


def test_a_stuck_attempt_is_made_anew_when_its_template_changes():
    """The remedy says: change the jobTemplate. A Job keeps what it was made of, so another one has to be made."""
    template = {"jobTemplate": {"nodeSelector": {"pool": "storage"}}}

    assert () == decide(_stuck()).actions
    assert (DeleteJob(looks.job().name, "job-1"),) == decide(_stuck(store=looks.store(**template))).actions


def test_a_stuck_attempt_is_made_anew_on_request():
    """The annotation tries again at once; it is echoed when the next attempt starts, not before."""
    asked = _asks(_stuck())
    gone = looks.after(asked, jobs=(), pods={})

    assert (DeleteJob(looks.job().name, "job-1"),) == decide(asked).actions
    assert None is decide(asked).status.last_handled_reconcile_at
    assert "now" == decide(gone).status.last_handled_reconcile_at


def test_a_request_lets_a_running_attempt_run():
    """It is being tried right now."""
    seen = looks.after(looks.look(jobs=(looks.job(),), pods={"job-1": looks.pod()}))

    assert () == decide(_asks(seen)).actions


def test_a_pod_that_never_started_did_not_miss_its_deadline():
    """A Secret that is missing for longer than the deadline: still waited for, not a terminal DeadlineExceeded."""
    waiting = looks.after(
        looks.look(
            jobs=(looks.job(),),
            pods={"job-1": looks.pod(phase="Pending", mount_failure='secret "x" not found')},
        ),
        jobs=(looks.ended_job(failure_reason="DeadlineExceeded"),),
        pods={},
    )

    assert ("True", "SecretNotFound") == condition(decide(waiting), "Reconciling")
    assert ("True", "SecretNotFound") == condition(decide(looks.after(waiting)), "Reconciling")


def test_a_pod_that_may_not_be_made_is_explained():
    """A quota lets the Job in and refuses its Pod: the Job controller's words become PodRejected."""
    job = looks.job(refusal='pods "x" is forbidden: exceeded quota: none')
    decision = decide(looks.look(jobs=(job,)))

    assert ("True", "PodRejected") == condition(decision, "Reconciling")
    assert "none" == decision.claim


@pytest.mark.parametrize(("late_s", "reason"), [(10, "Progressing"), (60, "NodeLost")])
def test_a_pod_that_does_not_end_is_explained(late_s, reason):
    """A node that does not answer keeps its Pod for ever; whoever waits for it is told."""
    pod = looks.pod(deleting=True, gone_by=NOW - timedelta(seconds=late_s))
    running = looks.look(jobs=(looks.job(),), pods={"job-1": pod}, reports={"job-1": looks.progress()})
    fenced = _with_spec(running, files={"include": ["*.json"]})

    assert ("True", reason) == condition(decide(running), "Reconciling")
    assert ("True", reason) == condition(decide(fenced), "Reconciling")


def test_a_background_attempt_on_its_way_out_takes_nothing_away():
    """Somebody deletes the Job of a background attempt: Ready stays True meanwhile."""
    seen = replace(looks.ready(), jobs=(looks.job(attempt=2, deleting=True),), reports={})

    assert ("True", "Available") == condition(decide(seen), "Ready")


def test_a_queued_spec_tells_nothing_of_the_one_before():
    """Commit, counters and error of another generation would be read as this one's."""
    failed = looks.after(_failed(Reason.GATED_ACCESS_REQUIRED), jobs=(), pods={}, reports={})
    edited = replace(_with_spec(failed, files={"include": ["*.json"]}), slot=Slot(granted=False, position=1))
    status = decide(edited).status

    assert ("Queued", None, None, None) == (status.phase, status.resolved, status.progress, status.last_error)


def test_a_higher_limit_goes_on_where_the_job_is_gone():
    """retry.limit is obeyed when it is raised, also after the Job of the last attempt went."""
    spent = looks.after(_failed(Reason.SOURCE_UNAVAILABLE, attempt=6, failures=5), jobs=(), pods={}, reports={})
    raised = replace(_with_spec(spent, retry={"limit": 9}), now=NOW + timedelta(hours=1))

    assert "gave up after 6 failures" in decide(spent).status.conditions[0].message
    assert "6" == decide(raised).actions[0].manifest["metadata"]["annotations"]["modelfetch.io/failures"]


def test_a_reason_of_a_newer_operator_is_survived():
    """After a rollback the status may hold a reason that this version does not know: it tries again."""
    failed = looks.after(_failed(Reason.RATE_LIMITED), jobs=(), pods={}, reports={})
    error = failed.fetch.status.last_error.model_copy(update={"reason": "ScanRejected"})
    status = failed.fetch.status.model_copy(update={"last_error": error})
    seen = replace(failed, fetch=failed.fetch.model_copy(update={"status": status}))

    assert [CreateJob] == [type(action) for action in decide(seen).actions]


def test_a_node_that_refuses_a_pod_is_no_defect_of_ours():
    """OutOfcpu and its like: the Pod failed before anything ran in it."""
    pod = looks.pod(phase="Failed", reason="OutOfcpu")
    decision = decide(looks.look(jobs=(looks.ended_job(),), pods={"job-1": pod}))

    assert ("True", "Unschedulable") == condition(decision, "Reconciling")


def test_an_invalid_store_is_explained():
    """The fetch names the store and its field; nothing is made from guessed values."""
    decision = decide(looks.look(store=None, store_error="is invalid: spec.slots: too small", claim_phase=UNKNOWN))

    assert ("False", "StorageNotReady") == condition(decision, "Ready")
    assert "'default' is invalid: spec.slots" in decision.status.last_error.message


@pytest.mark.parametrize("letter", ["x", "é", "模", "😀"])
def test_a_status_stays_small_in_every_script(letter):
    """A source chooses its files' names; 8 KiB is the bound of a status."""
    report = looks.failure(Reason.SOURCE_UNAVAILABLE, letter * 1024).model_copy(update={"file": letter * 1024})
    seen = looks.look(jobs=(looks.ended_job(),), pods={"job-1": looks.pod()}, reports={"job-1": report})
    status = dump(decide(seen).status)

    assert len(json.dumps(status, ensure_ascii=False).encode()) < 8192
