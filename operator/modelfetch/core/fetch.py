"""`decide` for ModelFetch: an ordered list of named checks; the first that speaks decides.

Comes in: Wanted (what the spec asks for) and Observed (one look at the cluster). Goes out: a Decision. Pure: equal
inputs give equal decisions, so any look may be repeated, lost or made by a restarted operator. Read `CHECKS` first:
the list is the behaviour.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from modelfetch.api.fetch_status import AttemptStatus, ModelFetchStatus, QueueStatus
from modelfetch.api.meta import doubled
from modelfetch.api.store import ModelStore
from modelfetch.core import retry, standings, turns
from modelfetch.core.actions import Action, CreateJob, Decision, DeleteJob
from modelfetch.core.conditions import Standing, explained, timestamp
from modelfetch.core.job import Attempt, fetch_job, job_name, made_of, memory_limit
from modelfetch.core.look import Look
from modelfetch.core.observed import ClaimSeen, Observed, PodSeen, Settings, Unknown, Wanted
from modelfetch.core.outcome import Failure, Published, obstacle, overdue
from modelfetch.core.status import artifact_status, attempt_status, last_error
from modelfetch.errors import FetchError
from modelfetch.reasons import TABLE, Backoff, Reason

FetchDecision = Decision[ModelFetchStatus]

QUEUE_REFRESH_S = 30.0
"""Seconds between refreshes of a queue position; the fetch whose turn comes is woken at once."""
TOLD = timedelta(seconds=1)
"""Least time between the status that tells of a failure and the next attempt, so that no failure goes untold."""
OOM_ADVISED = 3
"""Failures from which on a Pod that was killed at its memory limit is told a larger one."""
UNKNOWN_RETRY_S = 5.0
"""Seconds until a store that could not be read is looked at again."""

Check = Callable[[Look], FetchDecision | None]


def decide(wanted: Wanted, observed: Observed, settings: Settings) -> FetchDecision:
    """Return what to do about one ModelFetch, what to say of it, and when to look again."""
    look = Look(wanted, observed, settings)
    for check in CHECKS:
        decision = check(look)
        if decision is not None:
            return _with_refusal(look, _with_clean_up(look, decision))
    raise AssertionError("unreachable: the last check always speaks")


def _with_clean_up(look: Look, decision: FetchDecision) -> FetchDecision:
    """Jobs that no longer count go; a live one of another spec is stopped by that, its Pods first."""
    deletes: tuple[Action, ...] = tuple(DeleteJob(j.name, j.uid) for j in look.older_jobs if not j.deleting)
    claim = decision.claim
    if claim != "active" and any(job.result == "Running" for job in look.older_jobs):
        claim = "active"
    return replace(decision, actions=deletes + decision.actions, claim=claim)


def _with_refusal(look: Look, decision: FetchDecision) -> FetchDecision:
    """Where a Job may not be deleted, that is told in place of what comes after its end; it keeps its slot.

    Of what was published nothing new is said meanwhile: the Job that stays would report it again.
    """
    ends = any(isinstance(action, DeleteJob) for action in decision.actions)
    if look.seen.refusal is None or not ends or decision.status is None or decision.status.is_ready:
        return decision
    told = _blocked(look, Reason.POD_REJECTED, look.seen.refusal, artifact=look.status.artifact)
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
    return None if problem is None else _stalled(look, Reason.SPEC_INVALID, problem)


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
    return _waits_for(look, f"the Pod of an earlier {whose}", tuple(pod for pod in pods if pod is not None))


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
        return replace(_blocked(look, Reason.STORAGE_NOT_READY, problem, artifact=None), actions=actions)
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
        return _store_gone(look)
    if isinstance(look.seen.claim, Unknown) and not look.is_ready:  # it may be another one by now
        if look.seen.claim_error is not None:
            return _blocked(look, Reason.STORAGE_NOT_READY, look.seen.claim_error)
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
    failure = _never_started(look) or outcome
    failures = look.failures_before + int(retry.counted(failure.reason))
    failure = _advised(look, failure, failures)
    known = {"attempt": _attempt_status(look, failures), "last_handled_reconcile_at": look.handled}
    return _after_failure(look, failure, look.job.attempt, failures, **known)


def attempt_runs(look: Look) -> FetchDecision | None:
    """Progress from the report; what keeps the Pod from starting is said with its reason."""
    if look.job is None or look.outcome is not None:
        return None
    blocked = obstacle(look.job, look.pod)
    again = turns.next_turn(look) if blocked is None else look.now + timedelta(seconds=turns.NOT_STARTED_S)
    if blocked is not None and _may_be_replaced(look):
        # It is not the last try that was asked for: `request` stays open until the next attempt starts.
        return Decision(_stop(look), look.say(standings.stopped_by(look, blocked)), again, "active")
    known = {"attempt": _attempt_status(look), "last_handled_reconcile_at": look.handled} | _vanished(look)
    if look.is_ready or blocked is None:
        standing = standings.still_ready(look) if look.is_ready else standings.running(look)
        return Decision((), look.say(standing, **known), again, "active")
    # Moves no bytes, so it holds no slot: three fetches without their Secret must not block a store.
    return Decision((), look.say(standings.stopped_by(look, blocked), **known), again, "none")


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
    return _after_failure(look, failure, look.attempt.number, look.attempt.failures)


def starts(look: Look) -> FetchDecision:
    """Nothing runs and nothing is recorded: the next attempt, from the first on, or as somebody asked."""
    number = max(look.attempt.number, look.job.attempt if look.job is not None else 0) + 1
    return _start(look, number, 0 if look.request is not None else look.attempt.failures)


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


def _start(look: Look, number: int, failures: int) -> FetchDecision:
    """Create attempt `number`, if the store, its claim and a slot are there; else say what it waits for."""
    if look.seen.strays:
        return _waits_for(look, "the Pod of a Job that was deleted", look.seen.strays)
    store = look.seen.store
    if store is None:
        return _store_gone(look)
    if isinstance(store, Unknown) or isinstance(look.seen.claim, Unknown):
        if look.seen.claim_error is not None:
            return _blocked(look, Reason.STORAGE_NOT_READY, look.seen.claim_error)
        standing = Standing("working", "Pending", "Pending", "reads the ModelStore and its claim")
        return Decision((), look.say(standing), look.now + timedelta(seconds=UNKNOWN_RETRY_S))
    if not look.has_claim:
        return _blocked(look, Reason.STORAGE_NOT_READY, standings.claim_problem(look.seen.claim, store.spec.claim_name))
    refusal = look.seen.refusal or _told_refusal(look)
    if refusal is not None:
        return _blocked(look, Reason.POD_REJECTED, refusal)
    if not look.seen.slot.granted:
        return _queued(look, store)
    return _create(look, store, number, failures)


def _told_refusal(look: Look) -> str | None:
    """What the API server said, until the announced time: each status written brings a look, which would ask again.

    Two fetches that are refused in turn would else hand one slot to and fro, as fast as the server answers.
    """
    error = look.status.last_error
    if error is None or look.announced is None or error.reason != Reason.POD_REJECTED:
        return None
    is_same_spec = look.status.observed_generation == look.meta.generation
    return error.message if is_same_spec else None


def _create(look: Look, store: ModelStore, number: int, failures: int) -> FetchDecision:
    assert look.wanted.order is not None, "an order that cannot be made was refused by spec_is_invalid"
    assert isinstance(look.seen.claim, ClaimSeen), "a claim that is not there was told of by _start"
    name = job_name(look.meta.uid, look.wanted.spec_hash, number)
    order = look.wanted.order.model_copy(update={"attempt": name, "ended": look.ended})
    attempt_of = Attempt(look.wanted.spec_hash, number, failures, look.seen.claim)
    try:
        manifest = fetch_job(look.fetch, store, look.settings, order, attempt_of)
    except FetchError as error:
        return _stalled(look, error.reason, error.message)
    attempt = AttemptStatus(number=number, failures=failures, job_name=name, started_at=timestamp(look.now))
    # What the next look will say, too: until the Pod starts there is nothing to write again.
    standing = standings.still_ready(look) if look.is_ready else standings.starting()
    known = {"attempt": attempt, "progress": None, "last_handled_reconcile_at": look.handled} | _vanished(look)
    status = look.say(standing, **known)
    # The finished Job of the attempt before goes: its outcome is in the status.
    ended_job: tuple[Action, ...] = () if look.job is None else (DeleteJob(look.job.name, look.job.uid),)
    return Decision((CreateJob(name, manifest), *ended_job), status, turns.next_turn(look), "active")


def _vanished(look: Look) -> dict[str, object]:
    """The attempt that the status tells of was ended by whoever deleted its Job: nothing else would ever say so."""
    name = look.seen.vanished
    if not name or name != look.attempt.job_name or look.is_ready:
        return {}
    words = f"Job '{name}' was deleted before it told how it ended"
    return {"last_error": last_error(Failure(Reason.CANCELLED, words, look.now), retryable=True)}


def _waits_for(look: Look, what: str, pods: tuple[PodSeen, ...]) -> FetchDecision:
    """Nothing starts beside a Pod that may write; where its node is lost, that is told."""
    standing = Standing("working", "Pending", "Progressing", f"waits for {what} to end")
    lost = next((late for pod in pods if (late := overdue(pod)) is not None), None)
    if look.is_ready or lost is not None:
        standing = standings.still_ready(look) if lost is None else standings.stopped_by(look, lost)
    return Decision((), look.say(standing), look.now + timedelta(seconds=turns.POLL_S), "active")


def _queued(look: Look, store: ModelStore) -> FetchDecision:
    waiting_for, runs = f"a slot of ModelStore {store.metadata.name}", store.spec.slots
    if look.seen.slot.of_namespace:
        waiting_for, runs = f"a slot of namespace {look.meta.namespace}", look.settings.namespace_slots
    again = look.now + timedelta(seconds=QUEUE_REFRESH_S)
    if look.is_ready:
        return Decision((), look.say(standings.still_ready(look)), again, "waiting")
    message = f"waits for {waiting_for}, which runs {runs} fetches at a time"
    standing = Standing("working", "Queued", "Queued", message, ("StorageReady",))
    queue = QueueStatus(position=look.seen.slot.position, waiting_for=waiting_for)
    return Decision((), look.say(standing, queue=queue), again, "waiting")


def _store_gone(look: Look) -> FetchDecision:
    name = look.spec.store_ref.name
    problem = look.seen.store_error or "does not exist in this namespace"
    return _blocked(look, Reason.STORAGE_NOT_READY, f"ModelStore '{name}' {problem}")


def _blocked(look: Look, reason: Reason, message: str, **known: object) -> FetchDecision:
    """Waits for somebody else; looked at again on every change and every WAIT_S seconds."""
    again = _next_look(look)
    if look.is_ready and "artifact" not in known:
        return Decision((), look.say(standings.still_ready(look)), again)
    step = "StorageReady" if reason is Reason.STORAGE_NOT_READY else None
    standing = Standing("blocked", "Pending", reason, explained(reason, message), failed_step=step)
    error = last_error(Failure(reason, message, look.now), retryable=True)
    old = look.status.last_error
    if old is not None and (old.reason, old.message) == (error.reason, error.message):
        error = old
    return Decision((), look.say(standing, last_error=error, next_retry_time=timestamp(again), **known), again)


def _after_failure(look: Look, failure: Failure, number: int, failures: int, **known: object) -> FetchDecision:
    """Attempt `number` failed, as the last of `failures` that count: give up, wait, or start the next."""
    exhausted = retry.counted(failure.reason) and retry.is_exhausted(look.spec.retry, failures)
    terminal = failure.reason.row.backoff is Backoff.NONE or exhausted
    error = last_error(failure, retryable=not terminal)
    known["last_error"] = error
    if terminal:
        message = f"gave up after {failures} failures: {failure.message}" if exhausted else failure.message
        return _stalled(look, failure.reason, message, **known)
    due = look.passed(failure.at) + timedelta(seconds=look.delay_s(failure, number, failures))
    told = look.status.last_error
    if told is None or told.at < error.at:  # what was told since, as that a claim is missing, came after it
        due = max(due, look.now + TOLD)
    return _retrying(look, failure, due, **known) if due > look.now else _start(look, number + 1, failures)


def _never_started(look: Look) -> Failure | None:
    """A Pod that waited until the Job's deadline did not use it up: what it waited for is why."""
    job, outcome = look.job, look.outcome
    if job is None or look.report is not None or look.attempt.job_name != job.name:
        return None
    waited_for = next((c.reason for c in look.status.conditions if c.type == "Reconciling"), "")
    if not isinstance(outcome, Failure) or outcome.reason is not Reason.DEADLINE_EXCEEDED or waited_for not in TABLE:
        return None
    reason = Reason(waited_for)
    return replace(outcome, reason=reason, message="the Pod did not start before the Job's deadline")


def _advised(look: Look, failure: Failure, failures: int) -> Failure:
    """A memory limit that was too small again and again: the message names a larger one, until somebody has set one."""
    store, job = look.seen.store, look.job
    is_oom = failure.reason is Reason.OOM_KILLED and failures >= OOM_ADVISED
    if not is_oom or job is None or not isinstance(store, ModelStore) or job.made_of != made_of(store, look.settings):
        return failure
    limit = memory_limit(store)
    place = f"jobTemplate.resources.limits.memory of ModelStore '{store.metadata.name}'"
    advice = f" of {limit}; it is the last of {failures} failures: try {doubled(limit)} as {place}"
    return replace(failure, message=failure.message.removesuffix(advice) + advice)


def _stalled(look: Look, reason: Reason, message: str, **known: object) -> FetchDecision:
    """Terminal: says so, tries nothing until the spec changes or somebody asks."""
    if look.is_ready and look.job is not None and reason is not Reason.SPEC_INVALID:
        return Decision((), look.say(standings.still_ready(look), **known))
    standing = Standing("stalled", "Failed", reason, explained(reason, message), *standings.where(look))
    if "last_error" not in known:
        old = look.status.last_error
        error = last_error(Failure(reason, message, look.now), retryable=False)
        same = old is not None and (old.reason, old.retryable) == (error.reason, False)
        known["last_error"] = old if same else error
    return Decision((), look.say(standing, **known))


def _retrying(look: Look, failure: Failure, due: datetime, **known: object) -> FetchDecision:
    when = timestamp(due + timedelta(seconds=1) - timedelta(microseconds=1))  # whole seconds, rounded up
    if look.is_ready:
        return Decision((), look.say(standings.still_ready(look), next_retry_time=when, **known), due)
    message = explained(failure.reason, failure.message)
    standing = Standing("blocked", "Pending", failure.reason, message, *standings.where(look))
    return Decision((), look.say(standing, next_retry_time=when, **known), due)


def _next_look(look: Look) -> datetime:
    """The announced time while it is ahead: a time that moved with every look would be news for every watcher."""
    return look.announced or look.now + timedelta(seconds=retry.WAIT_S)


def _stop(look: Look) -> tuple[Action, ...]:
    job = look.job
    return () if job is None or job.result != "Running" else (DeleteJob(job.name, job.uid),)


def _may_be_replaced(look: Look) -> bool:
    """A Pod that cannot start is made anew when somebody asks, or when what it was made of has changed since."""
    store, job = look.seen.store, look.job
    changed = isinstance(store, ModelStore) and job is not None and job.made_of != made_of(store, look.settings)
    return changed or look.request is not None


def _attempt_status(look: Look, failures: int | None = None) -> AttemptStatus:
    job = look.job
    assert job is not None, "called where an attempt was seen"
    node = look.pod.node if look.pod is not None else None
    status = attempt_status(job, look.failures_before if failures is None else failures, node)
    told = look.attempt.started_at if look.attempt.job_name == job.name else None
    if told is None or abs(datetime.fromisoformat(told) - job.created_at).total_seconds() > retry.CLOCKS_DIFFER_S:
        return status
    # By the clock of who made it: no news that is worth a write.
    return status.model_copy(update={"started_at": told})
