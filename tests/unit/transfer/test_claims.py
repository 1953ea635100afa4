"""Who receives which segment: properties over any order of claims, and the rules for stragglers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.transfer.claims import STRAGGLING_S, Claims, Segment
from modelfetch.transfer.reader import Span

STEP = 10


def starts_of(size: int) -> list[int]:
    """Return where the segments of `size` bytes begin."""
    return list(range(0, size, STEP))


@given(st.integers(1, 300), st.data())
def test_every_missing_segment_is_won_once(size: int, data: st.DataObject) -> None:
    """However claims, takeovers and endings mix, each segment that was not kept is won once, no other."""
    kept = data.draw(st.frozensets(st.sampled_from(starts_of(size))))
    claims, now, under_way, won = Claims(size, kept, STEP), 0.0, list[Segment](), list[int]()
    while not claims.is_done:
        now += data.draw(st.floats(0, 3))
        segment = claims.next(now, head=0) if data.draw(st.booleans()) or not under_way else None
        if segment is not None:
            under_way.append(segment)
        elif under_way:
            ended = under_way.pop(data.draw(st.integers(0, len(under_way) - 1)))
            won += [ended.span.start] if claims.win(ended, now) else []

    assert sorted(set(starts_of(size)) - kept) == sorted(won)


@given(st.integers(0, 300), st.data())
def test_room_counts_what_is_left(size: int, data: st.DataObject) -> None:
    """The room of a file is the number of its missing segments, one at least for one without bytes."""
    kept = data.draw(st.frozensets(st.sampled_from(starts_of(size)))) if size else frozenset()

    assert (len(set(starts_of(size)) - kept) if size else 1) == Claims(size, kept, STEP).room(0)


@pytest.mark.parametrize("size", [None, 0])
def test_what_has_no_segments_is_claimed_once(size: int | None) -> None:
    """A file without bytes, or of unknown size, is asked for once."""
    claims = Claims(size)
    first, second = claims.next(0, 0), claims.next(0, 0)

    assert (Span(0, size), None) == (first and first.span, second)


def test_a_run_goes_on_until_what_is_kept() -> None:
    """One connection takes segment after segment; its request ends where kept bytes begin."""
    claims = Claims(50, frozenset({30}), STEP)
    first = claims.next(0, 0)
    assert first is not None
    end, second = claims.run_end(first), claims.follow(first, 0)
    third = second and claims.follow(second, 0)

    assert (30, Span(10, 20), Span(20, 30), None) == (
        end,
        second and second.span,
        third and third.span,
        third and claims.follow(third, 0),
    )


def test_a_run_ends_where_somebody_else_goes_on() -> None:
    """A segment that another connection has is not followed into."""
    claims = Claims(50, frozenset(), STEP)
    first, _other = claims.next(0, 0), claims.next(0, 0)

    assert first is not None
    assert claims.follow(first, 0) is None


def test_a_straggler_at_the_head_is_taken_over_first() -> None:
    """What everybody waits for goes before what nobody has begun; once."""
    claims = Claims(50, frozenset(), STEP)
    slow = claims.next(0, 0)
    late = STRAGGLING_S + 0.1

    assert (slow, Span(10, 20)) == (claims.next(late, 0), (after := claims.next(late, 0)) and after.span)


def test_a_straggler_elsewhere_is_taken_over_at_the_end() -> None:
    """As long as there is something new, a slow segment that blocks nobody is left alone."""
    claims = Claims(30, frozenset(), STEP)
    first, slow = claims.next(0, 0), claims.next(0, 0)
    assert first is not None
    assert slow is not None
    claims.win(first, 0.1)
    last, rescue = claims.next(9, head=0), claims.next(9, head=0)

    assert (Span(20, 30), slow, 2) == (last and last.span, rescue, slow.takers)


def test_usual_times_are_no_straggling() -> None:
    """Where every segment takes long, the same time again is not too long, and more than twice is."""
    claims = Claims(50, frozenset(), STEP)
    for number in range(3):
        segment = claims.next(number * 10, 0)
        assert segment is not None
        claims.win(segment, number * 10 + 10)
    slow, _last = claims.next(30, head=30), claims.next(30, head=30)

    assert (None, slow) == (claims.next(49, head=30), claims.next(51, head=30))


def test_there_is_room_for_somebody_to_take_over() -> None:
    """A straggler is late, and makes room for a connection more, once others show that it is and until one comes."""
    claims = Claims(20, frozenset(), STEP)
    first, slow = claims.next(0, 0), claims.next(0, 0)
    assert first is not None
    late = STRAGGLING_S + 0.1
    unknown = claims.is_late(late), claims.room(late)
    claims.win(first, 0.1)
    seen = claims.is_late(0.2), claims.room(0.2), claims.is_late(late), claims.room(late)

    assert ((False, 2), (False, 1, True, 2)) == (unknown, seen)
    assert (slow, False, 1) == (claims.next(late, 10), claims.is_late(late), claims.room(late))


def test_the_first_wins() -> None:
    """Of two who have a segment whole, the second throws it away."""
    claims = Claims(10, frozenset(), STEP)
    segment = claims.next(0, 0)
    assert segment is not None

    assert (True, False) == (claims.win(segment, 1), claims.win(segment, 1))


def test_a_size_that_is_learnt_makes_segments() -> None:
    """Once the answer said how large the file is, what is under way ends with its segment, and there are more."""
    claims = Claims(None, segment_bytes=STEP)
    first = claims.next(0, 0)
    assert first is not None
    claims.learn(25)

    assert (3, Span(0, STEP), 25, Span(STEP, 2 * STEP)) == (
        claims.room(0),
        first.span,
        claims.run_end(first),
        (after := claims.follow(first, 0)) and after.span,
    )
