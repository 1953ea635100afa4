"""When the next attempt starts."""

import hashlib
from dataclasses import dataclass

from modelfetch.api.fetch import Retry
from modelfetch.api.meta import parse_duration_s
from modelfetch.reasons import Backoff, Reason

WAIT_S = 30.0
"""Least seconds between tries of something that somebody else has to change; chosen by gut."""
CLOCKS_DIFFER_S = 60.0
"""Seconds by which the clocks of two machines are expected to differ. A time that is further ahead was written by
nobody of ours, and waited for it would be for years."""


@dataclass(frozen=True)
class Tally:
    """How attempts have gone wrong since the spec changed or somebody asked."""

    failures: int = 0
    """Failures that count against retry.limit."""
    disruptions: int = 0
    """Attempts in a row that ended through no fault of the fetch, with a delay that doubles nevertheless."""

    def after(self, retry: Retry, reason: Reason, lived_s: float) -> "Tally":
        """Return the tally after one more attempt, which lived for `lived_s` seconds, failed for `reason`.

        One that was left alone for maxDelay begins a row anew; but a node that ends every Pod at once must not be asked
        every few seconds for ever.
        """
        if counted(reason):
            return Tally(self.failures + 1)
        if reason.row.backoff is not Backoff.DISRUPTION:
            return self
        goes_on = lived_s < parse_duration_s(retry.max_delay)
        return Tally(self.failures, self.disruptions + 1 if goes_on else 1)


def delay_s(retry: Retry, reason: Reason, tally: Tally, seed: str) -> float:
    """Return seconds from the end of a failed attempt to the start of the next.

    `tally` has this failure in it. The delay doubles from initialDelay to maxDelay; up to a tenth is added by `seed`
    (uid and attempt), so that many fetches that failed together do not come back together, and that every look computes
    the same time.
    """
    initial, largest = parse_duration_s(retry.initial_delay), parse_duration_s(retry.max_delay)
    if reason.row.backoff is Backoff.WAIT:
        base = max(initial, min(WAIT_S, largest))
    else:
        times = tally.failures if counted(reason) else tally.disruptions
        base = min(largest, initial * 2.0 ** min(max(times, 1) - 1, 60))
    return base * (1.0 + _fraction(seed) / 10.0)


def wait_s(retry: Retry, waited_s: float) -> float:
    """Return seconds until the next try of what waits for somebody else, and has for `waited_s`: as long again.

    Ten thousand that wait for the same quota, each with a try and a status every half a minute, would take all of what
    the API server gives; nobody waits longer for an end of what kept it than that has lasted, nor than maxDelay.
    """
    return max(WAIT_S, min(waited_s, parse_duration_s(retry.max_delay)))


def is_exhausted(retry: Retry, failures: int) -> bool:
    """True when `failures` counted failures are more than retry.limit further attempts can follow."""
    return failures > retry.limit


def counted(reason: Reason) -> bool:
    """True when a failure for this reason counts against retry.limit."""
    return reason.row.backoff is Backoff.NORMAL


def _fraction(seed: str) -> float:
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big") / 2**32
