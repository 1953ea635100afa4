"""Origins that asked for a wait, and until when: what one request is told holds for all others to that origin.

Comes in: the heads of answers, from curl.py. Goes out: `NotYet` in place of a request that would come too early; the
loops that try again (retry.py, receiver.py) wait for it without counting it as a failure. The thread that was told
waits by itself and is not held up twice.
"""

from dataclasses import dataclass
from threading import Lock, get_ident

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.answers import Head
from modelfetch.transfer.clock import Clock
from modelfetch.transfer.url import Origin, Url

_ASKING = frozenset({429, 503})


class NotYet(FetchError):
    """Nothing was sent: the origin has asked for a wait, of which `retry_after_s` are left."""


@dataclass(frozen=True)
class _Wait:
    until: float
    told: int
    """The thread that got the answer."""


class Patience:
    """What origins asked for; safe to share between threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waits: dict[Origin, _Wait] = {}
        self._lock = Lock()

    def note(self, head: Head | None) -> None:
        """Take the wait that an answer to this thread's request asks for; the last one counts."""
        if head is None or head.status not in _ASKING:
            return
        delay_s = head.retry_after_s(self._clock.now())
        if delay_s:
            with self._lock:
                self._waits[head.url.origin] = _Wait(self._clock.monotonic() + delay_s, get_ident())

    def require(self, url: Url) -> None:
        """Return when the origin of `url` may be asked; raises NotYet (RateLimited) before."""
        with self._lock:
            wait = self._waits.get(url.origin)
        left_s = 0.0 if wait is None or wait.told == get_ident() else wait.until - self._clock.monotonic()
        if left_s > 0:
            raise NotYet(
                Reason.RATE_LIMITED,
                f'expected an answer, was asked to wait {left_s:.0f} s more by "{url.where}"',
                retry_after_s=left_s,
            )
