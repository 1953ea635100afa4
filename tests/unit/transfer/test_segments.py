"""Arithmetic of segments: properties over any size and any order."""

from hypothesis import given
from hypothesis import strategies as st

from modelfetch.transfer.segments import Frontier, segment_room, segment_spans


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
