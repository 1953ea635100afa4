"""Who may run now in a store that runs only so many fetches at once."""

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass

from modelfetch.core.actions import Claim
from modelfetch.core.observed import Slot

Turn = tuple[int, str, str]
"""What waiters are ordered by: the higher priority, then who came first; the uid at the end."""


@dataclass(frozen=True)
class Claimant:
    """A fetch that wants or holds a slot."""

    created_at: str
    uid: str
    claim: Claim = "waiting"
    priority: int = 0

    @property
    def turn(self) -> Turn:
        """Its place among those that wait."""
        return -self.priority, self.created_at, self.uid


class Line:
    """Those that hold a slot of one store, and those that wait for one in the order of their turns.

    A question costs about as much with ten thousand in the line as with ten.
    """

    def __init__(self) -> None:
        self._claimants: dict[str, Claimant] = {}
        self._active: set[str] = set()
        self._turns: list[Turn] = []

    def __len__(self) -> int:
        """Number of those that hold or want a slot."""
        return len(self._claimants)

    @property
    def running(self) -> int:
        """Fetches that hold a slot."""
        return len(self._active)

    @property
    def waiting(self) -> int:
        """Fetches that wait."""
        return len(self._turns)

    def set(self, claimant: Claimant) -> None:
        """Take note of what a fetch asks for now; one that asks for nothing leaves the line."""
        self.drop(claimant.uid)
        if claimant.claim == "none":
            return
        self._claimants[claimant.uid] = claimant
        if claimant.claim == "active":
            self._active.add(claimant.uid)
        else:
            insort(self._turns, claimant.turn)

    def drop(self, uid: str) -> Claim:
        """Have a fetch leave the line; return what it held: a slot, a place, or nothing."""
        claimant = self._claimants.get(uid)
        if claimant is None:
            return "none"
        self._active.discard(uid)
        place = bisect_left(self._turns, claimant.turn)
        if self._turns[place : place + 1] == [claimant.turn]:
            del self._turns[place]
        del self._claimants[uid]  # at the end: until then it may be dropped again
        return claimant.claim

    def grant(self, slots: int, me: Claimant) -> Slot:
        """Return whether `me`, as if it waited, may start: running fetches and earlier waiters together leave a slot.

        Every fetch that waits counts the ones before it as started, so two decisions made at the same moment from the
        same claims cannot take the same slot.
        """
        ahead = self._ahead_of(me)
        return Slot(granted=self.running_beside(me) + ahead < slots, position=ahead + 1)

    def running_beside(self, me: Claimant) -> int:
        """Return how many others hold a slot."""
        known = self._claimants.get(me.uid)
        return self.running - (known is not None and known.claim == "active")

    def starting_before(self, slots: int, me: Claimant) -> int:
        """Return how many of those whose turn is before that of `me` could start now."""
        return min(self._ahead_of(me), max(slots - self.running_beside(me), 0))

    def _ahead_of(self, me: Claimant) -> int:
        known = self._claimants.get(me.uid)
        is_counted = known is not None and known.claim == "waiting" and known.turn < me.turn
        return bisect_left(self._turns, me.turn) - is_counted

    def next(self, slots: int) -> list[str]:
        """Return the uids of the waiters that could start now, the first first."""
        return [uid for _, _, uid in self._turns[: max(slots - self.running, 0)]]


def namespace_grants(limit: int, stores: Iterable[tuple[Line, int]], me: Claimant) -> bool:
    """Return whether `me` may start in a namespace that runs `limit` fetches, by the lines and slots of all its stores.

    As in a line: who runs, and who would start before it, leave a slot. Who waits for a full store is in nobody's way.
    """
    lines = list(stores)
    running = sum(line.running_beside(me) for line, _ in lines)
    return running + sum(line.starting_before(slots, me) for line, slots in lines) < limit
