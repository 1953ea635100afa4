"""What one connection does for a file: claim a segment, fill buffers from it, try again where it broke.

Comes before: reception.py, which says what is wanted. Comes after: the writer, which gets each buffer when it is full.
A connection that breaks loses nothing that it received. One that is overtaken by another throws away one segment.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.answers import Busy
from modelfetch.transfer.claims import Segment
from modelfetch.transfer.patience import NotYet
from modelfetch.transfer.reader import IsOver, Reader, Span
from modelfetch.transfer.reception import Reception
from modelfetch.transfer.restarts import Interrupted
from modelfetch.transfer.retry import TRANSIENT, Retry
from modelfetch.transfer.segments import segment_room

PROGRESS_BYTES = 64 * 1024
"""What a request must bring at least before it broke, for the failures before it to be forgotten (by gut)."""

FAILURES_LIMIT = 1000
"""Broken requests of one segment, progress or not."""

FREE_RESERVE_BYTES = 64 * 1024 * 1024
"""Left free on the volume by a file of unknown size."""


Write = Callable[[int, memoryview], None]
"""Takes the bytes from an offset on, with the buffer that they stand in."""


@dataclass(frozen=True)
class Target:
    """Where the bytes of one file come from and go to.

    `count` is told how many came and `drop` how many of them were thrown away, `hold` delays them to keep a bandwidth,
    `write` takes whole segments, `busy` is told when the server asks for fewer requests, `free_bytes` is asked where
    the size was not listed.
    """

    reader: Reader
    count: Callable[[int], None]
    drop: Callable[[int], None]
    write: Write
    hold: Callable[[int, IsOver], None]
    busy: Callable[[], None]
    free_bytes: Callable[[], int] | None


class _Abandoned(Exception):
    """Somebody else ended the pass."""


class _Overtaken(Exception):
    """Somebody else has the segment whole."""


class _HandedOn(Exception):
    """The rest of what was asked for is received by others."""


def receive(reception: Reception, target: Target, retry: Retry) -> None:
    """Receive segments until none is left; errors go to the reception, never to the caller."""
    receiver, is_leaving = _Receiver(reception, target, retry), False
    try:
        while (segment := reception.claim()) is not None:
            receiver.receive(segment)
        is_leaving = True
        if reception.is_over:
            raise _Abandoned
    except _Abandoned:
        reception.fail(FetchError(Reason.CANCELLED, "the fetch was stopped"))
    except Exception as error:  # noqa: BLE001 - raised again by the consumer of the pass
        reception.fail(error)
    finally:
        reception.flow(-receiver.is_flowing)
        reception.leave(is_leaving=is_leaving)


class _Receiver:
    """One connection's state over the segments that it receives."""

    def __init__(self, reception: Reception, target: Target, retry: Retry) -> None:
        self._reception = reception
        self._target = target
        self._retry = retry
        self.is_flowing = False

    def receive(self, segment: Segment) -> None:
        """The segment was delivered, by this one or another, and perhaps those behind it."""
        run = _Run(self._reception, self._target, segment)
        try:
            self._receive_run(run)
        except _HandedOn:
            return
        except _Overtaken:
            self._target.drop(run.wasted)
        finally:
            run.close()

    def _receive_run(self, run: "_Run") -> None:
        failures = 0
        for _ in range(FAILURES_LIMIT):
            before = run.position
            try:
                self._read(run)
                return run.finish()
            except FetchError as error:
                if run.is_unwanted():
                    run.raise_unwanted()
                if isinstance(error, Busy):
                    self._target.busy()
                if error.reason not in TRANSIENT:
                    raise
                if run.is_whole:
                    # Broken after the last byte: there is nothing left to ask for.
                    return run.finish()
                if run.position > 0 and not self._reception.can_resume:
                    raise Interrupted(error) from error
                failures = 1 if run.position - before >= PROGRESS_BYTES else failures + (not isinstance(error, NotYet))
                if failures > self._retry.retries:
                    raise
                self._retry.pause(max(0, failures - 1), error, run.is_unwanted)
                if run.is_unwanted():
                    run.raise_unwanted()
        raise FetchError(Reason.SOURCE_UNAVAILABLE, f"expected a whole answer, got {FAILURES_LIMIT} broken ones")

    def _read(self, run: "_Run") -> None:
        reception = self._reception
        expected = reception.identity if reception.can_resume else None
        self._target.reader.read(
            run.request(), lambda data: self._take(run, data), expected, reception.opened, run.is_unwanted
        )

    def _take(self, run: "_Run", data: memoryview) -> None:
        if not self.is_flowing:
            self.is_flowing = True
            self._reception.flow(1)
        run.take(data)


class _Run:
    """The bytes of one segment, and of those behind it, on their way into buffers; each full one is delivered."""

    def __init__(self, reception: Reception, target: Target, segment: Segment) -> None:
        self.position = segment.span.start
        """Offset in the file up to which bytes arrived."""
        self._reception = reception
        self._target = target
        self._segment = segment
        self._end = reception.expected_size
        self._begin = segment.span.start
        self._has_won = False
        self._room: memoryview | None = None

    @property
    def is_whole(self) -> bool:
        """Whether all bytes of a known number, at least one, have arrived."""
        return self._end is not None and 0 < self.position == self._end

    @property
    def wasted(self) -> int:
        """Bytes of the current segment that arrived here."""
        return self.position - self._begin

    def is_unwanted(self) -> bool:
        """Tell whether somebody else has the segment, or nobody wants the file."""
        return (self._segment.is_won and not self._has_won) or self._reception.is_over

    def raise_unwanted(self) -> NoReturn:
        """End it as it deserves."""
        raise _Abandoned if self._reception.is_over else _Overtaken

    def request(self) -> Span:
        """Return what to ask for now; its first buffer is there already: callbacks of small files must not wait."""
        self._current_room()
        span = self._reception.request_span(self._segment, self.position)
        self._end = self._reception.expected_size if span == Span() else span.end
        return span

    def take(self, data: memoryview) -> None:
        """Copy `data` into the current buffer; the Sink that the reader calls."""
        if self.is_unwanted():
            self.raise_unwanted()
        if self._end is None:
            # Learnt from the answer, perhaps.
            self._end = self._reception.expected_size
        self._check_bounds(self.position + len(data))
        self._target.hold(len(data), self.is_unwanted)
        while data:
            size = min(len(data), segment_room(self.position))
            offset = self.position - self._begin
            if not offset:
                self._check_space()
            self._current_room()[offset : offset + size] = data[:size]
            self.position += size
            self._target.count(size)
            data = data[size:]
            if segment_room(self.position) == segment_room(0):
                self._end_segment()

    def finish(self) -> None:
        """What is left in the buffer is delivered; raises FetchError(SizeMismatch) where bytes are missing."""
        if self._end is not None and self.position < self._end:
            raise FetchError(Reason.SIZE_MISMATCH, f"expected {self._end} bytes, got {self.position}")
        if not self._has_won:
            self._win()
        if self.position > self._begin:
            self._deliver()

    def close(self) -> None:
        """A buffer that was not delivered is given back."""
        room, self._room = self._room, None
        if room is not None:
            self._reception.release(room)

    def _current_room(self) -> memoryview:
        if self._room is None:
            self._room = self._reception.lend(self.is_unwanted)
            if self._room is None:
                self.raise_unwanted()
            self._reception.begin(self._segment)
        return self._room

    def _end_segment(self) -> None:
        has_end = self._segment.span.end is not None
        if has_end:
            self._win()
        self._deliver()
        if not has_end or self.position == self._end:
            return
        following = self._reception.follow(self._segment)
        if following is None:
            raise _HandedOn
        self._segment, self._has_won = following, False

    def _win(self) -> None:
        if not self._reception.win(self._segment):
            raise _Overtaken
        self._has_won = True

    def _deliver(self) -> None:
        assert self._room is not None
        piece, self._room = self._room[: self.position - self._begin], None
        start, self._begin = self._begin, self.position
        self._target.write(start, piece)

    def _check_bounds(self, end: int) -> None:
        if self._end is not None and end > self._end:
            raise FetchError(Reason.SIZE_MISMATCH, f"expected {self._end} bytes, got more")
        limit = self._reception.max_size
        if limit is not None and end > limit:
            raise FetchError(Reason.SIZE_LIMIT_EXCEEDED, f"expected at most {limit} bytes, got more")

    def _check_space(self) -> None:
        free = self._target.free_bytes
        if not self._reception.is_listed and free is not None and free() < FREE_RESERVE_BYTES:
            raise FetchError(
                Reason.INSUFFICIENT_STORAGE,
                f"expected at least {FREE_RESERVE_BYTES} bytes free while receiving a file of unknown size",
            )
