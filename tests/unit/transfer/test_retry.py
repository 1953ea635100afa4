"""Trying again: how long, how often, and when not."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.patience import NotYet
from modelfetch.transfer.retry import INITIAL_DELAY_S, MAX_DELAY_S, TRANSIENT, Retry, delay_s
from tests.fakes.transfer import Waits, retry


class Failing:
    """Raises `errors` one by one, then returns the number of calls."""

    def __init__(self, *errors: FetchError) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> int:
        """Fail or succeed."""
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.calls


def unavailable(retry_after_s: float | None = None) -> FetchError:
    """Return a transient error."""
    return FetchError(Reason.SOURCE_UNAVAILABLE, "down", retry_after_s=retry_after_s)


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_delay_doubles_up_to_its_bound(failures: int, chance: float) -> None:
    """A delay is a random part of 0.5 s doubled per failure, at most 30 s."""
    delay = delay_s(failures, None, chance)

    assert 0 <= delay <= min(MAX_DELAY_S, INITIAL_DELAY_S * 2 ** min(failures, 20))


@given(st.integers(0, 100), st.floats(0, 300), st.floats(0, 1, exclude_max=True))
def test_delay_honours_the_server(failures: int, asked_s: float, chance: float) -> None:
    """A delay is never shorter than the server asked for, and at most a second longer."""
    delay = delay_s(failures, asked_s, chance)

    assert asked_s <= delay <= asked_s + 1


def test_succeeds_after_failures() -> None:
    """A request that recovers within its retries succeeds."""
    result = retry(2).call(Failing(unavailable(), unavailable()))

    assert 3 == result


def test_gives_up_after_its_retries() -> None:
    """After the last retry the error itself is raised."""
    failing = Failing(*[unavailable()] * 9)
    with pytest.raises(FetchError):
        retry(2).call(failing)

    assert 3 == failing.calls


@pytest.mark.parametrize("reason", sorted(set(Reason) - TRANSIENT))
def test_does_not_repeat_what_cannot_change(reason: Reason) -> None:
    """A reason that another try cannot change ends the request at once."""
    failing = Failing(FetchError(reason, "no"))
    with pytest.raises(FetchError):
        retry(5).call(failing)

    assert 1 == failing.calls


def test_waits_as_long_as_asked() -> None:
    """Retry-After is waited for in full, jitter on top, in pieces short enough to notice an end."""
    waits = Waits()
    retry(1, waits).call(Failing(unavailable(7.0)))

    assert (7.5, True) == (sum(waits.seconds), max(waits.seconds) <= 0.5)


def test_does_not_wait_past_the_deadline() -> None:
    """Where the wait would pass the deadline, the error that caused it says why the fetch ends."""
    waits = Waits()
    stubborn = Retry(5, lambda: 1.0, waits, lambda: 100.0, deadline=103.0)
    with pytest.raises(FetchError) as caught:
        stubborn.call(Failing(FetchError(Reason.RATE_LIMITED, "slow down", retry_after_s=3.0)))

    assert (Reason.RATE_LIMITED, []) == (caught.value.reason, waits.seconds)


def test_a_stop_ends_the_wait() -> None:
    """A fetch that is stopped while it waits ends as Cancelled."""
    stop = threading.Event()
    stop.set()
    with pytest.raises(FetchError) as caught:
        retry(5, stop.wait).call(Failing(unavailable(300.0)))

    assert Reason.CANCELLED == caught.value.reason


def test_a_wait_ends_when_nobody_needs_it() -> None:
    """A wait ends without an error when others have given up meanwhile."""
    waits = Waits()
    retry(5, waits).pause(0, unavailable(300.0), lambda: len(waits.seconds) == 3)

    assert 3 == len(waits.seconds)


def test_a_wait_that_somebody_else_was_told_costs_no_try() -> None:
    """What was never sent has not failed: it is waited for and does not count."""
    early = [NotYet(Reason.RATE_LIMITED, "early", retry_after_s=5.0) for _ in range(3)]
    waits = Waits()
    attempt = Failing(*early, unavailable())

    assert 5 == retry(1, waits).call(attempt)
    assert 15 <= sum(waits.seconds) <= 20
