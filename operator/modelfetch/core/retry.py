"""When the next attempt starts."""

import hashlib

from modelfetch.api.fetch import Retry
from modelfetch.api.meta import parse_duration_s
from modelfetch.reasons import Backoff, Reason

WAIT_S = 30.0
"""Seconds between looks at something that somebody else has to change; chosen by gut."""
CLOCKS_DIFFER_S = 60.0
"""Seconds by which the clocks of two machines are expected to differ. A time that is further ahead was written by
nobody of ours, and waited for it would be for years."""


def delay_s(retry: Retry, reason: Reason, times: int, seed: str) -> float:
    """Return seconds from the end of a failed attempt to the start of the next.

    `times` says how often that has happened, this time included. The delay doubles from initialDelay to maxDelay; up to
    a tenth is added by `seed` (uid and attempt), so that many fetches that failed together do not come back together,
    and that every look computes the same time.
    """
    initial, largest = parse_duration_s(retry.initial_delay), parse_duration_s(retry.max_delay)
    if reason.row.backoff is Backoff.WAIT:
        base = max(initial, min(WAIT_S, largest))
    else:
        base = min(largest, initial * 2.0 ** min(max(times, 1) - 1, 60))
    return base * (1.0 + _fraction(seed) / 10.0)


def disruptions(retry: Retry, uncounted: int, lived_s: float) -> int:
    """Return how often the delay after a disruption has to double, after `uncounted` attempts that were not counted.

    They are no fault of the fetch, so one that was left alone for maxDelay begins anew; but a node that ends every Pod
    at once must not be asked every few seconds for ever.
    """
    return 1 if lived_s >= parse_duration_s(retry.max_delay) else uncounted


def is_exhausted(retry: Retry, failures: int) -> bool:
    """True when `failures` counted failures are more than retry.limit further attempts can follow."""
    return failures > retry.limit


def counted(reason: Reason) -> bool:
    """True when a failure for this reason counts against retry.limit."""
    return reason.row.backoff is Backoff.NORMAL


def _fraction(seed: str) -> float:
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big") / 2**32
