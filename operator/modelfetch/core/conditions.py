"""The only code that makes conditions and the phase.

Comes in: a `Standing`, one value that says how a resource stands. Goes out: conditions by kstatus' rules
(kubernetes.md 1.2): Ready from the first write on; Reconciling and Stalled only while true and never both; a terminal
reason is Stalled; suspended keeps Ready's last truth; a background attempt leaves Ready=True without Reconciling.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from modelfetch.api.fetch import RECONCILE_ANNOTATION
from modelfetch.api.fetch_status import Phase
from modelfetch.api.meta import Condition
from modelfetch.errors import sanitise
from modelfetch.reasons import Reason

Truth = Literal["True", "False", "Unknown"]

STEPS = ("SourceResolved", "StorageReady", "Downloaded", "Verified")
"""Conditions of a ModelFetch's steps, in the order of life; True with reason Succeeded once passed."""

ORDER = ("Ready", "Reconciling", "Stalled", *STEPS)
"""Owned conditions in the order they are written. Reconciling and Stalled are abnormal: absent unless true."""

PLAIN_REASONS = ("Pending", "Queued", "Progressing", "Succeeded", "Available")
"""Reasons of conditions that are not failures; with `Reason` these are all strings that may stand there."""

ASK_AGAIN = f"To have it tried again, set the annotation {RECONCILE_ANNOTATION} to another value."
_STEP_OF_PHASE = {"Resolving": "SourceResolved", "Downloading": "Downloaded", "Verifying": "Verified"}


@dataclass(frozen=True)
class Standing:
    """How a resource stands, in one value.

    `kind`: `ready` the artifact of this generation is published; `working` an attempt runs or is about to; `blocked`
    nothing runs until something else changes or a delay is over; `stalled` terminal; `suspended` by the user.
    `reason` is a Reason for failures, else one of PLAIN_REASONS. `failed_step` names the condition that is False.
    `was_ready`, where suspended: the artifact of this very generation is published.
    """

    kind: Literal["ready", "working", "blocked", "stalled", "suspended"]
    phase: Phase
    reason: Reason | str
    message: str
    passed: tuple[str, ...] = ()
    failed_step: str | None = None
    was_ready: bool = False

    @property
    def is_ready(self) -> bool:
        """True when every file of this generation is published."""
        return self.kind == "ready" or self.was_ready


def timestamp(moment: datetime) -> str:
    """Return RFC 3339 in UTC with whole seconds, as metav1.Time is written."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def explained(reason: Reason, message: str, *, is_last: bool = False) -> str:
    """Return the message, the remedy and a link, in at most 1024 bytes: a status has three of them and 8 KiB.

    Where nothing is tried any more (`is_last`), how to ask for another try, too; a spec has to be edited instead.
    """
    remedy = reason.row.remedy
    if is_last:
        remedy = reason.row.last_remedy + ("" if reason is Reason.SPEC_INVALID else f" {ASK_AGAIN}")
    advice = f". {remedy} See {reason.link}"
    return fit(sanitise(message).rstrip("."), 1024 - len(advice.encode())) + advice


def fit(text: str, limit: int) -> str:
    """Return `text` in at most `limit` bytes, with an ellipsis where it was longer."""
    data = text.encode()
    return text if len(data) <= limit else data[: limit - 3].decode(errors="ignore") + "…"


def failed_step_of(phase_or_step: str) -> str | None:
    """Return the step condition that a failure in this phase makes False."""
    return _STEP_OF_PHASE.get(phase_or_step)


def steps_of(told: Iterable[Condition]) -> tuple[tuple[str, ...], str | None]:
    """Return the steps that these conditions say were passed, and the one that failed."""
    steps = [condition for condition in told if condition.type in STEPS]
    failed = next((step.type for step in steps if step.status == "False"), None)
    return tuple(step.type for step in steps if step.status == "True"), failed


def make(
    standing: Standing, old: Iterable[Condition], generation: int, now: datetime, steps: tuple[str, ...] = STEPS
) -> list[Condition]:
    """Return the conditions for `standing`; lastTransitionTime moves only where the status differs from `old`."""
    before = {condition.type: condition for condition in old}
    wanted = [_ready(standing), *_abnormal(standing), *_steps(standing, steps)]
    return [
        _keep_time(type_, truth, reason, message, before, generation, now) for type_, truth, reason, message in wanted
    ]


_Row = tuple[str, Truth, str, str]


def _ready(standing: Standing) -> _Row:
    return "Ready", "True" if standing.is_ready else "False", str(standing.reason), standing.message


def _abnormal(standing: Standing) -> list[_Row]:
    if standing.kind in ("working", "blocked"):
        return [("Reconciling", "True", str(standing.reason), standing.message)]
    if standing.kind == "stalled":
        return [("Stalled", "True", str(standing.reason), standing.message)]
    return []


def _steps(standing: Standing, steps: tuple[str, ...]) -> list[_Row]:
    rows: list[_Row] = []
    for step in steps:
        if standing.is_ready or step in standing.passed:
            rows.append((step, "True", "Succeeded", ""))
        elif step == standing.failed_step:
            rows.append((step, "False", str(standing.reason), standing.message))
        else:
            rows.append((step, "Unknown", "Pending", ""))
    return rows


def _keep_time(
    type_: str,
    truth: Truth,
    reason: str,
    message: str,
    before: dict[str, Condition],
    generation: int,
    now: datetime,
) -> Condition:
    old = before.get(type_)
    said = (truth, reason, message, generation)
    if old is not None and (old.status, old.reason, old.message, old.observed_generation) == said:
        return old
    since = old.last_transition_time if old is not None and old.status == truth else timestamp(now)
    return Condition(
        type=type_,
        status=truth,
        observed_generation=generation,
        last_transition_time=since,
        reason=reason,
        message=message,
    )
