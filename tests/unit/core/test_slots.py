"""Who may run now."""

from hypothesis import given
from hypothesis import strategies as st

from modelfetch.core.slots import Claimant, Line, namespace_grants

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


def line_of(claimants):
    """Return the line of these."""
    line = Line()
    for claimant in claimants:
        line.set(claimant)
    return line


@given(CLAIMANTS, st.integers(1, 10))
def test_slots_are_never_exceeded(claimants, slots):
    """However many decide at the same moment from the same claims, no more start than there are free slots."""
    line, running = line_of(claimants), sum(c.claim == "active" for c in claimants)
    started = [c for c in claimants if c.claim == "waiting" and line.grant(slots, c).granted]

    assert len(started) <= max(slots - running, 0)


@given(CLAIMANTS, st.integers(1, 10))
def test_free_slots_are_used(claimants, slots):
    """As many waiters start as slots are free: nobody waits beside a free slot."""
    line, running = line_of(claimants), sum(c.claim == "active" for c in claimants)
    waiting = [c for c in claimants if c.claim == "waiting"]
    started = [c for c in waiting if line.grant(slots, c).granted]

    assert len(started) == min(len(waiting), max(slots - running, 0))


@given(CLAIMANTS, st.integers(1, 10))
def test_those_in_line_are_those_that_are_granted(claimants, slots):
    """Whoever is woken finds a slot, and whoever would find one is woken."""
    line = line_of(claimants)
    granted = {c.uid for c in claimants if c.claim == "waiting" and line.grant(slots, c).granted}

    assert granted == set(line.next(slots))


@given(CLAIMANTS)
def test_positions_count_from_one_without_gaps(claimants):
    """The positions of all waiters are 1, 2, 3, …: by priority, and of equal ones in the order in which they came."""
    waiting = sorted((c for c in claimants if c.claim == "waiting"), key=lambda c: (-c.priority, c.created_at, c.uid))

    assert list(range(1, len(waiting) + 1)) == [line_of(claimants).grant(1, c).position for c in waiting]


def test_a_higher_priority_goes_before_an_older_fetch():
    """It takes the next slot that is free, and stops nobody who runs."""
    runs = Claimant("2026-01-01T00:00:00Z", "runs", "active", priority=-1000)
    older = Claimant("2026-01-01T00:00:01Z", "older")
    urgent = Claimant("2026-01-02T00:00:00Z", "urgent", priority=1)
    line = line_of([runs, older, urgent])

    assert [False, False] == [line.grant(1, one).granted for one in (older, urgent)]
    assert [2, 1] == [line.grant(1, one).position for one in (older, urgent)]
    assert ["urgent"] == line.next(2)


@given(st.lists(st.tuples(CLAIMANTS, st.booleans()), max_size=4), st.integers(1, 10))
def test_a_line_that_changed_is_one_that_was_made_anew(steps, slots):
    """Whatever came, went or has another priority since: what is asked is answered as by those who are there now."""
    line, now = Line(), {}
    for claimants, leave in steps:
        for claimant in claimants:
            changed = Claimant(claimant.created_at, claimant.uid[0], claimant.claim, claimant.priority)
            now.pop(changed.uid, None)
            line.drop(changed.uid) if leave else line.set(changed)
            now |= {} if leave else {changed.uid: changed}
    fresh = line_of(now.values())
    everybody = [Claimant("2026-01-01T00:00:01Z", uid) for uid in "0123456789abcdef"]

    assert (fresh.next(slots), fresh.running, fresh.waiting) == (line.next(slots), line.running, line.waiting)
    assert [fresh.grant(slots, one) for one in everybody] == [line.grant(slots, one) for one in everybody]


def eligible(claimants, line, slots):
    """Return those whom their own store would let start."""
    return [c for c in claimants if c.claim == "waiting" and line.grant(slots, c).granted]


@given(st.lists(st.tuples(CLAIMANTS, st.integers(1, 4)), min_size=1, max_size=3), st.integers(1, 6))
def test_a_namespace_runs_as_many_as_it_may(stores, limit):
    """All decide at the same moment: no slot too many is taken, none is left free, and the first in turn take them."""
    lines = [(line_of(claimants), slots) for claimants, slots in stores]
    free = limit - sum(line.running for line, _ in lines)
    could = [c for (some, _), own in zip(stores, lines, strict=True) for c in eligible(some, *own)]
    started = {c.uid for c in could if namespace_grants(limit, lines, c)}

    assert {c.uid for c in sorted(could, key=lambda c: c.turn)[: max(free, 0)]} == started


def test_who_waits_for_a_full_store_is_in_nobodys_way():
    """The namespace has a slot free, and the older one could not use it."""
    full = line_of([Claimant("2026-01-01T00:00:00Z", "runs", "active"), Claimant("2026-01-01T00:00:01Z", "older")])
    me = Claimant("2026-01-02T00:00:00Z", "me")

    assert namespace_grants(2, [(full, 1), (line_of([me]), 1)], me)
    assert not namespace_grants(1, [(full, 1), (line_of([me]), 1)], me)
