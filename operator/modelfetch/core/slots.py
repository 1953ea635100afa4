"""Who may run now in a store that runs only so many fetches at once."""

from collections.abc import Iterable
from dataclasses import dataclass

from modelfetch.core.actions import Claim
from modelfetch.core.observed import Slot


@dataclass(frozen=True)
class Claimant:
    """A fetch that wants or holds a slot."""

    created_at: str
    uid: str
    claim: Claim = "waiting"
    priority: int = 0

    @property
    def turn(self) -> tuple[int, str, str]:
        """What waiters are ordered by: the higher priority, then who came first."""
        return -self.priority, self.created_at, self.uid


def grant(slots: int, claimants: Iterable[Claimant], me: Claimant) -> Slot:
    """Return whether `me`, as if it waited, may start: running fetches and earlier waiters together leave a slot.

    Every fetch that waits counts the ones before it as started, so two decisions made at the same moment from the same
    claims cannot take the same slot.
    """
    others = [c for c in claimants if c.uid != me.uid]
    running = sum(c.claim == "active" for c in others)
    ahead = sum(c.claim == "waiting" and c.turn < me.turn for c in others)
    return Slot(granted=running + ahead < slots, position=ahead + 1)


def next_in_line(slots: int, claimants: Iterable[Claimant]) -> list[Claimant]:
    """Return the waiters that could start now, the first first."""
    claimants = list(claimants)
    free = slots - sum(c.claim == "active" for c in claimants)
    waiting = sorted((c for c in claimants if c.claim == "waiting"), key=lambda c: c.turn)
    return waiting[: max(free, 0)]
