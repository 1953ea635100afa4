"""What one connection does for a file: claim a span, fill buffers from it, try again where it broke.

Comes before: reception.py, which says what is wanted. Comes after: the sink, which gets each buffer when it is full,
and reception.py again, which gets it for the hash. A connection that breaks loses nothing that it received.
"""

from collections.abc import Callable
from dataclasses import dataclass

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.reader import Reader, Span
from modelfetch.transfer.reception import Reception
from modelfetch.transfer.restarts import Interrupted
from modelfetch.transfer.retry import TRANSIENT, Retry
from modelfetch.transfer.segments import segment_room
from modelfetch.transfer.sink import FileSink

PROGRESS_BYTES = 64 * 1024
"""What a request must bring at least before it broke, for the failures before it to be forgotten (by gut)."""

FAILURES_LIMIT = 1000
"""Broken requests of one span, progress or not."""

FREE_RESERVE_BYTES = 64 * 1024 * 1024
"""Left free on the volume by a file of unknown size."""


@dataclass(frozen=True)
class Target:
    """Where the bytes of one file go and who counts them; `free_bytes` is asked where the size is unknown."""

    reader: Reader
    sink: FileSink
    count: Callable[[int], None]
    free_bytes: Callable[[], int] | None


class _Abandoned(Exception):
    """Somebody else ended the pass."""


def receive(reception: Reception, target: Target, retry: Retry) -> None:
    """Receive spans until none is left; errors go to the reception, never to the caller."""
    try:
        while _receive_next(reception, target, retry):
            pass
    except _Abandoned:
        reception.fail(FetchError(Reason.CANCELLED, "the fetch was stopped"))
    except Exception as error:  # noqa: BLE001 - raised again by the consumer of the pass
        reception.fail(error)
    finally:
        reception.leave()


def _receive_next(reception: Reception, target: Target, retry: Retry) -> bool:
    # A buffer before a claim: whoever has the first open span can always go on, so nobody waits in a circle.
    buffer = reception.buffers.take(lambda: reception.is_over)
    span = reception.claim() if buffer is not None else None
    run = _Run(reception, target, span or Span(), buffer)
    try:
        if reception.is_over:
            raise _Abandoned
        if span is not None:
            _receive_span(run, reception, target.reader, retry)
        return span is not None
    finally:
        run.close()


def _receive_span(run: "_Run", reception: Reception, reader: Reader, retry: Retry) -> None:
    failures = 0
    for _ in range(FAILURES_LIMIT):
        before = run.position
        expected = reception.identity if reception.can_resume else None
        try:
            reader.read(Span(run.position, run.span.end), run.take, expected, reception.opened)
            return run.finish()
        except FetchError as error:
            if error.reason not in TRANSIENT:
                raise
            if run.is_whole:
                # Broken after the last byte: there is nothing left to ask for.
                return run.finish()
            if run.position > 0 and not reception.can_resume:
                raise Interrupted(error) from error
            failures = 1 if run.position - before >= PROGRESS_BYTES else failures + 1
            if failures > retry.retries:
                raise
            retry.pause(failures - 1, error, lambda: reception.is_over)
    raise FetchError(Reason.SOURCE_UNAVAILABLE, f"expected a whole answer, got {FAILURES_LIMIT} broken ones")


class _Run:
    """The bytes of one span on their way into buffers; each full one goes to the sink, then to the reception."""

    def __init__(self, reception: Reception, target: Target, span: Span, buffer: bytearray | None) -> None:
        self.span = span
        self.position = span.start
        """Offset in the file up to which bytes arrived."""
        self._reception = reception
        self._target = target
        self._end = span.end if span.end is not None else reception.expected_size
        self._buffer = buffer
        # Assigning to a slice of a bytearray copies twice, to one of a view once.
        self._room = memoryview(buffer if buffer is not None else b"")
        self._begin = span.start

    @property
    def is_whole(self) -> bool:
        """Whether all bytes of a known number, at least one, have arrived."""
        return self._end is not None and self.span.start < self.position == self._end

    def take(self, data: memoryview) -> None:
        """Copy `data` into the current buffers; the Sink that the reader calls."""
        if self._reception.is_over:
            raise _Abandoned
        self._check_bounds(self.position + len(data))
        self._target.count(len(data))
        while data:
            size = min(len(data), segment_room(self.position))
            offset = self.position - self._begin
            self._current_room()[offset : offset + size] = data[:size]
            self.position += size
            data = data[size:]
            if segment_room(self.position) == segment_room(0):
                self._flush()

    def finish(self) -> None:
        """What is left in the buffer is handed on; raises FetchError(SizeMismatch) where bytes are missing."""
        if self._end is not None and self.position < self._end:
            raise FetchError(Reason.SIZE_MISMATCH, f"expected {self._end} bytes, got {self.position}")
        if self.position > self._begin:
            self._flush()

    def close(self) -> None:
        """A buffer that was not handed on is given back."""
        if self._buffer is not None:
            self._reception.buffers.give(self._buffer)
            self._buffer = None

    def _current_room(self) -> memoryview:
        if self._buffer is None:
            self._buffer = self._reception.buffers.take(lambda: self._reception.is_over)
            if self._buffer is None:
                raise _Abandoned
            self._room = memoryview(self._buffer)
        return self._room

    def _flush(self) -> None:
        piece = self._room[: self.position - self._begin]
        self._target.sink.write_at(self._begin, piece)
        self._buffer = None
        self._reception.put(self._begin, piece)
        self._begin = self.position

    def _check_bounds(self, end: int) -> None:
        if self._end is not None and end > self._end:
            raise FetchError(Reason.SIZE_MISMATCH, f"expected {self._end} bytes, got more")
        limit = self._reception.max_size
        if limit is not None and end > limit:
            raise FetchError(Reason.SIZE_LIMIT_EXCEEDED, f"expected at most {limit} bytes, got more")
        free = self._target.free_bytes
        at_segment = self.position == self._begin
        if self._reception.expected_size is None and free is not None and at_segment and free() < FREE_RESERVE_BYTES:
            raise FetchError(
                Reason.INSUFFICIENT_STORAGE,
                f"expected at least {FREE_RESERVE_BYTES} bytes free while receiving a file of unknown size",
            )
