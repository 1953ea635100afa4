"""The next attempt: it starts where its store, its claim and a slot are there; else what it waits for is said.

Comes in: one look, at a fetch of which nothing runs. Goes out: the decision to create a Job, or to wait.
"""

from dataclasses import asdict
from datetime import timedelta

from modelfetch.api.fetch_status import AttemptStatus, QueueStatus
from modelfetch.api.store import ModelStore
from modelfetch.core import standings, turns
from modelfetch.core.actions import CreateJob, Decision, DeleteJob
from modelfetch.core.conditions import Standing, timestamp
from modelfetch.core.decisions import FetchDecision, blocked, stalled, store_gone, waits_for
from modelfetch.core.job import Attempt, fetch_job, job_name
from modelfetch.core.look import Look
from modelfetch.core.observed import ClaimSeen, Unknown
from modelfetch.core.outcome import Failure
from modelfetch.core.retry import Tally
from modelfetch.core.status import last_error
from modelfetch.errors import FetchError
from modelfetch.reasons import Reason

QUEUE_REFRESH_S = 30.0
"""Seconds between refreshes of a queue position; the fetch whose turn comes is woken at once."""
UNKNOWN_RETRY_S = 5.0
"""Seconds until a store that could not be read is looked at again."""


def start(look: Look, tally: Tally) -> FetchDecision:
    """Create the next attempt, if the store, its claim and a slot are there; else say what it waits for."""
    if look.seen.strays:
        return waits_for(look, "the Pod of a Job that was deleted", look.seen.strays)
    store = look.seen.store
    if store is None:
        return store_gone(look)
    if isinstance(store, Unknown) or isinstance(look.seen.claim, Unknown):
        if look.seen.claim_error is not None:
            return blocked(look, Reason.STORAGE_NOT_READY, look.seen.claim_error)
        standing = Standing("working", "Pending", "Pending", "reads the ModelStore and its claim")
        return Decision((), look.say(standing), look.now + timedelta(seconds=UNKNOWN_RETRY_S))
    if not look.has_claim:
        return blocked(look, Reason.STORAGE_NOT_READY, standings.claim_problem(look.seen.claim, store.spec.claim_name))
    refusal = look.seen.refusal or _told_refusal(look)
    if refusal is not None:
        return blocked(look, Reason.POD_REJECTED, refusal)
    if not look.seen.slot.granted:
        return _queued(look, store)
    return _create(look, store, tally)


def _told_refusal(look: Look) -> str | None:
    """What the API server said, until the announced time: each status written brings a look, which would ask again.

    Two fetches that are refused in turn would else hand one slot to and fro, as fast as the server answers.
    """
    error = look.status.last_error
    if error is None or look.announced is None or error.reason != Reason.POD_REJECTED:
        return None
    return error.message if look.is_of_this_spec else None


def _create(look: Look, store: ModelStore, tally: Tally) -> FetchDecision:
    assert look.wanted.order is not None, "an order that cannot be made was refused by spec_is_invalid"
    assert isinstance(look.seen.claim, ClaimSeen), "a claim that is not there was told of by start"
    number = look.last_number + 1
    name = job_name(look.meta.uid, look.wanted.spec_hash, number)
    order = look.wanted.order.model_copy(update={"attempt": name, "ended": look.ended})
    attempt_of = Attempt(look.wanted.spec_hash, number, tally, look.seen.claim)
    try:
        manifest = fetch_job(look.fetch, store, look.settings, order, attempt_of)
    except FetchError as error:
        return stalled(look, error.reason, error.message)
    attempt = AttemptStatus(number=number, job_name=name, started_at=timestamp(look.now), **asdict(tally))
    # What the next look will say, too: until the Pod starts there is nothing to write again.
    standing = standings.still_ready(look) if look.is_ready else standings.starting()
    known = {"attempt": attempt, "progress": None, "last_handled_reconcile_at": look.handled} | vanished(look)
    status = look.say(standing, **known)
    # The finished Job of the attempt before goes: its outcome is in the status.
    ended_jobs = () if look.job is None else (DeleteJob(look.job.name, look.job.uid, in_passing=True),)
    return Decision((CreateJob(name, manifest), *ended_jobs), status, turns.next_turn(look), "active")


def vanished(look: Look) -> dict[str, object]:
    """The attempt that the status tells of was ended by whoever deleted its Job: nothing else would ever say so."""
    name = look.seen.vanished
    if not name or name != look.attempt.job_name or look.is_ready:
        return {}
    words = f"Job '{name}' was deleted before it told how it ended"
    return {"last_error": last_error(Failure(Reason.CANCELLED, words, look.now), retryable=True)}


def _queued(look: Look, store: ModelStore) -> FetchDecision:
    waiting_for = f"a slot of ModelStore {store.metadata.name}"
    if look.seen.slot.of_namespace:
        waiting_for = f"a slot of namespace {look.meta.namespace}"
    again = look.now + timedelta(seconds=QUEUE_REFRESH_S)
    if look.is_ready:
        return Decision((), look.say(standings.still_ready(look)), again, "waiting")
    standing = Standing("working", "Queued", "Queued", f"waits for {waiting_for}", ("StorageReady",))
    queue = QueueStatus(position=look.seen.slot.position, waiting_for=waiting_for)
    return Decision((), look.say(standing, queue=queue), again, "waiting")
