"""`decide` for ModelFetch: an ordered list of named checks; the first that speaks decides.

Comes in: Wanted (what the spec asks for) and Observed (one look at the cluster). Goes out: a Decision. Pure: equal
inputs give equal decisions, so any look may be repeated, lost or made by a restarted operator. Read `CHECKS` first:
the list is the behaviour.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from modelfetch.api.fetch import RECONCILE_ANNOTATION
from modelfetch.api.fetch_status import ArtifactStatus, AttemptStatus, ModelFetchStatus, Phase, QueueStatus
from modelfetch.api.store import ModelStore
from modelfetch.core import retry
from modelfetch.core.actions import Action, CreateJob, Decision, DeleteJob
from modelfetch.core.conditions import Standing, explained, failed_step_of, timestamp
from modelfetch.core.job import Attempt, fetch_job, job_name
from modelfetch.core.observed import JobSeen, Observed, Settings, Unknown, Wanted
from modelfetch.core.outcome import Failure, Published, ended, obstacle
from modelfetch.core.status import artifact_status, assemble, last_error
from modelfetch.errors import FetchError
from modelfetch.reasons import Backoff, Reason

FetchDecision = Decision[ModelFetchStatus]

POLL_S = 2.0
"""Seconds between looks at a running attempt's report; writes are held back by the loop, phase changes are not."""
QUEUE_REFRESH_S = 30.0
"""Seconds between refreshes of a queue position; the fetch whose turn comes is woken at once."""
UNKNOWN_RETRY_S = 5.0
"""Seconds until a store that could not be read is looked at again."""


_STEPS: dict[str, tuple[Phase, str]] = {
    "Resolving": ("Resolving", "reads the listing of the source"),
    "Downloading": ("Downloading", "downloads the files"),
    "Verifying": ("Verifying", "compares the files with their digests"),
    "Publishing": ("Publishing", "publishes the files"),
}


class Look:
    """One look at one ModelFetch, with what the checks ask for again and again."""

    def __init__(self, wanted: Wanted, observed: Observed, settings: Settings) -> None:
        self.wanted = wanted
        self.seen = observed
        self.settings = settings
        self.fetch = observed.fetch
        self.spec = observed.fetch.spec
        self.status = observed.fetch.status
        self.meta = observed.fetch.metadata
        self.now = observed.now
        self.jobs = tuple(job for job in observed.jobs if job.owner_uid == self.meta.uid and job.task == "fetch")

    @property
    def attempt(self) -> AttemptStatus:
        """The attempt that the status tells of, if it was one of this spec; else one with number 0."""
        recorded = self.status.attempt or AttemptStatus()
        is_ours = recorded.job_name == job_name(self.meta.uid, self.wanted.spec_hash, recorded.number)
        return recorded if is_ours else AttemptStatus()

    @property
    def job(self) -> JobSeen | None:
        """The Job of the newest attempt of this spec; it may be one attempt ahead of the status."""
        ours = [job for job in self.jobs if job.spec_hash == self.wanted.spec_hash and not job.deleting]
        return max(ours, key=lambda job: job.attempt, default=None)

    @property
    def older_jobs(self) -> tuple[JobSeen, ...]:
        """Jobs of other specs, of earlier attempts, and those on their way out."""
        current = self.job
        return tuple(job for job in self.jobs if current is None or job.uid != current.uid)

    @property
    def request(self) -> str | None:
        """The value of the reconcile-at annotation that was not acted on yet."""
        value = self.meta.annotations.get(RECONCILE_ANNOTATION)
        return value if value and value != self.status.last_handled_reconcile_at else None

    @property
    def is_ready(self) -> bool:
        """True when the artifact that the status names is the one of this very spec."""
        ready = any(c.type == "Ready" and c.status == "True" for c in self.status.conditions)
        return ready and self.status.artifact is not None and self.attempt.number > 0

    @property
    def failures_before(self) -> int:
        """Counted failures before the newest attempt, as its Job says, else as the status does."""
        return self.job.failures if self.job is not None else self.attempt.failures

    def outcome(self) -> Published | Failure | None:
        """What the newest Job came to."""
        if self.job is None:
            return None
        uid = self.job.uid
        return ended(self.job, self.seen.pods.get(uid), self.seen.reports.get(uid), self.now)

    def say(self, standing: Standing, **changes: object) -> ModelFetchStatus:
        """Return the status for `standing`, with what the newest Job reported."""
        report = self.seen.reports.get(self.job.uid) if self.job is not None else None
        return assemble(self.fetch, standing, self.now, report, **changes)


Check = Callable[[Look], FetchDecision | None]


def decide(wanted: Wanted, observed: Observed, settings: Settings) -> FetchDecision:
    """Return what to do about one ModelFetch, what to say of it, and when to look again."""
    look = Look(wanted, observed, settings)
    for check in CHECKS:
        decision = check(look)
        if decision is not None:
            return _with_clean_up(look, decision)
    raise AssertionError("unreachable: the last check always speaks")


def _with_clean_up(look: Look, decision: FetchDecision) -> FetchDecision:
    """Jobs that no longer count go; a live one of another spec is stopped by that, its Pods first."""
    deletes: tuple[Action, ...] = tuple(DeleteJob(j.name, j.uid) for j in look.older_jobs if not j.deleting)
    claim = decision.claim
    if claim != "active" and any(job.result == "Running" for job in look.older_jobs):
        claim = "active"
    return replace(decision, actions=deletes + decision.actions, claim=claim)


# --- the checks, in order -------------------------------------------------------------------------------------------


def is_being_deleted(look: Look) -> FetchDecision | None:
    """Its Jobs go with it by garbage collection; the store's own reconcile removes the tree."""
    return Decision() if look.meta.deletion_timestamp is not None else None


def spec_is_invalid(look: Look) -> FetchDecision | None:
    """An object that an older CRD or a direct write let through, or values that contradict each other."""
    problem = look.seen.spec_error or look.wanted.error
    return None if problem is None else _stalled(look, Reason.SPEC_INVALID, problem)


def is_suspended(look: Look) -> FetchDecision | None:
    """Stops a running attempt and keeps what it verified; what was published stays published."""
    if not look.spec.suspend:
        return None
    actions = _stop(look)
    standing = Standing(
        "suspended", "Suspended", Reason.SUSPENDED, explained(Reason.SUSPENDED, "stopped by spec.suspend")
    )
    return Decision(actions, look.say(standing), claim="active" if actions else "none")


def earlier_attempt_still_ends(look: Look) -> FetchDecision | None:
    """No two writers: a new attempt waits until the Pods of every other Job of this fetch have ended."""
    if look.job is not None or not look.older_jobs:
        return None
    if all(job.result != "Running" and not job.deleting for job in look.older_jobs):
        return None
    standing = Standing("working", "Pending", "Progressing", "waits for the Pod of an earlier attempt to end")
    return Decision((), look.say(standing), look.now + timedelta(seconds=POLL_S), "active")


def attempt_published(look: Look) -> FetchDecision | None:
    """The report names a published manifest: Ready, unless somebody asked for another look since."""
    outcome = look.outcome()
    if not isinstance(outcome, Published) or look.job is None or _asks_again(look):
        return None
    store = look.seen.store
    if not isinstance(store, ModelStore):
        return _store_gone(look)
    artifact = artifact_status(outcome, store.spec.claim_name, store.spec.path or "")
    standing = _published(artifact)
    status = look.say(
        standing,
        artifact=artifact,
        last_error=None,
        attempt=_attempt_status(look),
        last_handled_reconcile_at=_handled(look),
    )
    return Decision((), status)


def attempt_failed(look: Look) -> FetchDecision | None:
    """Terminal reasons stall; the others wait for their next time, which the Job's end determines."""
    outcome = look.outcome()
    if not isinstance(outcome, Failure) or look.job is None or _asks_again(look):
        return None
    failures = look.failures_before + int(retry.counted(outcome.reason))
    exhausted = retry.counted(outcome.reason) and retry.is_exhausted(look.spec.retry, failures)
    terminal = outcome.reason.row.backoff is Backoff.NONE or exhausted
    known = {
        "attempt": _attempt_status(look),
        "last_error": last_error(outcome, retryable=not terminal),
        "last_handled_reconcile_at": _handled(look),
    }
    if terminal:
        message = f"gave up after {failures} failures: {outcome.message}" if exhausted else outcome.message
        return _stalled(look, outcome.reason, message, **known)
    seed = f"{look.meta.uid}/{look.job.attempt}"
    due = outcome.at + timedelta(seconds=retry.delay_s(look.spec.retry, outcome.reason, failures, seed))
    if due > look.now:
        return _retrying(look, outcome, due, **known)
    return _start(look, look.job.attempt + 1, failures)


def attempt_runs(look: Look) -> FetchDecision | None:
    """Progress from the report; what keeps the Pod from starting is said with its reason."""
    if look.job is None or look.outcome() is not None:
        return None
    pod = look.seen.pods.get(look.job.uid)
    known = {"attempt": _attempt_status(look), "last_handled_reconcile_at": _handled(look)}
    again = look.now + timedelta(seconds=POLL_S)
    blocked = obstacle(pod)
    if look.is_ready:
        return Decision((), look.say(_still_ready(look), **known), again, "active")
    if blocked is not None:
        standing = Standing("blocked", "Pending", blocked.reason, explained(blocked.reason, blocked.message))
        # Moves no bytes, so it holds no slot: three fetches without their Secret must not block a store.
        return Decision((), look.say(standing, **known), again, "none")
    return Decision((), look.say(_running(look), **known), again, "active")


def outcome_is_recorded(look: Look) -> FetchDecision | None:
    """The Job is gone (by hand, by a TTL), but the status tells what it came to."""
    if look.job is not None or look.attempt.number == 0 or look.request is not None:
        return None
    if look.is_ready:
        return Decision((), look.say(_still_ready(look)))
    error = look.status.last_error
    if error is not None and not error.retryable and _is_stalled(look):
        return _stalled(look, Reason(error.reason), error.message)
    due = look.status.next_retry_time
    if error is None or due is None:
        return None
    when = datetime.fromisoformat(due)
    reason = Reason(error.reason)
    failures = look.attempt.failures + int(retry.counted(reason))
    if when > look.now:
        failure = Failure(reason, error.message, when, error.file)
        return _retrying(look, failure, when)
    return _start(look, look.attempt.number + 1, failures)


def starts(look: Look) -> FetchDecision:
    """Nothing runs and nothing is recorded: the next attempt, from the first on, or as somebody asked."""
    number = max(look.attempt.number, look.job.attempt if look.job is not None else 0) + 1
    return _start(look, number, 0 if look.request is not None else look.attempt.failures)


CHECKS: tuple[Check, ...] = (
    is_being_deleted,  # nothing to say of a resource that goes
    spec_is_invalid,  # terminal until the spec changes
    is_suspended,  # stops, keeps
    earlier_attempt_still_ends,  # fences the old spec's writer
    attempt_published,  # the one way to Ready
    attempt_failed,  # stalls, or waits and starts the next
    attempt_runs,  # progress and obstacles
    outcome_is_recorded,  # the Job is gone, its outcome is not
    starts,  # store, claim and slot first
)


# --- what the checks share ------------------------------------------------------------------------------------------


def _start(look: Look, number: int, failures: int) -> FetchDecision:
    """Create attempt `number`, if the store, its claim and a slot are there; else say what it waits for."""
    store = look.seen.store
    if store is None:
        return _store_gone(look)
    if isinstance(store, Unknown) or isinstance(look.seen.claim_phase, Unknown):
        standing = Standing("working", "Pending", "Pending", "reads the ModelStore and its claim")
        return Decision((), look.say(standing), look.now + timedelta(seconds=UNKNOWN_RETRY_S))
    if look.seen.claim_phase in (None, "Lost"):
        state = "does not exist" if look.seen.claim_phase is None else "lost its volume"
        return _blocked(look, Reason.STORAGE_NOT_READY, f"PersistentVolumeClaim '{store.spec.claim_name}' {state}")
    if look.seen.refusal is not None:
        return _blocked(look, Reason.POD_REJECTED, look.seen.refusal)
    if not look.seen.slot.granted:
        return _queued(look, store)
    return _create(look, store, number, failures)


def _create(look: Look, store: ModelStore, number: int, failures: int) -> FetchDecision:
    assert look.wanted.order is not None, "an order that cannot be made was refused by spec_is_invalid"
    name = job_name(look.meta.uid, look.wanted.spec_hash, number)
    order = look.wanted.order.model_copy(update={"attempt": name})
    try:
        manifest = fetch_job(look.fetch, store, look.settings, order, Attempt(look.wanted.spec_hash, number, failures))
    except FetchError as error:
        return _stalled(look, error.reason, error.message)
    attempt = AttemptStatus(number=number, failures=failures, job_name=name, started_at=timestamp(look.now))
    standing = (
        _still_ready(look)
        if look.is_ready
        else Standing("working", "Pending", "Progressing", f"starts attempt {number}", ("StorageReady",))
    )
    changes = {"attempt": attempt, "progress": None, "last_handled_reconcile_at": _handled(look)}
    if look.attempt.number == 0:
        changes |= {"resolved": None, "last_error": None}  # those of another spec
    status = look.say(standing, **changes)
    # The finished Job of the attempt before goes: its outcome is in the status.
    ended_job: tuple[Action, ...] = () if look.job is None else (DeleteJob(look.job.name, look.job.uid),)
    return Decision((CreateJob(name, manifest), *ended_job), status, look.now + timedelta(seconds=POLL_S), "active")


def _queued(look: Look, store: ModelStore) -> FetchDecision:
    waiting_for = f"a slot of ModelStore {store.metadata.name}"
    again = look.now + timedelta(seconds=QUEUE_REFRESH_S)
    if look.is_ready:
        return Decision((), look.say(_still_ready(look)), again, "waiting")
    message = f"waits for {waiting_for}, which runs {store.spec.slots} fetches at a time"
    standing = Standing("working", "Queued", "Queued", message, ("StorageReady",))
    queue = QueueStatus(position=look.seen.slot.position, waiting_for=waiting_for)
    return Decision((), look.say(standing, queue=queue), again, "waiting")


def _store_gone(look: Look) -> FetchDecision:
    name = look.spec.store_ref.name
    return _blocked(look, Reason.STORAGE_NOT_READY, f"ModelStore '{name}' does not exist in this namespace")


def _blocked(look: Look, reason: Reason, message: str) -> FetchDecision:
    """Waits for somebody else; looked at again on every change and every WAIT_S seconds."""
    again = _next_look(look)
    if look.is_ready:
        return Decision((), look.say(_still_ready(look)), again)
    step = "StorageReady" if reason is Reason.STORAGE_NOT_READY else None
    standing = Standing("blocked", "Pending", reason, explained(reason, message), failed_step=step)
    error = last_error(Failure(reason, message, look.now), retryable=True)
    old = look.status.last_error
    if old is not None and (old.reason, old.message) == (error.reason, error.message):
        error = old
    return Decision((), look.say(standing, last_error=error, next_retry_time=timestamp(again)), again)


def _stalled(look: Look, reason: Reason, message: str, **known: object) -> FetchDecision:
    """Terminal: says so, tries nothing until the spec changes or somebody asks."""
    if look.is_ready and look.job is not None and reason is not Reason.SPEC_INVALID:
        return Decision((), look.say(_still_ready(look), **known))
    standing = Standing("stalled", "Failed", reason, explained(reason, message), *_where(look))
    if "last_error" not in known:
        old = look.status.last_error
        error = last_error(Failure(reason, message, look.now), retryable=False)
        same = old is not None and (old.reason, old.retryable) == (error.reason, False)
        known["last_error"] = old if same else error
    return Decision((), look.say(standing, **known))


def _retrying(look: Look, failure: Failure, due: datetime, **known: object) -> FetchDecision:
    when = timestamp(due + timedelta(seconds=1) - timedelta(microseconds=1))  # whole seconds, rounded up
    if look.is_ready:
        return Decision((), look.say(_still_ready(look), next_retry_time=when, **known), due)
    standing = Standing("blocked", "Pending", failure.reason, explained(failure.reason, failure.message), *_where(look))
    return Decision((), look.say(standing, next_retry_time=when, **known), due)


def _next_look(look: Look) -> datetime:
    """The announced time while it is ahead: a time that moved with every look would be news for every watcher."""
    announced = look.status.next_retry_time
    when = datetime.fromisoformat(announced) if announced is not None else look.now
    return when if when > look.now else look.now + timedelta(seconds=retry.WAIT_S)


def _stop(look: Look) -> tuple[Action, ...]:
    job = look.job
    return () if job is None or job.result != "Running" else (DeleteJob(job.name, job.uid),)


def _asks_again(look: Look) -> bool:
    return look.request is not None


def _handled(look: Look) -> str | None:
    return look.request or look.status.last_handled_reconcile_at


def _is_stalled(look: Look) -> bool:
    return any(c.type == "Stalled" and c.status == "True" for c in look.status.conditions)


def _attempt_status(look: Look) -> AttemptStatus:
    job = look.job
    assert job is not None, "called where an attempt was seen"
    pod = look.seen.pods.get(job.uid)
    return AttemptStatus(
        number=job.attempt,
        failures=look.failures_before,
        job_name=job.name,
        started_at=timestamp(job.created_at),
        node=pod.node if pod is not None else None,
    )


def _published(artifact: ArtifactStatus) -> Standing:
    files = "1 file" if artifact.files == 1 else f"{artifact.files} files"
    return Standing("ready", "Ready", "Available", f"{files} verified and published at '{artifact.path}'")


def _still_ready(look: Look) -> Standing:
    """A background attempt, whatever becomes of it, takes nothing from what is published."""
    assert look.status.artifact is not None, "called where the fetch is ready"
    return _published(look.status.artifact)


def _running(look: Look) -> Standing:
    report = look.seen.reports.get(look.job.uid) if look.job is not None else None
    pod = look.seen.pods.get(look.job.uid) if look.job is not None else None
    if report is None:
        words = "waits for its Pod to start" if pod is None or pod.phase == "Pending" else "starts the fetcher"
        return Standing("working", "Pending", "Progressing", words, ("StorageReady",))
    phase, words = _STEPS.get(report.step, ("Pending", "works"))
    return Standing("working", phase, "Progressing", words, _where(look)[0])


def _where(look: Look) -> tuple[tuple[str, ...], str | None]:
    """Return the steps that were passed, and the one that the attempt was in."""
    report = look.seen.reports.get(look.job.uid) if look.job is not None else None
    if report is None:
        old = look.status.conditions if look.attempt.number > 0 else ()
        failed = next((c.type for c in old if c.status == "False" and c.type != "Ready"), None)
        return tuple(c.type for c in old if c.status == "True" and c.type not in ("Ready", "Reconciling")), failed
    passed = ["StorageReady"]
    if report.resolved is not None:
        passed.append("SourceResolved")
    if report.step in ("Verifying", "Publishing"):
        passed.append("Downloaded")
    if report.step == "Publishing":
        passed.append("Verified")
    failed_step = failed_step_of(report.step)
    return tuple(passed), failed_step if failed_step not in passed else None
