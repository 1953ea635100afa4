"""Who leads: what a Lease says, and when one replica may take it from another. Pure.

Comes in: the Lease as the API server has it, and seconds on this process's own clock. Goes out: the spec to write next.
Clocks of two machines are never compared: a Lease is stale when it has not changed for its duration as seen from here,
whatever times stand in it (the way of Kubernetes' own components, coordination.k8s.io/v1).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from modelfetch.api.meta import is_moment

LEASE_S = 15
"""Whole seconds after its last change at which a Lease may be taken; what Kubernetes' own components use."""

UNLED_S = 300.0
"""Seconds after which a Lease that was not renewed tells that nobody led for long, or that it is of a backup of etcd: a
leader that ends or dies is followed within 20 s, one that is upgraded within a few minutes."""
LONGEST_S = 600
"""A Lease that is said to last longer lasts LEASE_S: nobody of ours asks for that, and nobody could lead for ages."""
_MOST_TRANSITIONS = 2**31 - 1
"""The API server takes no larger number; they are counted from 0 again then."""


@dataclass(frozen=True)
class Sight:
    """One version of the Lease; `since` is when this process first saw it, in seconds on its own clock."""

    version: str
    holder: str
    duration_s: float
    transitions: int
    acquired_at: str
    renewed_at: str
    since: float

    def may_be_taken(self, identity: str, now: float) -> bool:
        """True where it is nobody's, is our own, or nobody has renewed it for its duration."""
        return self.holder in ("", identity) or now - self.since >= self.duration_s

    def was_led(self, now: datetime) -> bool:
        """True where somebody led until a moment ago, by the clock of whoever did, which may be minutes from `now`."""
        return bool(self.renewed_at) and (now - datetime.fromisoformat(self.renewed_at)).total_seconds() < UNLED_S


def sighted(lease: Mapping[str, Any], before: Sight | None, now: float) -> Sight:
    """Return what the Lease says; the same version as `before` keeps the time when it was first seen."""
    spec = lease.get("spec") or {}
    version = str(lease["metadata"].get("resourceVersion", ""))
    duration_s, transitions = spec.get("leaseDurationSeconds") or LEASE_S, spec.get("leaseTransitions") or 0
    acquired_at, renewed_at = (str(spec.get(name) or "") for name in ("acquireTime", "renewTime"))
    return Sight(
        version=version,
        holder=str(spec.get("holderIdentity") or ""),
        duration_s=float(duration_s if 0 < duration_s <= LONGEST_S else LEASE_S),
        transitions=transitions if 0 <= transitions < _MOST_TRANSITIONS else 0,
        acquired_at=acquired_at if is_moment(acquired_at) else "",
        renewed_at=renewed_at if is_moment(renewed_at) else "",
        since=before.since if before is not None and before.version == version else now,
    )


def held(identity: str, before: Sight | None, now: datetime) -> dict[str, Any]:
    """Return the spec of a Lease that `identity` holds from `now` on, or goes on holding."""
    ours = before if before is not None and before.holder == identity else None
    return {
        "holderIdentity": identity,
        "leaseDurationSeconds": LEASE_S,
        "acquireTime": (ours.acquired_at if ours is not None else "") or _micro(now),
        "renewTime": _micro(now),
        "leaseTransitions": 0 if before is None else before.transitions + (ours is None),
    }


def released(before: Sight, now: datetime) -> dict[str, Any]:
    """Return the spec of a Lease that nobody holds: the next replica need not wait."""
    return {
        "holderIdentity": "",
        "leaseDurationSeconds": 1,
        "renewTime": _micro(now),
        "leaseTransitions": before.transitions,
    }


def _micro(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
