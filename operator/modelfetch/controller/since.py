"""How long something is so, as seen from here: no time that another machine wrote is compared with our own clock.

Comes in: the uid of what is so now. Goes out: seconds since it was first seen so; after a start it counts anew.
"""

from collections.abc import Callable


class Since:
    """By uid; `monotonic` gives seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._first: dict[str, float] = {}

    def seen_s(self, uid: str) -> float:
        """Take note that it is so, and return for how many seconds it is known to be."""
        now = self._monotonic()
        return now - self._first.setdefault(uid, now)

    def forget(self, uid: str) -> None:
        """It has gone."""
        self._first.pop(uid, None)
