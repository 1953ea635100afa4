"""Watches what another attempt brings, for as long as it gets on.

Comes in: a neighbour that was seen to fetch something. Goes out, with each look: whether to go on waiting.
"""

from collections.abc import Collection
from dataclasses import dataclass

from modelfetch.store.attempts import LIVING_S, Neighbour, refreshed
from modelfetch.store.readable import ReadableVolume

LOOK_S = 0.5
"""Seconds between two looks at what others bring."""

LOOKS = int(LIVING_S / LOOK_S)
"""Looks without any progress of another attempt after which it is not waited for any more."""


@dataclass(frozen=True)
class Watch:
    """Another attempt, as it was `quiet` looks ago and is still."""

    other: Neighbour
    quiet: int = 0

    def look(self, volume: ReadableVolume, keys: Collection[str], now_s: float) -> "Watch | None":
        """Return the watch to go on with; None where the other brings none of `keys` any more, or gets on no more.

        `now_s` is the volume's clock. A journal grows with every segment; a sign of life alone is no progress.
        """
        after = refreshed(volume, self.other, now_s)
        if after is None or not after.is_living or after.log.claims.keys().isdisjoint(keys):
            return None
        quiet = 0 if after.journal_bytes > self.other.journal_bytes else self.quiet + 1
        return Watch(after, quiet) if quiet <= LOOKS else None
