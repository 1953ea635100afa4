"""A bound on bytes per second over all connections of a fetcher: a token bucket with handed-in clock and wait.

Comes before: the receivers, which ask before they hand bytes on. What a connection waits here is our own doing, not
the source's: it happens inside the sink, where curl.py leaves it out of the stall rule.
"""

from collections.abc import Callable
from threading import Lock

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason

BURST_S = 0.25
"""Seconds of the rate that may come at once after a pause: enough for a buffer of a fast link, too little to notice."""

LOOK_S = 0.2
"""Longer waits are cut into pieces of this, to notice that nobody wants the bytes any more."""


class Bucket:
    """When bytes may pass, by arithmetic alone: `rate` bytes per second, what was not used within BURST_S expires."""

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._free_at = now - BURST_S

    def reserve(self, size: int, now: float) -> float:
        """Count `size` bytes that want to pass at `now`; return how many seconds they have to wait."""
        self._free_at = max(self._free_at, now - BURST_S) + size / self._rate
        return max(0.0, self._free_at - now)


class Limiter:
    """Holds bytes up so that no more than `rate` a second pass; safe to use from several threads.

    `wait` sleeps and returns True when the fetch was stopped meanwhile; `deadline` is an instant of `monotonic`.
    """

    def __init__(
        self,
        rate: float,
        monotonic: Callable[[], float],
        wait: Callable[[float], bool],
        deadline: float | None = None,
    ) -> None:
        self._bucket = Bucket(rate, monotonic())
        self._monotonic = monotonic
        self._wait = wait
        self._deadline = deadline
        self._lock = Lock()

    def hold(self, size: int, is_over: Callable[[], bool] = lambda: False) -> None:
        """Return when `size` bytes may pass, at once when `is_over` says that nobody wants them.

        Raises FetchError Cancelled or DeadlineExceeded where that comes first.
        """
        with self._lock:
            now = self._monotonic()
            until = now + self._bucket.reserve(size, now)
        while (left := until - self._monotonic()) > 0 and not is_over():
            if self._deadline is not None and self._monotonic() >= self._deadline:
                raise FetchError(Reason.DEADLINE_EXCEEDED, "expected the fetch to end before its deadline")
            if self._wait(min(left, LOOK_S)):
                raise FetchError(Reason.CANCELLED, "the fetch was stopped")
