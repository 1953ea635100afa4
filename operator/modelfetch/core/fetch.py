"""`decide` for ModelFetch: an ordered list of named checks; the first that speaks decides.

Comes in: Wanted (what the spec asks for) and Observed (one look at the cluster). Goes out: a Decision. Pure: equal
inputs give equal decisions, so any look may be repeated, lost or made by a restarted operator. Read `CHECKS` first:
the list is the behaviour.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from modelfetch.api.fetch_status import AttemptStatus
from modelfetch.api.store import ModelStore
from modelfetch.core import retry, standings, turns
from modelfetch.core.actions import Action, Decision, DeleteJob
from modelfetch.core.conditions import Standing, explained, timestamp
from modelfetch.core.decisions import FetchDecision, blocked, stalled, store_gone, waits_for
from modelfetch.core.failures import advised, after_failure, waited_too_long
from modelfetch.core.look import Look
from modelfetch.core.observed import Observed, Settings, Unknown, Wanted
from modelfetch.core.outcome import Failure, Obstacle, Published, obstacle, unbound
from modelfetch.core.retry import Tally
from modelfetch.core.start import UNKNOWN_RETRY_S, start, vanished
from modelfetch.core.status import artifact_status, attempt_status
from modelfetch.reasons import TABLE, Backoff, Reason

Check = Callable[[Look], FetchDecision | None]


def decide(wanted: Wanted, observed: Observed, settings: Settings) -> FetchDecision:
    """Return what to do about one ModelFetch, what to say of it, and when to look again."""
    look = Look(wanted, observed, settings)
    for check in CHECKS:
        decision = check(look)
        if decision is not None:
            return _as_allowed(look, _with_clean_up(look, decision))
    raise AssertionError("unreachable: the last check always speaks")


def _with_clean_up(look: Look, decision: FetchDecision) -> FetchDecision:
    """Jobs that no longer count go; a live one of another spec is stopped by that, its Pods first."""
    deletes: tuple[Action, ...] = tuple(
        # One that has ended is no matter to anybody, but where what it reports is known to be lost.
        DeleteJob(job.name, job.uid, in_passing=job.result != "Running" and not look.seen.is_lost)
        for job in look.older_jobs
        if not job.deleting
    )
    claim = decision.claim
    if claim != "active" and any(job.result == "Running" for job in look.older_jobs):
        claim = "active"
    return replace(decision, actions=deletes + decision.actions, claim=claim)


def _as_allowed(look: Look, decision: FetchDecision) -> FetchDecision:
    """Where a Job that has to go first may not be deleted, that is told while it runs, and it keeps its slot.

    What is Ready is told nevertheless. Of lost files nothing is said before the Job that published them can go: its
    report would make the fetch Ready again, and nobody would look for them any more.
    """
    if look.seen.kept is None:
        return decision
    waits = replace(decision, again_at=look.now + timedelta(seconds=retry.WAIT_S))
    if decision.status is None or decision.status.phase == "Ready":
        return waits
    if look.seen.is_lost or decision.status.is_ready:  # suspended, while something runs on beside what is published
        return replace(waits, status=None)
    ends = {action.uid for action in decision.actions if isinstance(action, DeleteJob) and not action.in_passing}
    if not any(job.uid in ends and job.result == "Running" for job in look.jobs):
        return waits
    artifact = decision.status.artifact
    # No time is told: it is no refusal of the next Job, which may follow as soon as this one has ended.
    told = blocked(look, Reason.POD_REJECTED, look.seen.kept, takes_ready=True, artifact=artifact, next_retry_time=None)
    return replace(told, claim=decision.claim)


# --- the checks, in order -------------------------------------------------------------------------------------------


def is_being_deleted(look: Look) -> FetchDecision | None:
    """Its Jobs go with it, a live one now: a finalizer may hold it. The store's own reconcile removes the tree."""
    if look.meta.deletion_timestamp is None:
        return None
    actions = _stop(look)
    return Decision(actions, claim="active" if actions else "none")


def files_are_gone(look: Look) -> FetchDecision | None:
    """What was published was looked for and is not there: an attempt that runs fetches it, else the next one does.

    Before anything else is said, that the spec is invalid or suspended: afterwards the report of the Job that published
    it must be no word for it any more.
    """
    outcome, artifact, job = look.outcome, look.status.artifact, look.job
    if not look.seen.is_lost or artifact is None:
        return None
    told = (artifact.digest, artifact.published_at)
    if isinstance(outcome, Published) and (outcome.artifact.digest, timestamp(outcome.at)) != told:
        return None  # what a later Job has published since is there
    runs = job is not None and job.result == "Running" and outcome is None
    actions: tuple[Action, ...] = () if job is None or runs else (DeleteJob(job.name, job.uid),)
    words = "what was published is not on the store's volume any more: fetches what is missing"
    status = look.say(Standing("working", "Pending", "Progressing", words), artifact=None)
    return Decision(actions, status, look.now + timedelta(seconds=turns.POLL_S), "active" if runs else "none")


def spec_is_invalid(look: Look) -> FetchDecision | None:
    """An object that an older CRD or a direct write let through, or values that contradict each other."""
    problem = look.seen.spec_error or look.wanted.error
    return None if problem is None else stalled(look, Reason.SPEC_INVALID, problem)


def is_suspended(look: Look) -> FetchDecision | None:
    """Stops a running attempt and keeps what it verified; what was published stays so while its volume is there."""
    if not look.spec.suspend:
        return None
    actions = _stop(look)
    message = explained(Reason.SUSPENDED, "stopped by spec.suspend")
    was_ready = look.is_ready and not look.has_lost_files
    standing = Standing("suspended", "Suspended", Reason.SUSPENDED, message, was_ready=was_ready)
    status = look.say(standing, **({"artifact": None} if look.has_lost_files else {}))
    return Decision(actions, status, claim="active" if actions else "none")


def earlier_attempt_still_ends(look: Look) -> FetchDecision | None:
    """No two writers: a new attempt waits until the Pods of every other Job of this fetch have ended.

    Those of a deleted fetch of the same name, too: what they publish late would make the folder theirs, and a removal
    of theirs would take away what was published since.
    """
    if look.job is not None:
        return None
    runs = any(job.result == "Running" for job in look.older_jobs)
    if not runs and not look.seen.predecessor_runs:
        return None
    whose = "attempt" if runs else "ModelFetch of this name"
    pods = (look.seen.pods.get(job.uid) for job in look.older_jobs)
    return waits_for(look, f"the Pod of an earlier {whose}", tuple(pod for pod in pods if pod is not None))


def volume_is_gone(look: Look) -> FetchDecision | None:
    """What was published on a claim that is no more is not there, whatever a report says; the next attempt looks."""
    store = look.seen.store
    if not isinstance(store, ModelStore) or not look.has_lost_files:
        return None
    if not look.is_ready and not isinstance(look.outcome, Published):
        return None
    job = look.job
    actions: tuple[Action, ...] = () if job is None else (DeleteJob(job.name, job.uid),)
    claim = store.spec.claim_name
    if not look.has_claim:
        problem = standings.claim_problem(look.seen.claim, claim)
        return replace(
            blocked(look, Reason.STORAGE_NOT_READY, problem, takes_ready=True, artifact=None), actions=actions
        )
    words = f"PersistentVolumeClaim '{claim}' has another volume: looks for the files there"
    status = look.say(Standing("working", "Pending", "Progressing", words), artifact=None)
    return Decision(actions, status, look.now + timedelta(seconds=turns.POLL_S))


def attempt_published(look: Look) -> FetchDecision | None:
    """The report names a published manifest: Ready, unless somebody asked for another look since."""
    outcome = look.outcome
    if not isinstance(outcome, Published) or look.job is None or look.request is not None:
        return None
    store = look.seen.store
    if not isinstance(store, ModelStore):
        return store_gone(look)
    if isinstance(look.seen.claim, Unknown) and not look.is_ready:  # it may be another one by now
        if look.seen.claim_error is not None:
            return blocked(look, Reason.STORAGE_NOT_READY, look.seen.claim_error)
        return Decision((), look.say(standings.running(look)), look.now + timedelta(seconds=UNKNOWN_RETRY_S), "active")
    artifact = artifact_status(outcome, store.spec.claim_name, store.spec.path or "", look.claim_volume)
    standing = standings.published(artifact)
    status = look.say(
        standing,
        artifact=artifact,
        last_error=None,
        attempt=_attempt_status(look),
        last_handled_reconcile_at=look.handled,
    )
    return Decision((), status)


def publication_is_told(look: Look) -> FetchDecision | None:
    """The Pod that published is gone (drained, cleaned up), and its report with it: what it published is not."""
    if look.request is not None or not look.has_told_publication or not isinstance(look.outcome, Failure):
        return None
    return Decision((), look.say(standings.still_ready(look)))


def attempt_failed(look: Look) -> FetchDecision | None:
    """Terminal reasons stall; the others wait for their next time, which the Job's end determines."""
    outcome = look.outcome
    if not isinstance(outcome, Failure) or look.job is None or look.request is not None:
        return None
    failure = waited_too_long(look) or outcome
    lived_s = (failure.at - look.job.created_at).total_seconds()
    tally = look.tally_before.after(look.spec.retry, failure.reason, lived_s)
    failure = advised(look, failure, tally.failures)
    known = {"attempt": _attempt_status(look, tally), "last_handled_reconcile_at": look.handled}
    return after_failure(look, failure, tally, **known)


def attempt_runs(look: Look) -> FetchDecision | None:
    """Progress from the report; what keeps the Pod from starting is said with its reason."""
    if look.job is None or look.outcome is not None:
        return None
    blocked = obstacle(look.job, look.pod) or _claim_is_unbound(look)
    again = turns.next_turn(look) if blocked is None else look.now + timedelta(seconds=turns.NOT_STARTED_S)
    if blocked is not None and _may_be_replaced(look):
        # It is not the last try that was asked for: `request` stays open until the next attempt starts.
        return Decision(_stop(look), look.say(standings.stopped_by(look, blocked)), again, "active")
    known = {"attempt": _attempt_status(look), "last_handled_reconcile_at": look.handled} | vanished(look)
    if look.is_ready or blocked is None:
        standing = standings.still_ready(look) if look.is_ready else standings.running(look)
        return Decision((), look.say(standing, **known), again, "active")
    # What moves no bytes holds no slot: three fetches without their Secret must not block a store.
    moves = look.pod is not None and look.pod.is_cut_off
    status = look.say(standings.stopped_by(look, blocked), **known)
    return Decision((), status, again, "active" if moves else "none")


def outcome_is_recorded(look: Look) -> FetchDecision | None:
    """The Job is gone (by hand, by a TTL), but the status tells what it came to."""
    if look.job is not None or look.attempt.number == 0 or look.request is not None:
        return None
    if look.is_ready:
        return Decision((), look.say(standings.still_ready(look)))
    error = look.status.last_error
    announced = look.is_stalled or look.status.next_retry_time is not None
    if error is None or not announced or error.reason not in TABLE:  # a newer operator may have written another
        return None
    failure = Failure(Reason(error.reason), error.message, datetime.fromisoformat(error.at), error.file)
    if failure.reason.row.backoff is Backoff.WAIT:
        return None  # what was missing may be there by now: each look sees for itself
    if failure.reason is Reason.SPEC_INVALID and not look.is_of_this_spec:
        return None  # it was corrected since, to what it had been before
    return after_failure(look, failure, look.tally_told)


def starts(look: Look) -> FetchDecision:
    """Nothing runs and nothing is recorded: the next attempt, from the first on, or as somebody asked."""
    return start(look, Tally() if look.request is not None else look.tally_told)


CHECKS: tuple[Check, ...] = (
    is_being_deleted,  # nothing to say of a resource that goes
    files_are_gone,  # takes Ready back
    spec_is_invalid,  # terminal until the spec changes
    is_suspended,  # stops, keeps
    earlier_attempt_still_ends,  # fences the old spec's writer
    volume_is_gone,  # takes Ready back, too
    attempt_published,  # the one way to Ready
    publication_is_told,  # and still so without its Pod
    attempt_failed,  # stalls, or waits and starts the next
    attempt_runs,  # progress and obstacles
    outcome_is_recorded,  # the Job is gone, its outcome is not
    starts,  # store, claim and slot first
)


# --- what the checks share ------------------------------------------------------------------------------------------


def _stop(look: Look) -> tuple[Action, ...]:
    job = look.job
    return () if job is None or job.result != "Running" else (DeleteJob(job.name, job.uid),)


def _claim_is_unbound(look: Look) -> Obstacle | None:
    store, claim = look.seen.store, look.seen.claim
    return unbound(look.pod, claim, store.spec.claim_name) if isinstance(store, ModelStore) and claim else None


def _may_be_replaced(look: Look) -> bool:
    """A Pod that cannot start is made anew when somebody asks, or when what it was made of has changed since."""
    if look.pod is not None and look.pod.is_cut_off:
        return False  # it has started, and nobody could tell that it has ended
    return look.is_made_otherwise or look.request is not None


def _attempt_status(look: Look, tally: Tally | None = None) -> AttemptStatus:
    job = look.job
    assert job is not None, "called where an attempt was seen"
    node = look.pod.node if look.pod is not None else None
    status = attempt_status(job, tally or look.tally_before, node)
    told = look.attempt.started_at if look.attempt.job_name == job.name else None
    if told is None or abs(datetime.fromisoformat(told) - job.created_at).total_seconds() > retry.CLOCKS_DIFFER_S:
        return status
    # By the clock of who made it: no news that is worth a write.
    return status.model_copy(update={"started_at": told})
