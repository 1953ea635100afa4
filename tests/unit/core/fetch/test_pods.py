"""What is decided from the Jobs and Pods of a ModelFetch: those that end, do not end, or went away."""

from dataclasses import replace
from datetime import timedelta

import pytest

from modelfetch.core.actions import CreateJob
from modelfetch.core.observed import UNKNOWN, ClaimSeen, PodEnd, Slot
from modelfetch.core.outcome import OLD_VIEW_S, PODS_FOLLOW_S
from modelfetch.reasons import Reason
from tests.unit.core import looks
from tests.unit.core.looks import CLAIM, NOW, condition, decide


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


def test_a_job_deleted_by_hand_is_told_and_followed_by_another():
    """The next attempt starts, once the Pod has ended; nothing is counted against the limit."""
    running = looks.after(
        looks.look(jobs=(looks.job(),), pods={"job-1": looks.pod()}, reports={"job-1": looks.progress()})
    )

    name = running.fetch.status.attempt.job_name
    gone = replace(running, jobs=(), pods={}, reports={}, vanished=name, strays=(looks.pod(),))
    next_one = decide(looks.after(gone, strays=()))

    assert ((), "active") == (decide(gone).actions, decide(gone).claim)
    (create,) = next_one.actions
    assert "2" == create.manifest["metadata"]["labels"]["modelfetch.io/attempt"]
    assert ("Cancelled", 0) == (next_one.status.last_error.reason, next_one.status.attempt.failures)
    assert name in next_one.status.last_error.message


@pytest.mark.parametrize("vanished", ["", "another"])
def test_a_job_that_the_operator_ended_is_not_told_as_deleted(vanished):
    """It went for a reason that was told already."""
    running = looks.after(looks.look(jobs=(looks.job(),), pods={"job-1": looks.pod()}))

    assert None is decide(replace(running, jobs=(), pods={}, vanished=vanished)).status.last_error


@pytest.mark.parametrize(("ending_s", "reason"), [(40.0, "Progressing"), (46.0, "NodeLost")])
def test_the_pod_of_a_job_that_is_gone_does_not_end(ending_s, reason):
    """Its node is lost: that is said, and no other attempt begins beside it."""
    late = looks.pod(deleting=True, grace_s=30.0, ending_s=ending_s)
    running = looks.after(looks.look(jobs=(looks.job(),), pods={"job-1": looks.pod()}))
    decision = decide(replace(running, jobs=(), pods={}, strays=(late,)))

    assert ("True", reason) == condition(decision, "Reconciling")
    assert ((), "active") == (decision.actions, decision.claim)


def test_what_is_recorded_does_not_wait_for_a_pod():
    """Nothing would start: who has given up says so still, though a Pod of its Job is there."""
    stalled = looks.after(
        looks.look(jobs=(looks.ended_job(),), reports={"job-1": looks.failure(Reason.SOURCE_NOT_FOUND)})
    )
    decision = decide(replace(stalled, jobs=(), reports={}, strays=(looks.pod(),)))

    assert ("True", "SourceNotFound") == condition(decision, "Stalled")


def test_a_job_that_vanished_is_told_by_the_next_one():
    """The status that was to tell of it was refused, and the next attempt runs already."""
    running = looks.after(looks.look(jobs=(looks.job(),), pods={"job-1": looks.pod()}))
    name = running.fetch.status.attempt.job_name
    second = replace(running, jobs=(looks.job(attempt=2, name="second", uid="job-2"),), pods={}, vanished=name)

    assert "Cancelled" == decide(second).status.last_error.reason
    assert "Cancelled" == decide(looks.after(second)).status.last_error.reason


def test_a_job_that_went_after_it_had_published_was_not_cancelled():
    """What it came to is told: somebody only asks for another look."""
    ready = looks.ready()
    name = ready.fetch.status.attempt.job_name
    decision = decide(replace(looks.asking(ready), jobs=(), pods={}, reports={}, vanished=name))

    assert ([CreateJob], None) == ([type(action) for action in decision.actions], decision.status.last_error)


@pytest.mark.parametrize("reason", [Reason.SOURCE_NOT_FOUND, Reason.RATE_LIMITED])
def test_a_finished_job_on_its_way_out_changes_nothing(reason):
    """Its time to live is over: what stands in the status stays, Stalled does not flicker."""
    before = looks.after(looks.failed(reason))
    leaving = replace(before, jobs=(looks.ended_job(deleting=True),))

    assert decide(before).status.conditions == decide(leaving).status.conditions
    assert () == decide(leaving).actions


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


@pytest.mark.parametrize(
    ("job", "pod", "reason"),
    [
        ({}, {}, "Cancelled"),
        ({}, {"disrupted": True}, "Evicted"),
        ({}, {"reason": "Evicted"}, "Evicted"),
        ({"failure_reason": "DeadlineExceeded"}, {}, "DeadlineExceeded"),
        ({}, {"disrupted": True, "given_up": True}, "NodeLost"),
    ],
)
def test_who_ended_the_fetcher_is_known_by_the_cluster(job, pod, reason):
    """It says that it was told to end, whether by a drain, by a deadline or by a person."""
    cancelled = {"job-1": looks.failure(Reason.CANCELLED, "told to end by SIGTERM")}
    seen = looks.look(
        jobs=(looks.ended_job(**job),), pods={"job-1": looks.pod(exit_code=143, **pod)}, reports=cancelled
    )

    assert reason == decide(seen).status.last_error.reason


def test_a_pod_that_never_started_did_not_miss_its_deadline():
    """A Secret that is missing for longer than the deadline: still waited for, not a terminal DeadlineExceeded."""
    waiting = looks.after(
        looks.look(
            jobs=(looks.job(),),
            pods={"job-1": looks.pod(phase="Pending", complaint='secret "x" not found')},
        ),
        jobs=(looks.ended_job(failure_reason="DeadlineExceeded"),),
        pods={},
    )

    assert ("True", "SecretNotFound") == condition(decide(waiting), "Reconciling")
    assert ("True", "SecretNotFound") == condition(decide(looks.after(waiting)), "Reconciling")


@pytest.mark.parametrize("pods", [{}, {"job-1": looks.pod(phase="Pending", node=None)}], ids=["gone", "remembered"])
def test_a_pod_that_only_waited_is_not_stalled_once_its_store_is_full(pods):
    """At its next time there is no slot, and what it had waited for stands in no condition any more."""
    waiting = looks.look(jobs=(looks.job(),), pods={"job-1": looks.pod(phase="Pending", unschedulable="no node")})
    ended = looks.after(waiting, jobs=(looks.ended_job(failure_reason="DeadlineExceeded"),), pods=pods)
    later = looks.after(ended, now=NOW + timedelta(seconds=40), slot=Slot(granted=False, position=1))

    assert "Queued" == decide(later).status.phase
    assert "Queued" == decide(looks.after(later)).status.phase


@pytest.mark.parametrize("has_told", [True, False])
@pytest.mark.parametrize(
    ("ran_s", "stands"), [(4 * 3600.0, ("Reconciling", "Cancelled")), (90_000.0, ("Stalled", "DeadlineExceeded"))]
)
def test_a_pod_that_waited_has_not_had_all_its_time(ran_s, stands, has_told):
    """The Job's deadline counts from when it was made: of its 24 hours it waited 20 for a Secret."""
    cancelled = {"job-1": looks.failure(Reason.CANCELLED, "told to end by SIGTERM")} if has_told else {}
    pods = {"job-1": looks.pod(exit_code=143, ran_s=ran_s)}
    ended = looks.look(jobs=(looks.ended_job(failure_reason="DeadlineExceeded"),), pods=pods, reports=cancelled)
    type_, reason = stands

    assert ("True", reason) == condition(decide(ended), type_)
    assert ("True", reason) == condition(decide(looks.after(ended, pods={}, reports={})), type_)


def test_a_fetcher_that_says_that_its_deadline_is_over_is_believed():
    """It counts from its own start."""
    seen = looks.failed(Reason.DEADLINE_EXCEEDED)
    pods = {"job-1": looks.pod(exit_code=58, ran_s=60.0)}

    assert ("True", "DeadlineExceeded") == condition(decide(replace(seen, pods=pods)), "Stalled")


def test_an_eviction_is_told_in_the_words_of_whoever_did_it():
    """A Pod that used more than its limit is told which; the node's own trouble is told, too."""
    words = "Pod ephemeral local storage usage exceeds the total limit of containers 64Mi."
    pods = {"job-1": looks.pod(phase="Failed", reason="Evicted", message=words)}
    decision = decide(looks.look(jobs=(looks.ended_job(),), pods=pods))

    assert "Evicted" == decision.status.last_error.reason
    assert words in decision.status.last_error.message


def test_a_node_that_the_cluster_does_not_hear_of_is_told_and_nothing_is_ended_for_it():
    """Long before the Pod is given up; once the node is back, it goes on as if nothing had been."""
    running = looks.look(jobs=(looks.job(),), pods={"job-1": looks.pod()}, reports={"job-1": looks.progress()})
    cut_off = looks.after(running, pods={"job-1": looks.pod(is_cut_off=True)})

    assert ("True", "NodeLost") == condition(decide(cut_off), "Reconciling")
    assert ((), (), "active") == (decide(cut_off).actions, decide(looks.asking(cut_off)).actions, decide(cut_off).claim)
    assert "Downloading" == decide(looks.after(cut_off, pods=running.pods)).status.phase


@pytest.mark.parametrize(
    ("unplaced_s", "claim", "reason"),
    [
        (40.0, ClaimSeen("Pending", "claim-uid"), "StorageNotReady"),
        (20.0, ClaimSeen("Pending", "claim-uid"), "Progressing"),
        (40.0, CLAIM, "Progressing"),
        (40.0, UNKNOWN, "Progressing"),
    ],
    ids=["no volume", "not yet", "has one", "not read"],
)
def test_a_claim_that_gets_no_volume_for_its_pod_is_told(unplaced_s, claim, reason):
    """It waits for its first consumer, and the scheduler, which binds it, says nothing for ten minutes."""
    pods = {"job-1": looks.pod(phase="Pending", node=None, unplaced_s=unplaced_s)}
    decision = decide(looks.look(jobs=(looks.job(),), pods=pods, claim=claim))

    assert ("True", reason) == condition(decision, "Reconciling")


@pytest.mark.parametrize(("late_s", "reason"), [(10, "Progressing"), (60, "NodeLost")])
def test_a_pod_that_does_not_end_is_explained(late_s, reason):
    """A node that does not answer keeps its Pod for ever; whoever waits for it is told."""
    pod = looks.pod(deleting=True, grace_s=30.0, ending_s=30.0 + late_s)
    running = looks.look(jobs=(looks.job(),), pods={"job-1": pod}, reports={"job-1": looks.progress()})
    fenced = looks.with_spec(running, files={"include": ["*.json"]})

    assert ("True", reason) == condition(decide(running), "Reconciling")
    assert ("True", reason) == condition(decide(fenced), "Reconciling")


def test_a_node_that_refuses_a_pod_is_no_defect_of_ours():
    """OutOfcpu and its like: the Pod failed before anything ran in it."""
    pod = looks.pod(phase="Failed", reason="OutOfcpu")
    decision = decide(looks.look(jobs=(looks.ended_job(),), pods={"job-1": pod}))

    assert ("True", "Unschedulable") == condition(decision, "Reconciling")


ALIVE = {"pods": (PodEnd(),), "pods_ended": 1}


@pytest.mark.parametrize("result", ["Failed", "Complete"])
def test_a_job_whose_pod_is_not_seen_ended_is_looked_at_again(result):
    """Watches are apart: what the Pod reported, and that it has ended, comes a moment after the Job's end."""
    early = looks.look(jobs=(looks.ended_job(result=result, **ALIVE),), pods={"job-1": looks.pod()})
    decision = decide(early)

    assert ((), "active") == (decision.actions, decision.claim)
    assert ("True", "Progressing") == condition(decision, "Reconciling")
    assert decision.again_at == NOW + timedelta(seconds=2)

    seen = replace(
        looks.after(early),
        jobs=(looks.ended_job(result=result),),
        reports={"job-1": looks.failure(Reason.RATE_LIMITED)},
    )
    status = decide(seen).status
    assert status is not None
    assert status.last_error is not None
    assert "RateLimited" == status.last_error.reason


@pytest.mark.parametrize("ahead_s", [0, 4e8, -4e8])
def test_a_pod_that_is_never_seen_to_end_is_not_waited_for(ahead_s):
    """It went with its node or was deleted by force: the attempt has failed, nothing is proven; whatever clocks say."""
    finished_at = NOW + timedelta(seconds=ahead_s)
    early = looks.look(jobs=(looks.ended_job(finished_at=finished_at, finished_s=PODS_FOLLOW_S - 1, **ALIVE),))
    seen = replace(early, jobs=(replace(early.jobs[0], finished_s=PODS_FOLLOW_S),))
    status = decide(seen).status

    assert ("True", "Progressing") == condition(decide(early), "Reconciling")

    assert status is not None
    assert status.last_error is not None
    assert "Cancelled" == status.last_error.reason


@pytest.mark.parametrize("phase", ["Pending", "Running"])
def test_a_complete_job_whose_pod_is_seen_at_work_has_not_failed(phase):
    """It is complete by that Pod's success: the view of the Pod is an old one, and no other attempt is made by it."""
    job = looks.job(result="Complete", finished_at=NOW, finished_s=OLD_VIEW_S - 1)
    old = looks.look(jobs=(job,), pods={"job-1": looks.pod(phase=phase)})
    late = replace(old, jobs=(replace(job, finished_s=OLD_VIEW_S),))

    assert ((), None) == (decide(old).actions, decide(old).status.last_error)
    assert "Internal" == decide(late).status.last_error.reason


def _without_pod(seen):
    """Return a look later on, with the Job but without its Pod: a drain or the cluster's clean-up has removed it."""
    jobs = tuple(replace(job, pods=(), finished_s=PODS_FOLLOW_S) for job in seen.jobs)
    return looks.after(seen, jobs=jobs, pods={}, reports={}, now=NOW + timedelta(seconds=PODS_FOLLOW_S))


def test_what_was_published_stays_so_without_its_pod():
    """A drained node takes finished Pods away: nothing is fetched again, and no failure is told."""
    seen = looks.look(
        jobs=(looks.job(result="Complete", finished_at=NOW),),
        pods={"job-1": looks.pod()},
        reports={"job-1": looks.success()},
    )
    decision = decide(_without_pod(seen))

    assert (("True", "Available"), None, None) == (
        condition(decision, "Ready"),
        decision.status.last_error,
        decision.status.next_retry_time,
    )


def test_a_background_attempt_without_its_pod_has_not_published():
    """It was asked for, and nobody knows how it ended: it is tried again."""
    ready = looks.ready()
    again = looks.ended_job(attempt=2, created_at=NOW + timedelta(seconds=60), finished_at=NOW + timedelta(seconds=90))
    told = ready.fetch.status.model_copy(
        update={"attempt": ready.fetch.status.attempt.model_copy(update={"number": 2, "job_name": again.name})}
    )
    fetch = ready.fetch.model_copy(update={"status": told})
    seen = replace(ready, fetch=fetch, jobs=(again,), pods={}, reports={}, now=NOW + timedelta(seconds=100))

    assert Reason.CANCELLED == decide(seen).status.last_error.reason


@pytest.mark.parametrize("reason", [Reason.SOURCE_NOT_FOUND, Reason.RATE_LIMITED])
def test_a_failure_that_was_told_stays_so_without_its_pod(reason):
    """Else a stalled fetch would start again, and one that waits would wait for another reason."""
    before = decide(looks.after(looks.failed(reason))).status
    after = decide(_without_pod(looks.failed(reason))).status

    assert (before.conditions, before.last_error) == (after.conditions, after.last_error)


@pytest.mark.parametrize(("silent_s", "is_told"), [(0, False), (119, False), (120, True), (9999, True)])
def test_a_fetcher_that_tells_nothing_is_noticed(silent_s, is_told):
    """It tells something each second; the words do not change with the seconds, and its attempt goes on."""
    pod = looks.pod(silent_s=float(silent_s))
    decision = decide(looks.look(jobs=(looks.job(),), pods={"job-1": pod}, reports={"job-1": looks.progress()}))

    assert is_told == ("has told nothing for 120 s" in decision.status.conditions[0].message)
    assert () == decision.actions


def test_a_log_that_may_not_be_read_is_told_with_the_servers_words():
    """Nobody knows how far the attempt is, and why that is so is said at once."""
    pods = {"job-1": looks.pod(log_refusal="pods 'p' is forbidden: cannot get resource 'pods/log'")}
    decision = decide(looks.look(jobs=(looks.job(),), pods=pods))

    assert "cannot get resource 'pods/log'" in decision.status.conditions[0].message
