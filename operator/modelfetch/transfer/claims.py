"""Which segments of a file are to be received, by whom, and which of them take too long. Pure; times are handed in.

Comes before: reception.py, which adds threads and memory. Each segment goes to one connection; a straggling one goes to
a second one too, and the first of them to have it whole wins.
"""

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from statistics import median

from modelfetch.transfer.reader import Span
from modelfetch.transfer.segments import SEGMENT_BYTES

STRAGGLING = 2.0
"""A segment that takes this many times as long as the others do straggles."""

STRAGGLING_S = 1.0
"""No segment straggles before this time, however quick the others were."""

REMEMBERED = 31
"""Segments whose times make up what is usual."""


@dataclass(eq=False)
class Segment:
    """A segment under way: `takers` connections receive it, one of them first since `since`."""

    span: Span
    since: float
    takers: int = 1
    is_won: bool = False


class Claims:
    """The segments of one file; `size` None is one segment without an end. `kept` are the starts of those in place."""

    def __init__(
        self, size: int | None, kept: frozenset[int] = frozenset(), segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self._size = size
        self._kept = sorted(kept)
        self._segment_bytes = segment_bytes
        self._fresh = 0
        """Everything before it is kept, claimed or won."""
        self._under_way: dict[int, Segment] = {}
        self._times: deque[float] = deque(maxlen=REMEMBERED)
        self._begun = False
        self._skip_kept()

    @property
    def is_begun(self) -> bool:
        """Whether anything was claimed yet."""
        return self._begun

    @property
    def is_done(self) -> bool:
        """Whether there is nothing left to receive."""
        return not self._under_way and not self._has_fresh()

    def learn(self, size: int) -> None:
        """The file, of which the one segment without an end is under way and nothing has come yet, has `size` bytes."""
        [segment] = self._under_way.values()
        segment.span = Span(0, min(self._segment_bytes, size))
        self._size, self._fresh = size, min(self._segment_bytes, size)

    def room(self, now: float) -> int:
        """Return how many connections could receive something: a segment each, and one more for what straggles."""
        if not self._size:
            return 1
        fresh = -(-(self._size - min(self._fresh, self._size)) // self._segment_bytes)
        kept = len(self._kept) - bisect_left(self._kept, self._fresh)
        return fresh - kept + len(self._under_way) + self.is_late(now)

    def is_late(self, now: float) -> bool:
        """Tell whether a segment straggles, by what others took, and waits for a second connection."""
        return bool(self._times) and any(self._straggles(segment, now) for segment in self._under_way.values())

    def next(self, now: float, head: int) -> Segment | None:
        """Return what to receive next, None for nothing now: a straggler at `head`, the next in order, any straggler.

        `head` is where everybody waits for bytes: the hash has come so far.
        """
        blocking = self._under_way.get(head)
        if blocking is not None and self._straggles(blocking, now):
            return self._rescue(blocking)
        if self._has_fresh():
            return self._take(now)
        late = [segment for segment in self._under_way.values() if self._straggles(segment, now)]
        return self._rescue(min(late, key=lambda segment: segment.since)) if late else None

    def follow(self, segment: Segment, now: float) -> Segment | None:
        """Return the segment right behind a won one, where it is still to be received."""
        is_next = segment.span.end is not None and segment.span.end == self._fresh
        return self._take(now) if is_next and self._has_fresh() else None

    def win(self, segment: Segment, now: float) -> bool:
        """Return True for the first of those who have `segment` whole; the others throw theirs away."""
        if segment.is_won:
            return False
        segment.is_won = True
        del self._under_way[segment.span.start]
        self._times.append(now - segment.since)
        return True

    def run_end(self, segment: Segment) -> int | None:
        """Return where the missing bytes from `segment` on end; None where the file's end is not known."""
        later = bisect_left(self._kept, segment.span.start)
        return self._kept[later] if later < len(self._kept) else self._size

    def _has_fresh(self) -> bool:
        # A file of no bytes, or of nobody knows how many, is one segment.
        return self._fresh < self._size if self._size else not self._begun

    def _take(self, now: float) -> Segment:
        self._begun = True
        start, size = self._fresh, self._size
        span = Span(start) if size is None else Span(start, min(start + self._segment_bytes, size))
        self._fresh = start if span.end is None else span.end
        self._skip_kept()
        segment = self._under_way[start] = Segment(span, now)
        return segment

    def _skip_kept(self) -> None:
        at = bisect_left(self._kept, self._fresh)
        while at < len(self._kept) and self._kept[at] == self._fresh:
            self._fresh += self._segment_bytes
            at += 1

    def _rescue(self, segment: Segment) -> Segment:
        segment.takers += 1
        return segment

    def _straggles(self, segment: Segment, now: float) -> bool:
        usual = STRAGGLING * median(self._times) if self._times else STRAGGLING_S
        return segment.takers == 1 and segment.span.end is not None and now - segment.since > max(STRAGGLING_S, usual)
