"""The bound on bytes per second: arithmetic over any traffic, and what ends a wait."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.limiter import BURST_S, Bucket, Limiter

Traffic = st.lists(st.tuples(st.floats(0, 10), st.integers(0, 10**7)), max_size=100)


@given(st.integers(1, 10**8), Traffic)
def test_no_more_than_the_rate_passes(rate: int, traffic: list[tuple[float, int]]) -> None:
    """At the moment when bytes may pass, no more than the rate over all the time and one burst has passed."""
    bucket, now, passed, beyond = Bucket(rate, 0.0), 0.0, 0, []
    for pause, size in traffic:
        now += pause
        passes_at = now + bucket.reserve(size, now)
        passed += size
        beyond.append(passed - rate * (passes_at + BURST_S))

    assert max(beyond, default=0.0) <= 1e-6 * (passed + rate)


@given(st.integers(1, 10**8), Traffic)
def test_nobody_waits_without_need(rate: int, traffic: list[tuple[float, int]]) -> None:
    """Traffic slower than the rate never waits longer than its largest piece takes."""
    bucket, now, waits = Bucket(rate, 0.0), 0.0, [0.0]
    for pause, size in traffic:
        now += pause + size / rate
        waits.append(bucket.reserve(size, now))
    largest = max((size for _pause, size in traffic), default=0)

    assert max(waits) <= largest / rate + 1e-6 * now


class Hand:
    """A clock that waits turn; after `stop_after` waits the fetch is stopped."""

    def __init__(self, stop_after: int = 10**9) -> None:
        self.now, self.waits, self._stop_after = 0.0, 0, stop_after

    def monotonic(self) -> float:
        """Return the time."""
        return self.now

    def wait(self, seconds: float) -> bool:
        """Let `seconds` pass."""
        self.now += seconds
        self.waits += 1
        return self.waits >= self._stop_after


def test_it_holds_for_as_long_as_the_bytes_take() -> None:
    """A thousand bytes at a hundred a second take ten seconds, less the burst."""
    hand = Hand()
    Limiter(100, hand.monotonic, hand.wait).hold(1000)

    assert 10 - BURST_S == pytest.approx(hand.now)


def test_a_stop_ends_the_wait() -> None:
    """Cancelled, at the next look."""
    hand = Hand(stop_after=2)
    with pytest.raises(FetchError) as caught:
        Limiter(1, hand.monotonic, hand.wait).hold(1000)

    assert (Reason.CANCELLED, 2) == (caught.value.reason, hand.waits)


def test_the_deadline_ends_the_wait() -> None:
    """DeadlineExceeded, soon after the instant."""
    hand = Hand()
    with pytest.raises(FetchError) as caught:
        Limiter(1, hand.monotonic, hand.wait, deadline=3.0).hold(1000)

    assert (Reason.DEADLINE_EXCEEDED, True) == (caught.value.reason, 3 <= hand.now < 4)


def test_bytes_that_nobody_wants_are_not_held() -> None:
    """A transfer that was given up ends at once."""
    hand = Hand()
    Limiter(1, hand.monotonic, hand.wait).hold(1000, lambda: True)

    assert 0 == hand.waits
