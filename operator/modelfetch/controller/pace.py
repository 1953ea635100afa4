"""Time as the operator takes it, and how often the API server may be asked for what no watch brings."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Time as the operator takes it: `now` for what is written, `monotonic` for durations."""

    def now(self) -> datetime:
        """Return the time of day, in UTC."""

    def monotonic(self) -> float:
        """Return seconds that never jump."""


class Budget:
    """At most `rate` reads a second over everything; what is over it is left for the next look."""

    def __init__(self, rate: float, monotonic: Callable[[], float]) -> None:
        self._rate = rate
        self._monotonic = monotonic
        self._tokens = rate
        self._since = monotonic()

    def take(self) -> bool:
        """Return whether one read may be made now."""
        now = self._monotonic()
        self._tokens = min(self._rate, self._tokens + (now - self._since) * self._rate)
        self._since = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
