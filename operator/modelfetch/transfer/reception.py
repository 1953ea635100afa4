"""One pass over one file, shared by the threads that receive it and the one that hashes it.

Receivers claim spans in order and put pieces in any order; the consumer takes the pieces in the file's order. The first
error ends the pass for everybody.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Condition

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.buffers import Buffers
from modelfetch.transfer.reader import Identity, RangeIgnored, Span
from modelfetch.transfer.restarts import Plan
from modelfetch.transfer.segments import SEGMENT_BYTES, Frontier, joined, missing_spans
from modelfetch.transfer.sink import NOTHING, FileSink, Kept


@dataclass(frozen=True)
class Incoming:
    """The file of a pass: where it goes, what of it is there already, and how much there may be.

    `size` is None when unknown; `max_size` bounds the file in any case.
    """

    sink: FileSink
    size: int | None = None
    max_size: int | None = None
    kept: Kept = NOTHING


class Reception:
    """State of one pass."""

    def __init__(self, plan: Plan, buffers: Buffers, is_aborted: Callable[[], bool], file: Incoming) -> None:
        self.buffers = buffers
        self.expected_size = file.size
        self.max_size = file.max_size
        self.identity: Identity | None = file.kept.identity if file.kept.segments else None
        self.web_page: str | None = None
        """Media type of what was served, where it is called a web page and the file is not."""
        self._plan = plan
        self._is_aborted = is_aborted
        self._sink = file.sink
        self._kept = file.kept.segments
        self._spans = self._plan_spans()
        self._claimed = 0
        self._frontier = Frontier(file.kept.hashed)
        self._reading = bytearray()
        """For a segment that is read back; made when first needed."""
        self._receivers = self.connections
        self._error: Exception | None = None
        self._changed = Condition()

    @property
    def connections(self) -> int:
        """How many receivers have something to do."""
        if self.expected_size is None:
            return 1
        missing = -(-self.expected_size // SEGMENT_BYTES) - len(self._kept)
        return max(1, min(self._plan.connections, missing))

    def _plan_spans(self) -> Iterator[Span]:
        if self.expected_size is None or (self.connections == 1 and not self._kept):
            return iter([Span()])
        missing = missing_spans(self.expected_size, self._kept)
        return joined(missing) if self.connections == 1 else missing

    @property
    def can_resume(self) -> bool:
        """Whether what was received can be kept when an answer ends early."""
        return self._plan.resume and self.identity is not None and self.identity.is_strong

    @property
    def is_over(self) -> bool:
        """Whether nothing more is wanted: somebody failed, or the whole transfer was given up."""
        return self._error is not None or self._is_aborted()

    def claim(self) -> Span | None:
        """Return the next span, None for no more; all but the first wait until it is known what is served."""
        with self._changed:
            while self._claimed and self.identity is None and not self.is_over and self.connections > 1:
                self._changed.wait(0.2)
            if self.is_over:
                return None
            self._claimed += 1
            return next(self._spans, None)

    def opened(self, identity: Identity) -> None:
        """Take what the server says it serves; raises SizeMismatch, SizeLimitExceeded, or RangeIgnored."""
        self.web_page = identity.web_page or self.web_page
        size, wanted = identity.size, self.expected_size
        if size is not None and wanted is not None and size != wanted:
            raise FetchError(Reason.SIZE_MISMATCH, f"expected {wanted} bytes, got an answer of {size}")
        if size is not None and self.max_size is not None and size > self.max_size:
            raise FetchError(Reason.SIZE_LIMIT_EXCEEDED, f"expected at most {self.max_size} bytes, got {size}")
        if self.connections > 1 and not identity.is_strong:
            raise RangeIgnored("nothing to tell versions apart by")
        with self._changed:
            if self.identity is None or not self.identity.is_strong:
                self.identity = identity
                self._sink.opened(identity)
            self._changed.notify_all()

    def put(self, start: int, piece: memoryview) -> None:
        """Hand the bytes from `start` on to the consumer, with the buffer they stand in."""
        with self._changed:
            self._frontier.put(start, piece)
            self._changed.notify_all()

    def fail(self, error: Exception) -> None:
        """End the pass with `error`, unless it has ended with another one."""
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()

    def leave(self) -> None:
        """One receiver has ended."""
        with self._changed:
            self._receivers -= 1
            self._changed.notify_all()

    def pieces(self) -> Iterator[memoryview]:
        """Yield all bytes in order as they come; raises the error of the pass. Buffers go back after each step."""
        while (piece := self._next_piece()) is not None:
            yield piece
            self._release(piece)

    def _next_piece(self) -> memoryview | None:
        if (size := self._kept_size()) > 0:
            return self._read_back(size)
        with self._changed:
            while (piece := self._frontier.pop()) is None:
                if self._error is not None:
                    raise self._error
                if self._receivers == 0:
                    return None
                self._changed.wait()
            return piece

    def _kept_size(self) -> int:
        """Return the bytes of the segment at the frontier where it was kept, else 0."""
        start = self._frontier.offset
        if start not in self._kept or self.expected_size is None:
            return 0
        return min(SEGMENT_BYTES, self.expected_size - start)

    def _read_back(self, size: int) -> memoryview:
        if self.is_over:
            raise self._error or FetchError(Reason.CANCELLED, "the fetch was stopped")
        self._reading = self._reading or bytearray(SEGMENT_BYTES)
        piece = memoryview(self._reading)[:size]
        self._sink.read_at(self._frontier.offset, piece)
        self._frontier.skip(size)
        return piece

    def discard(self) -> None:
        """Pieces that nobody took give their buffers back; call it when no receiver runs any more."""
        for piece in self._frontier.drain():
            self._release(piece)

    def _release(self, piece: memoryview) -> None:
        buffer = piece.obj
        piece.release()
        assert isinstance(buffer, bytearray)
        if buffer is not self._reading:
            self.buffers.give(buffer)
