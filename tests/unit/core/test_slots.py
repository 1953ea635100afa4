"""Who may run now."""

from hypothesis import given
from hypothesis import strategies as st

from modelfetch.core.slots import Claimant, grant, next_in_line

CLAIMANTS = st.lists(
    st.builds(
        Claimant,
        created_at=st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", "2026-01-02T00:00:00Z"]),
        uid=st.uuids().map(str),
        claim=st.sampled_from(["active", "waiting", "none"]),
        priority=st.sampled_from([-1, 0, 0, 1000]),
    ),
    unique_by=lambda claimant: claimant.uid,
    max_size=30,
)


@given(CLAIMANTS, st.integers(1, 10))
def test_slots_are_never_exceeded(claimants, slots):
    """However many decide at the same moment from the same claims, no more start than there are free slots."""
    running = sum(c.claim == "active" for c in claimants)
    started = [c for c in claimants if c.claim == "waiting" and grant(slots, claimants, c).granted]

    assert len(started) <= max(slots - running, 0)


@given(CLAIMANTS, st.integers(1, 10))
def test_free_slots_are_used(claimants, slots):
    """As many waiters start as slots are free: nobody waits beside a free slot."""
    running = sum(c.claim == "active" for c in claimants)
    waiting = [c for c in claimants if c.claim == "waiting"]
    started = [c for c in waiting if grant(slots, claimants, c).granted]

    assert len(started) == min(len(waiting), max(slots - running, 0))


@given(CLAIMANTS, st.integers(1, 10))
def test_those_in_line_are_those_that_are_granted(claimants, slots):
    """Whoever is woken finds a slot, and whoever would find one is woken."""
    granted = {c.uid for c in claimants if c.claim == "waiting" and grant(slots, claimants, c).granted}

    assert granted == {c.uid for c in next_in_line(slots, claimants)}


@given(CLAIMANTS)
def test_positions_count_from_one_without_gaps(claimants):
    """The positions of all waiters are 1, 2, 3, …: by priority, and of equal ones in the order in which they came."""
    waiting = sorted((c for c in claimants if c.claim == "waiting"), key=lambda c: (-c.priority, c.created_at, c.uid))

    assert list(range(1, len(waiting) + 1)) == [grant(1, claimants, c).position for c in waiting]


def test_a_higher_priority_goes_before_an_older_fetch():
    """It takes the next slot that is free, and stops nobody who runs."""
    runs = Claimant("2026-01-01T00:00:00Z", "runs", "active", priority=-1000)
    older = Claimant("2026-01-01T00:00:01Z", "older")
    urgent = Claimant("2026-01-02T00:00:00Z", "urgent", priority=1)
    claimants = [runs, older, urgent]

    assert [False, False] == [grant(1, claimants, one).granted for one in (older, urgent)]
    assert [2, 1] == [grant(1, claimants, one).position for one in (older, urgent)]
    assert [urgent] == next_in_line(2, claimants)
