"""One pass over one file, shared by the threads that receive it, the one that writes it and the one that hashes it.

Receivers claim segments in order and deliver pieces in any order; the writer puts each into the sink; the consumer
takes them in the file's order, from memory, or from the sink again where memory was needed otherwise. The first error
ends the pass for everybody.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from mmap import mmap
from threading import Condition

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.buffers import Buffers
from modelfetch.transfer.claims import Claims, Segment
from modelfetch.transfer.reader import Identity, RangeIgnored, Span
from modelfetch.transfer.restarts import Plan
from modelfetch.transfer.segments import SEGMENT_BYTES, Frontier
from modelfetch.transfer.sink import NOTHING, FileSink, Kept

LOOKAHEAD = 4
"""Buffers of a file beyond one for each receiver: one is written, one is hashed, and some wait in between. More of them
would only leave the processor's caches."""

WRITERS = 2
"""Threads that write one file: while one waits for the disk, the other takes the digest of the next segment. No more
pieces than these have, and one for each receiver, are on their way to the disk: a kill loses all of them."""

LOOK_S = 0.2
"""How often those who wait look whether the transfer was given up, or a segment takes too long."""


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
    """State of one pass. It begins with one receiver that is to come; lanes.py may let more `enter`."""

    def __init__(
        self,
        plan: Plan,
        buffers: Buffers,
        is_aborted: Callable[[], bool],
        file: Incoming,
        monotonic: Callable[[], float],
    ) -> None:
        self.buffers = buffers
        self.expected_size = file.size
        self.is_listed = file.size is not None
        """Whether the size was known before anything was asked for."""
        self.max_size = file.max_size
        self.identity: Identity | None = file.kept.identity if file.kept.segments else None
        self.web_page: str | None = None
        """Media type of what was served, where it is called a web page and the file is not."""
        self.flowing = 0
        """Receivers that bring bytes."""
        self.held_s = 0.0
        """How long receivers have waited for memory, all together."""
        self._plan = plan
        self._is_aborted = is_aborted
        self._sink = file.sink
        self._monotonic = monotonic
        self._claims = Claims(file.size, file.kept.segments)
        self._stored = set(file.kept.segments)
        """Starts of segments that stand in the sink and not in memory."""
        self._frontier = Frontier(file.kept.hashed)
        self._wanted = 1
        self._receivers = 1
        self._leaving = 0
        self._unwritten = 0
        self._lent = 0
        self._splits: bool | None = None
        """Whether parts are asked for; None while nobody knows whether the server serves them."""
        self._error: Exception | None = None
        self._sink_works = True
        self._changed = Condition()
        buffers.relieve_by(self._shed)

    @property
    def can_resume(self) -> bool:
        """Whether what was received can be kept when an answer ends early."""
        return self._plan.resume and self.identity is not None and self.identity.is_strong

    @property
    def is_over(self) -> bool:
        """Whether nothing more is wanted: somebody failed, or the whole transfer was given up."""
        return self._error is not None or self._is_aborted()

    def room(self) -> int:
        """Return how many receivers would have something to do."""
        with self._changed:
            is_open = self._splits if self._splits is not None else not self._claims.is_begun
            return max(1, min(self._plan.connections, self._claims.room(self._monotonic()))) if is_open else 1

    def is_late(self) -> bool:
        """Tell whether a connection more would be of use, whatever the others bring: one of them straggles."""
        with self._changed:
            return self._claims.is_late(self._monotonic())

    def want(self, connections: int) -> int:
        """From now on there shall be `connections` receivers; return how many have to be started, entered already."""
        with self._changed:
            self._wanted = connections
            present = self._receivers - self._leaving
            if not self._receivers or self._claims.is_done or self.is_over:
                return 0
            missing = max(0, connections - present)
            self._receivers += missing
            self._changed.notify_all()
            return missing

    def claim(self) -> Segment | None:
        """Return what to receive next, None for nothing: the receiver ends then.

        Waits until it is known what is served, for all but the first; and at the end, while a segment may still have to
        be taken over.
        """
        with self._changed:
            while not self.is_over and not self._claims.is_done and not self._is_surplus():
                segment = None if self._is_unknown() else self._claims.next(self._monotonic(), self._frontier.offset)
                if segment is not None:
                    self._splits = True if self._wanted > 1 else self._splits
                    return segment
                self._changed.wait(LOOK_S)
            self._leaving += 1
            return None

    def lend(self, is_over: Callable[[], bool]) -> memoryview | None:
        """Return an empty buffer, waiting for one while `is_over` is false; None when it became true."""
        began = self._monotonic()
        with self._changed:
            while self._is_behind():
                if is_over():
                    return None
                self._changed.wait(LOOK_S)
            self._lent += 1
        buffer = self.buffers.take(is_over)
        if buffer is None:
            self._returned()
        with self._changed:
            self.held_s += self._monotonic() - began
        return None if buffer is None else memoryview(buffer)

    def release(self, piece: memoryview) -> None:
        """The buffer of `piece`, which is nobody's any more, may be lent again."""
        buffer = piece.obj
        piece.release()
        assert isinstance(buffer, mmap)
        self.buffers.give(buffer)
        self._returned()

    def request_span(self, segment: Segment, position: int) -> Span:
        """Return what to ask for at `position` in a segment: its rest, or all that is missing where one receives."""
        with self._changed:
            end = segment.span.end if self._wanted > 1 and self._splits else self._claims.run_end(segment)
        return Span() if position == 0 and end == self.expected_size else Span(position, end)

    def begin(self, segment: Segment) -> None:
        """From now on the time counts that `segment` takes."""
        with self._changed:
            segment.since = self._monotonic() if segment.takers == 1 else segment.since

    def follow(self, segment: Segment) -> Segment | None:
        """Return the segment behind a delivered one, for the same request; None where others shall have it."""
        with self._changed:
            if self._wanted > 1 and self._splits:
                return None
            return self._claims.follow(segment, self._monotonic())

    def opened(self, identity: Identity) -> None:
        """Take what the server says it serves; raises SizeMismatch, SizeLimitExceeded, or RangeIgnored."""
        self.web_page = identity.web_page or self.web_page
        size, wanted = identity.size, self.expected_size
        if size is not None and wanted is not None and size != wanted:
            raise FetchError(Reason.SIZE_MISMATCH, f"expected {wanted} bytes, got an answer of {size}")
        if size is not None and self.max_size is not None and size > self.max_size:
            raise FetchError(Reason.SIZE_LIMIT_EXCEEDED, f"expected at most {self.max_size} bytes, got {size}")
        with self._changed:
            if self._splits and not identity.is_strong:
                raise RangeIgnored("nothing to tell versions apart by")
            self._splits = self._splits or (identity.is_strong and identity.serves_parts)
            if self.identity is None and wanted is None and size is not None:
                self._claims.learn(size)
                self.expected_size = size
            is_news = self.identity is None or not self.identity.is_strong
            if is_news:
                self.identity = identity
                self._sink.opened(identity)
            self._changed.notify_all()

    def win(self, segment: Segment) -> bool:
        """Return True for the first who has `segment` whole: it may be delivered. The others throw theirs away."""
        with self._changed:
            is_first = self._claims.win(segment, self._monotonic())
            self._changed.notify_all()
            return is_first

    def admit(self) -> None:
        """One more piece is going to be written."""
        with self._changed:
            self._unwritten += 1

    def write(self, start: int, piece: memoryview) -> None:
        """Put the bytes from `start` on, which were admitted, into the sink, then hand them on with their buffer.

        What was received whole is kept for the next run also where the pass has failed, unless the sink has.
        Raises what the sink does; the buffer is given back then.
        """
        try:
            if self._sink_works:
                self._sink.write_at(start, piece)
        except BaseException:
            self._sink_works = False
            self.release(piece)
            raise
        with self._changed:
            self._unwritten -= 1
            self._frontier.put(start, piece)
            self._changed.notify_all()
        if self.buffers.is_short:
            self._shed()

    def flow(self, receivers: int) -> None:
        """So many more receivers bring bytes."""
        with self._changed:
            self.flowing += receivers

    def fail(self, error: Exception) -> None:
        """End the pass with `error`, unless it has ended with another one."""
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()

    def leave(self, *, is_leaving: bool) -> None:
        """One receiver has ended; `is_leaving` where it had nothing to claim."""
        with self._changed:
            self._receivers -= 1
            self._leaving -= is_leaving
            self._changed.notify_all()

    def pieces(self) -> Iterator[memoryview]:
        """Yield all bytes in order as they come; raises the error of the pass. Buffers go back after each step."""
        while (piece := self._next_piece()) is not None:
            yield piece
            self.release(piece)

    def discard(self) -> None:
        """Pieces that nobody took give their buffers back; call it when no receiver runs any more."""
        self.buffers.forget(self._shed)
        for piece in self._frontier.drain():
            self.release(piece)

    def _is_behind(self) -> bool:
        """Tell whether the disk is behind, or the hash is and does not wait for bytes itself."""
        is_hash_behind = self._lent >= self._wanted + LOOKAHEAD and not self._frontier.has_gap
        return is_hash_behind or self._unwritten >= self._wanted + WRITERS

    def _is_surplus(self) -> bool:
        return self._receivers - self._leaving > self._wanted

    def _is_unknown(self) -> bool:
        return self._wanted > 1 and self._claims.is_begun and self.identity is None

    def _next_piece(self) -> memoryview | None:
        with self._changed:
            while (piece := self._frontier.pop()) is None:
                if self._error is not None:
                    raise self._error
                if self._stored_size():
                    break
                if not self._receivers and not self._unwritten:
                    return None
                self._changed.wait()
        return self._read_back() if piece is None else piece

    def _stored_size(self) -> int:
        """Return the bytes of the segment at the frontier where it stands in the sink only, else 0."""
        start = self._frontier.offset
        if start not in self._stored or self.expected_size is None:
            return 0
        return min(SEGMENT_BYTES, self.expected_size - start)

    def _read_back(self) -> memoryview:
        buffer = self.buffers.take(lambda: self.is_over)
        if buffer is None:
            raise self._error or FetchError(Reason.CANCELLED, "the fetch was stopped")
        with self._changed:
            self._lent += 1
            start, size = self._frontier.offset, self._stored_size()
            self._frontier.skip(size)
        piece = memoryview(buffer)[:size]
        self._sink.read_at(start, piece)
        return piece

    def _shed(self) -> bool:
        """Give back the buffer that is needed last of those that wait behind a gap."""
        with self._changed:
            last = self._frontier.pop_last() if self.expected_size is not None else None
            if last is None:
                return False
            self._stored.add(last[0])
        self.release(last[1])
        return True

    def _returned(self) -> None:
        with self._changed:
            self._lent -= 1
            self._changed.notify_all()
