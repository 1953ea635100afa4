"""Decisions that several checks come to: it waits, for whom and until when; it is stalled; it tries again.

Comes in: one look, and what the check found. Goes out: a decision that acts on nothing. What waits or tries again
beside what is published takes nothing from it, unless the check says so.
"""

from datetime import datetime, timedelta

from modelfetch.api.fetch_status import ModelFetchStatus
from modelfetch.core import retry, standings, turns
from modelfetch.core.actions import Decision
from modelfetch.core.conditions import Standing, explained, timestamp
from modelfetch.core.look import Look
from modelfetch.core.observed import PodSeen
from modelfetch.core.outcome import Failure, overdue
from modelfetch.core.status import last_error
from modelfetch.reasons import Reason

FetchDecision = Decision[ModelFetchStatus]


def blocked(look: Look, reason: Reason, message: str, *, takes_ready: bool = False, **known: object) -> FetchDecision:
    """Waits for somebody else; looked at again on every change and every WAIT_S seconds, tried at the time it tells."""
    again = look.now + timedelta(seconds=retry.WAIT_S)
    if look.is_ready and not takes_ready:
        return Decision((), look.say(standings.still_ready(look)), again)
    step = "StorageReady" if reason is Reason.STORAGE_NOT_READY else None
    standing = Standing("blocked", "Pending", reason, explained(reason, message), failed_step=step)
    error = last_error(Failure(reason, message, look.now), retryable=True)
    old = look.status.last_error
    is_same_wait = look.status.next_retry_time is not None and look.is_of_this_spec
    is_same_error = old is not None and (old.reason, old.message) == (error.reason, error.message)
    told = old if is_same_wait and is_same_error else None
    error = told or error
    # The announced time while it is ahead: one that moved with every look would be news for every watcher.
    due = (look.announced if told else None) or look.now + timedelta(seconds=look.wait_s(error))
    status = look.say(standing, **({"last_error": error, "next_retry_time": timestamp(due)} | known))
    return Decision((), status, min(again, due))


def store_gone(look: Look) -> FetchDecision:
    """There is no such store, or none whose spec can be read."""
    name = look.spec.store_ref.name
    problem = look.seen.store_error or "does not exist in this namespace"
    return blocked(look, Reason.STORAGE_NOT_READY, f"ModelStore '{name}' {problem}")


def waits_for(look: Look, what: str, pods: tuple[PodSeen, ...]) -> FetchDecision:
    """Nothing starts beside a Pod that may write; where its node is lost, that is told."""
    standing = Standing("working", "Pending", "Progressing", f"waits for {what} to end")
    lost = next((late for pod in pods if (late := overdue(pod)) is not None), None)
    if look.is_ready or lost is not None:
        standing = standings.still_ready(look) if lost is None else standings.stopped_by(look, lost)
    return Decision((), look.say(standing), look.now + timedelta(seconds=turns.POLL_S), "active")


def stalled(look: Look, reason: Reason, message: str, **known: object) -> FetchDecision:
    """Terminal: says so, tries nothing until the spec changes or somebody asks."""
    if look.is_ready and look.job is not None and reason is not Reason.SPEC_INVALID:
        return Decision((), look.say(standings.still_ready(look), **known))
    standing = Standing("stalled", "Failed", reason, explained(reason, message, is_last=True), *standings.where(look))
    if "last_error" not in known:
        old = look.status.last_error
        error = last_error(Failure(reason, message, look.now), retryable=False)
        same = old is not None and (old.reason, old.retryable) == (error.reason, False)
        known["last_error"] = old if same else error
    return Decision((), look.say(standing, **known))


def retrying(look: Look, failure: Failure, due: datetime, **known: object) -> FetchDecision:
    """The next attempt starts at `due`, which the status says."""
    when = timestamp(due + timedelta(seconds=1) - timedelta(microseconds=1))  # whole seconds, rounded up
    if look.is_ready:
        return Decision((), look.say(standings.still_ready(look), next_retry_time=when, **known), due)
    message = explained(failure.reason, failure.message)
    standing = Standing("blocked", "Pending", failure.reason, message, *standings.where(look))
    return Decision((), look.say(standing, next_retry_time=when, **known), due)
