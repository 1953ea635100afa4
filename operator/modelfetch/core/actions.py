"""The closed set of effects, and what a decision is. controller/apply.py turns each action into one API call."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

Status = TypeVar("Status")


@dataclass(frozen=True)
class CreateJob:
    """Create this Job; that it exists already is success when its owner and hash are ours."""

    name: str
    manifest: dict[str, Any] = field(hash=False)


@dataclass(frozen=True)
class DeleteJob:
    """Delete the Job that has this uid, its Pods first; that it is gone already is success.

    `in_passing`: nothing hangs on it, so that nothing changes where the API server does not allow it.
    """

    name: str
    uid: str
    in_passing: bool = False


Action = CreateJob | DeleteJob

Claim = Literal["active", "waiting", "none"]
"""What a fetch asks of its store's slots."""


@dataclass(frozen=True)
class Decision(Generic[Status]):
    """What to do, what to say, when to look again. Equal inputs give equal decisions.

    `status` None means: leave it as it is. `again_at` None means: only when something changes (or at the resync).
    """

    actions: tuple[Action, ...] = ()
    status: Status | None = None
    again_at: datetime | None = None
    claim: Claim = "none"
