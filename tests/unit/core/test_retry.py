"""When the next attempt starts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.api.fetch import Retry
from modelfetch.core.retry import Tally, counted, delay_s, is_exhausted, wait_s
from modelfetch.reasons import TABLE, Backoff, Reason

RETRY = Retry(limit=5, initial_delay="5s", max_delay="5m")


@pytest.mark.parametrize(("failures", "least"), [(1, 5), (2, 10), (3, 20), (4, 40), (7, 300), (50, 300), (10_000, 300)])
def test_the_delay_doubles_up_to_the_largest(failures, least):
    """5 s, 10 s, 20 s … up to 5 min, with at most a tenth on top."""
    delay = delay_s(RETRY, Reason.SOURCE_UNAVAILABLE, Tally(failures), "seed")

    assert least <= delay <= least * 1.1


@pytest.mark.parametrize(
    ("before", "lived_s", "least"), [(0, 0, 5), (1, 10, 10), (4, 299, 80), (99, 0, 300), (4, 300, 5), (99, 9e4, 5)]
)
def test_disruptions_in_quick_succession_wait_longer(before, lived_s, least):
    """A node that ends every Pod is asked less and less; an attempt that ran for five minutes begins anew."""
    tally = Tally(failures=3, disruptions=before).after(RETRY, Reason.EVICTED, lived_s)
    delay = delay_s(RETRY, Reason.EVICTED, tally, "seed")

    assert least <= delay <= least * 1.1


@pytest.mark.parametrize("reason", list(Reason))
def test_a_tally_is_of_failures_in_all_and_disruptions_in_a_row(reason):
    """A failure that counts ends a row of disruptions; what waits, or is not tried again, leaves the tally alone."""
    expected = {Backoff.NORMAL: Tally(3, 0), Backoff.DISRUPTION: Tally(2, 8)}

    assert expected.get(TABLE[reason].backoff, Tally(2, 7)) == Tally(2, 7).after(RETRY, reason, 1.0)


@given(st.text(), st.integers(1, 100))
def test_the_same_attempt_has_the_same_delay(seed, failures):
    """The delay is a function of uid and attempt: every look computes the same time."""
    one, two = (delay_s(RETRY, Reason.RATE_LIMITED, Tally(failures), seed) for _ in range(2))

    assert one == two


def test_fetches_that_failed_together_do_not_come_back_together():
    """A hundred uids get a hundred different delays."""
    assert 100 == len({delay_s(RETRY, Reason.RATE_LIMITED, Tally(1), str(n)) for n in range(100)})


@pytest.mark.parametrize("reason", list(Reason))
def test_only_the_sources_own_failures_are_counted(reason):
    """Disruptions and waits spend no try; terminal reasons need no count."""
    assert (TABLE[reason].backoff is Backoff.NORMAL) == counted(reason)


@pytest.mark.parametrize(
    ("limit", "failures", "exhausted"), [(0, 1, True), (5, 5, False), (5, 6, True), (100, 6, False)]
)
def test_the_limit_counts_attempts_after_the_first(limit, failures, exhausted):
    """retry.limit further attempts follow the first failure, not one more."""
    assert exhausted == is_exhausted(Retry(limit=limit), failures)


@pytest.mark.parametrize(("waited_s", "wait"), [(0, 30), (29, 30), (31, 31), (200, 200), (9e4, 300)])
def test_what_waits_for_somebody_waits_as_long_again_at_most(waited_s, wait):
    """Half a minute at first, and never longer than maxDelay."""
    assert wait == wait_s(RETRY, waited_s)


@pytest.mark.parametrize("largest", ["0s", "1ms", "29s"])
def test_whoever_wants_no_delay_does_not_ask_the_api_server_all_the_time(largest):
    """A maxDelay of no time is for the source, not for what somebody has to change in the cluster."""
    assert [30, 30] == [wait_s(Retry(initial_delay=largest, max_delay=largest), waited_s) for waited_s in (0, 9e4)]
