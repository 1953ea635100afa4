"""Arithmetic of segments: properties over any size and any order."""

from hypothesis import given
from hypothesis import strategies as st

from modelfetch.transfer.segments import (
    Frontier,
    contiguous_bytes,
    is_segment,
    kept_bytes,
    missing_spans,
    segment_room,
    segment_spans,
)


@given(st.integers(0, 10_000), st.integers(1, 500))
def test_spans_cover_every_byte_once(size: int, segment_bytes: int) -> None:
    """The spans of a file are its bytes, in order, without gap or overlap."""
    covered = [offset for span in segment_spans(size, segment_bytes) for offset in range(span.start, span.end or 0)]

    assert list(range(size)) == covered


@given(st.integers(0, 10_000), st.integers(1, 500))
def test_no_span_is_too_long(size: int, segment_bytes: int) -> None:
    """A span fits into one buffer."""
    longest = max(((span.end or 0) - span.start for span in segment_spans(size, segment_bytes)), default=0)

    assert longest <= segment_bytes


@given(st.integers(0, 2**60), st.integers(1, 2**30))
def test_room_ends_with_the_segment(offset: int, segment_bytes: int) -> None:
    """Filling the room reaches the next boundary exactly, and there is always some."""
    room = segment_room(offset, segment_bytes)

    assert (True, 0) == (0 < room <= segment_bytes, (offset + room) % segment_bytes)


@given(st.binary(max_size=300), st.integers(1, 50), st.randoms(use_true_random=False))
def test_frontier_restores_the_order(content: bytes, step: int, random: object) -> None:
    """Pieces put in any order come out in the file's."""
    starts = list(range(0, len(content), step))
    random.shuffle(starts)  # type: ignore[attr-defined]
    frontier, out = Frontier(), b""
    for start in starts:
        frontier.put(start, memoryview(content)[start : start + step])
        while (piece := frontier.pop()) is not None:
            out += piece

    assert (content, len(content), []) == (out, frontier.offset, frontier.drain())


def test_frontier_waits_for_the_first_gap() -> None:
    """Nothing comes out while the piece at the frontier is missing; what waits can be taken back."""
    frontier = Frontier()
    frontier.put(4, memoryview(b"late"))

    assert (None, [b"late"]) == (frontier.pop(), [bytes(piece) for piece in frontier.drain()])


STEP = 7
kept_of = st.integers(0, 200).flatmap(
    lambda size: st.tuples(st.just(size), st.sets(st.sampled_from(range(0, max(1, size), STEP))).map(frozenset))
)


def covered(starts: frozenset[int], size: int) -> set[int]:
    """Return the offsets that the segments with these starts have."""
    return {offset for start in starts for offset in range(start, min(start + STEP, size))}


@given(kept_of)
def test_what_is_kept_and_what_is_missing_are_the_file(file: tuple[int, frozenset[int]]) -> None:
    """Each byte is either kept or asked for, and the counts say so; the gapless part ends at the first missing one."""
    size, kept = file
    missing = [offset for span in missing_spans(size, kept, STEP) for offset in range(span.start, span.end or 0)]

    assert list(range(size)) == sorted([*missing, *covered(kept, size)])
    assert size - len(missing) == kept_bytes(kept if size else frozenset(), size, STEP)
    assert (missing[0] if missing else size) == contiguous_bytes(kept, size, STEP)


@given(st.integers(-5, 300), st.integers(-5, 300), st.integers(0, 200))
def test_only_the_file_s_own_segments_are_some(start: int, length: int, size: int) -> None:
    """A record counts only where the file has exactly this segment."""
    own = {(span.start, (span.end or 0) - span.start) for span in segment_spans(size, STEP)}

    assert ((start, length) in own) == is_segment(start, length, size, STEP)


@given(st.integers(0, 5), st.integers(0, 5))
def test_a_frontier_can_begin_later_and_skip(before: int, skipped: int) -> None:
    """What was hashed before, and what is read back from the file, is passed over."""
    frontier = Frontier(before)
    frontier.put(before + skipped, memoryview(b"next"))
    frontier.skip(skipped)

    assert (memoryview(b"next"), before + skipped + 4) == (frontier.pop(), frontier.offset)
