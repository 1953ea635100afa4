"""When to try a request again: arithmetic on handed-in chances, and the loop around one request.

Comes in: FetchErrors of one request. Goes out: its result, or the last error. Attempts of the whole fetch are the
operator's affair; this is within one attempt.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.patience import NotYet

T = TypeVar("T")

INITIAL_DELAY_S = 0.5
MAX_DELAY_S = 30.0

LOOK_S = 0.5
"""Longer waits are cut into pieces of this, to notice that others have given up."""

TRANSIENT = frozenset({Reason.RATE_LIMITED, Reason.SOURCE_UNAVAILABLE, Reason.SOURCE_STALLED})
"""What may be different a moment later; all else ends the request."""


@dataclass(frozen=True)
class Retry:
    """Tries again with full jitter: a random part of a delay that doubles from 0.5 s to 30 s.

    What a server asks for by Retry-After (already capped by answers.py) is waited for in full, plus jitter.
    `chance` returns a number in [0, 1); `wait` sleeps and returns True when the fetch was stopped meanwhile;
    `deadline` is an instant of `monotonic`: no wait goes past it.
    """

    retries: int
    chance: Callable[[], float]
    wait: Callable[[float], bool]
    monotonic: Callable[[], float]
    deadline: float | None = None

    def call(self, attempt: Callable[[], T]) -> T:
        """Return the result of `attempt`, tried again after transient errors at most `retries` times."""
        tried = 0
        while True:
            try:
                return attempt()
            except NotYet as error:
                self.pause(tried, error)
            except FetchError as error:
                if error.reason not in TRANSIENT or tried >= self.retries:
                    raise
                self.pause(tried, error)
                tried += 1

    def pause(self, failures: int, error: FetchError, is_over: Callable[[], bool] = lambda: False) -> None:
        """Wait before the try after `failures` (from 0) earlier ones; at once when `is_over` says nobody wants it.

        Raises `error` itself where the wait would pass the deadline: it says more than the deadline does.
        Raises FetchError(Cancelled) when the fetch is stopped while waiting.
        """
        left = delay_s(failures, error.retry_after_s, self.chance())
        if self.deadline is not None and self.monotonic() + left >= self.deadline:
            raise error
        while left > 0 and not is_over():
            if self.wait(min(left, LOOK_S)):
                raise FetchError(Reason.CANCELLED, "the fetch was stopped")
            left -= LOOK_S


def delay_s(failures: int, retry_after_s: float | None, chance: float) -> float:
    """Return the seconds to wait after `failures` (from 0) earlier tries, for `chance` in [0, 1)."""
    # 2.0 ** 64 is past every bound already; more only overflows.
    spread = min(MAX_DELAY_S, INITIAL_DELAY_S * 2.0 ** min(failures, 64)) * chance
    if retry_after_s is None:
        return spread
    return retry_after_s + min(spread, 1.0)
