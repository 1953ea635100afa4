"""The number of connections, against links whose rate is known: shared, per connection, throttled."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.transfer.tuner import HOLD_S, Tuner, shares

TICK_S = 0.05
Link = Callable[[int], float]


class Run:
    """A tuner on a link that gives `rate(connections)` bytes per second; the machine takes at most `takes` of them."""

    def __init__(self, tuner: Tuner, link: Link, takes: float = 1e15) -> None:
        self.tuner, self.link, self.takes = tuner, link, takes
        self.now = self.received = self.held_s = 0.0
        self.seen = [tuner.wished]

    def last(self, seconds: float) -> "Run":
        """Let time pass."""
        until = self.now + seconds
        while self.now < until:
            wished, offered = self.tuner.wished, self.link(self.tuner.wished)
            self.received += min(self.takes, offered) * TICK_S
            self.held_s += max(0.0, 1 - self.takes / offered) * wished * TICK_S
            self.now += TICK_S
            self.seen.append(self.tuner.sample(self.now, int(self.received), wished, self.held_s))
        return self


def per_connection(rate: float, cap: float = 1e12) -> Link:
    """Return a link on which each connection gets `rate`, all together at most `cap`."""
    return lambda connections: min(connections * rate, cap)


def test_it_ramps_quickly_where_each_connection_has_a_share() -> None:
    """Sixteen connections are reached from one within two seconds."""

    assert 16 == Run(Tuner(16), per_connection(40e6)).last(2).tuner.wished


def test_a_full_link_keeps_one() -> None:
    """Where a second connection brings nothing, there is one again soon, and for most of the time."""
    run = Run(Tuner(16), lambda _connections: 80e6).last(HOLD_S)

    assert (1, 2) == (run.tuner.wished, max(run.seen))


def test_a_machine_that_is_slower_than_one_connection_has_one() -> None:
    """Where the connection waits for the hash or the disk a second one is not even tried."""
    assert {1} == set(Run(Tuner(16), per_connection(700e6), takes=500e6).last(2 * HOLD_S).seen)


def test_a_machine_that_takes_what_a_few_bring_has_a_few() -> None:
    """Connections are added until they wait, and no longer."""
    run = Run(Tuner(64), per_connection(40e6), takes=500e6).last(2 * HOLD_S)

    assert (16, 16) == (run.tuner.wished, max(run.seen))


def test_a_machine_that_gets_faster_soon_has_more() -> None:
    """When the connection waits no longer, more are tried within two seconds, not after a rest."""
    run = Run(Tuner(16), per_connection(100e6), takes=50e6).last(5)
    before, run.takes = run.tuner.wished, 1e15

    assert (1, 16) == (before, run.last(3).tuner.wished)


@pytest.mark.parametrize(("worth", "limit"), [(3, 16), (5, 16), (7, 8), (12, 16)])
def test_it_stays_near_what_fills_the_link(worth: int, limit: int) -> None:
    """After the ramp it holds what fills the link and less than twice that."""
    run = Run(Tuner(limit), per_connection(10e6, cap=worth * 10e6)).last(15)

    assert worth <= run.tuner.wished < 2 * worth


def test_a_link_that_gets_better_is_found_out() -> None:
    """On a plateau more is tried again after a while."""
    run = Run(Tuner(8), lambda _connections: 10e6).last(5)
    run.link = per_connection(10e6)

    assert 8 == run.last(3 * HOLD_S).tuner.wished


def test_it_steps_back_when_the_rate_collapses() -> None:
    """A link that breaks down under many connections is left with fewer."""
    run = Run(Tuner(16), per_connection(40e6)).last(3)
    run.link = lambda connections: 1e6 if connections > 6 else connections * 40e6

    assert run.last(8).tuner.wished <= 6


def test_steps_that_make_it_slower_are_taken_back() -> None:
    """Above six connections everything gets slower: it ends with no more than six, and tries no more than twelve."""
    run = Run(Tuner(64), lambda connections: connections * 50e6 if connections <= 6 else 1e6).last(9)

    assert (True, True) == (4 <= run.tuner.wished <= 6, max(run.seen) <= 12)


def test_refusals_halve_and_count_once() -> None:
    """Many refusals at the same time halve the number once; later ones halve it again, never below one."""
    tuner, seen = Tuner(16, start=16), []
    for second in (0, 0.1, 0.2, 10, 20, 30, 40):
        tuner.refused(second)
        seen.append(tuner.wished)

    assert [8, 8, 8, 4, 2, 1, 1] == seen


def test_new_connections_get_time_to_begin() -> None:
    """Nothing is judged before the new connections bring bytes, or had their time."""
    tuner = Tuner(4)
    for tick in range(10):
        tuner.sample(tick / 10, tick * 1000, 1)
    wished = tuner.wished
    for tick in range(10, 40):
        tuner.sample(tick / 10, tick * 1000, 1)

    assert (2, 2) == (wished, tuner.wished)


Samples = st.lists(
    st.tuples(st.floats(0, 3), st.integers(0, 10**9), st.integers(0, 70), st.floats(0, 9), st.booleans()), max_size=200
)


@given(st.integers(1, 64), st.integers(1, 64), Samples)
def test_it_never_wishes_for_more_than_asked(
    limit: int, start: int, samples: list[tuple[float, int, int, float, bool]]
) -> None:
    """Whatever is measured and refused, the number is between one and the limit."""
    tuner, now, received, waited = Tuner(limit, start), 0.0, 0, 0.0
    seen = [tuner.wished]
    for passed, came, flowing, held, is_refused in samples:
        now, received, waited = now + passed, received + came, waited + held
        if is_refused:
            tuner.refused(now)
        seen.append(tuner.sample(now, received, flowing, waited))

    assert (True, True) == (min(seen) >= 1, max(seen) <= limit)


@given(st.integers(1, 20), st.floats(1e3, 1e9), st.integers(1, 16))
def test_it_settles_at_what_pays(worth: int, rate: float, limit: int) -> None:
    """It comes to hold what pays by a tenth each at least, and at most twice what fills the link."""
    run = Run(Tuner(limit), per_connection(rate, cap=worth * rate)).last(12)
    pays = min(worth, 9, limit)

    assert pays <= run.tuner.wished <= min(limit, 2 * worth)


@given(st.integers(0, 80), st.lists(st.integers(1, 30), max_size=12))
def test_shares_use_what_there_is(wished: int, room: list[int]) -> None:
    """Every file has one connection, none more than it has room for, and none is left over that could be used."""
    given_ = shares(wished, room)
    used = sum(given_)

    assert (True, True, min(max(wished, len(room)), sum(room))) == (
        all(share >= 1 for share in given_),
        all(share <= most for share, most in zip(given_, room, strict=True)),
        used,
    )


@given(st.integers(0, 80), st.lists(st.integers(1, 30), max_size=12))
def test_shares_are_even(wished: int, room: list[int]) -> None:
    """A file has fewer than another only where it has no room for more, or by one."""
    given_ = shares(wished, room)
    open_ = [share for share, most in zip(given_, room, strict=True) if share < most]

    assert max(given_, default=0) - min(open_, default=max(given_, default=0)) <= 1
