"""Which Kubernetes Events tell what became of a ModelFetch, and an Event as data.

Comes in: the statuses before and after one write. Goes out: what to tell of that step, for controller/recorder.py.
Pure, and about steps alone: progress tells nothing, and an operator that starts again has nothing to repeat. What is
compared is what happened, never words: those may differ between two versions of the operator.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from modelfetch.api.fetch_status import AttemptStatus, ModelFetchStatus
from modelfetch.api.meta import API_VERSION, GROUP, Condition, ObjectMeta
from modelfetch.core.conditions import explained, fit, timestamp
from modelfetch.errors import sanitise
from modelfetch.reasons import TABLE, Reason

MESSAGE_LIMIT = 1024
"""Bytes of a message: what the newer API of Events takes."""
_NAME_LIMIT = 253
_TROUBLE = ("Reconciling", "Stalled")


@dataclass(frozen=True)
class Event:
    """One thing to tell. `reason` is a word of this module or, of a Warning, a Reason; `message` is sanitised."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    attempt: int
    """The number of the attempt that the status tells of, 0 before the first."""


def events(before: ModelFetchStatus, after: ModelFetchStatus) -> tuple[Event, ...]:
    """Return what to tell of the step from one status to the next, in the order of life."""
    told = (tell(before, after) for tell in _TELLERS)
    return tuple(event for event in told if event is not None)


def name_of(meta: ObjectMeta, event: Event) -> str:
    """Return the name of an Event: the same for the same object, reason and attempt, so that a repeat is counted."""
    suffix = "." + hashlib.sha256(f"{meta.uid}/{event.reason}/{event.attempt}".encode()).hexdigest()[:16]
    return meta.name[: _NAME_LIMIT - len(suffix)].rstrip("-.") + suffix


def manifest(event: Event, meta: ObjectMeta, at: datetime, instance: str) -> dict[str, Any]:
    """Return the Event of core/v1 as it is created; `instance` names the operator's process."""
    now = timestamp(at)
    return {
        "metadata": {"name": name_of(meta, event), "namespace": meta.namespace},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": "ModelFetch",
            "namespace": meta.namespace,
            "name": meta.name,
            "uid": meta.uid,
        },
        "type": event.type,
        "reason": event.reason,
        "message": event.message,
        "count": 1,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "reportingComponent": f"{GROUP}/operator",
        "reportingInstance": instance,
    }


# --- what is told ---------------------------------------------------------------------------------------------------

_Teller = Callable[[ModelFetchStatus, ModelFetchStatus], Event | None]


def _resumed(before: ModelFetchStatus, after: ModelFetchStatus) -> Event | None:
    ready = _condition(after, "Ready")
    # A spec that is invalid says nothing about suspend.
    if before.phase != "Suspended" or after.phase == "Suspended" or (ready and ready.reason == Reason.SPEC_INVALID):
        return None
    return _event("Normal", "Resumed", "spec.suspend is false again", after)


def _queued(before: ModelFetchStatus, after: ModelFetchStatus) -> Event | None:
    if after.phase != "Queued" or before.phase == "Queued":
        return None
    return _event("Normal", "Queued", _said(after), after)


def _started(before: ModelFetchStatus, after: ModelFetchStatus) -> Event | None:
    attempt = _attempt(after)
    if attempt.number == 0 or attempt.job_name == _attempt(before).job_name:
        return None
    return _event("Normal", "Started", f"attempt {attempt.number} is Job '{attempt.job_name}'", after)


def _resolved(before: ModelFetchStatus, after: ModelFetchStatus) -> Event | None:
    new, old = after.resolved, before.resolved
    if new is None or (old is not None and (new.revision, new.commit) == (old.revision, old.commit)):
        return None
    files = f"files to have: {new.file_count}"
    commit = f"revision '{sanitise(new.revision or '')}' is commit {new.commit}, {files}"
    return _event("Normal", "Resolved", commit if new.commit else files, after)


def _failed(before: ModelFetchStatus, after: ModelFetchStatus) -> Event | None:
    """An attempt failed, something keeps it from going on, or nothing is tried any more."""
    trouble, error = _trouble(after), after.last_error
    if trouble is not None:
        is_known = _identity(trouble, after) == _identity(_trouble(before), before)
        return None if is_known else _event("Warning", trouble.reason, trouble.message, after)
    old = before.last_error
    if error is None or (old is not None and (error.reason, error.at) == (old.reason, old.at)):
        return None
    # Of an attempt beside what is published: no condition tells of it, as nothing is taken away.
    return _event("Warning", error.reason, explained(Reason(error.reason), error.message), after)


def _published(before: ModelFetchStatus, after: ModelFetchStatus) -> Event | None:
    new, old = after.artifact, before.artifact
    if new is None or (old is not None and (new.digest, new.published_at) == (old.digest, old.published_at)):
        return None
    return _event("Normal", "Published", _said(after), after)


def _suspended(before: ModelFetchStatus, after: ModelFetchStatus) -> Event | None:
    if after.phase != "Suspended" or before.phase == "Suspended":
        return None
    return _event("Normal", "Suspended", _said(after), after)


_TELLERS: tuple[_Teller, ...] = (_resumed, _queued, _started, _resolved, _failed, _published, _suspended)


def _event(type_: Literal["Normal", "Warning"], reason: str, message: str, after: ModelFetchStatus) -> Event:
    return Event(type_, reason, fit(message, MESSAGE_LIMIT), _attempt(after).number)


def _attempt(status: ModelFetchStatus) -> AttemptStatus:
    return status.attempt or AttemptStatus()


def _condition(status: ModelFetchStatus, type_: str) -> Condition | None:
    return next((condition for condition in status.conditions if condition.type == type_), None)


def _said(status: ModelFetchStatus) -> str:
    """Return the sentence that stands at Ready."""
    ready = _condition(status, "Ready")
    return ready.message if ready is not None else ""


def _trouble(status: ModelFetchStatus) -> Condition | None:
    """Return the condition that says why the fetch does not go on, if one does."""
    return next((c for c in status.conditions if c.type in _TROUBLE and c.reason in TABLE), None)


def _identity(trouble: Condition | None, status: ModelFetchStatus) -> tuple[str, str, int] | None:
    return None if trouble is None else (trouble.type, trouble.reason, _attempt(status).number)
