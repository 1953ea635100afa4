"""One pass over a file without any network: what is kept in memory, what is read back, who may come and go."""

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.buffers import Buffers
from modelfetch.transfer.claims import Segment
from modelfetch.transfer.reader import Identity, Span
from modelfetch.transfer.reception import Incoming, Reception
from modelfetch.transfer.restarts import Plan
from modelfetch.transfer.segments import SEGMENT_BYTES
from tests.fakes.transfer import MemorySink

CONTENT = random.Random(7).randbytes(3 * SEGMENT_BYTES + 100)
V1 = Identity(etag='"v1"', size=len(CONTENT), serves_parts=True)


def reception(buffers: int = 8, connections: int = 4, sink: MemorySink | None = None) -> Reception:
    """Return a pass over CONTENT."""
    incoming = Incoming(sink or MemorySink(), len(CONTENT))
    return Reception(Plan(connections), Buffers(buffers, SEGMENT_BYTES), lambda: False, incoming, lambda: 0.0)


def claimed(of: Reception, count: int) -> list[Segment]:
    """Return the next segments."""
    found = [of.claim() for _ in range(count)]
    return [segment for segment in found if segment is not None]


def bring(to: Reception, segment: Segment) -> None:
    """Deliver the bytes of a segment."""
    room = to.lend(lambda: False)
    assert room is not None
    start, end = segment.span.start, segment.span.end
    assert end is not None
    room[: end - start] = CONTENT[start:end]
    assert to.win(segment)
    to.admit()
    to.write(start, room[: end - start])


@pytest.mark.parametrize("buffers", [1, 2, 3, 8])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2), (1, 2, 3, 0)])
def test_few_buffers_are_enough_for_any_order(buffers: int, order: tuple[int, ...]) -> None:
    """Pieces behind a gap give their buffers to those who need one, and are read from the sink again."""
    here = reception(buffers)
    segments = claimed(here, 4)
    with ThreadPoolExecutor(1) as pool:
        consumed = pool.submit(lambda: b"".join(map(bytes, here.pieces())))
        for number in order:
            bring(here, segments[number])
        here.leave(is_leaving=False)

    assert consumed.result() == CONTENT


@pytest.mark.parametrize(
    ("identity", "room"),
    [(V1, 4), (replace(V1, serves_parts=False), 1), (replace(V1, etag=None), 1)],
    ids=["parts", "no parts", "nothing to tell versions apart by"],
)
def test_only_what_can_be_divided_gets_more_connections(identity: Identity, room: int) -> None:
    """Once a single request is under way, there is room for more only where the server said that it serves parts."""
    here = reception()
    claimed(here, 1)
    before = here.room()
    here.opened(identity)

    assert (1, room) == (before, here.room())


def test_a_run_ends_when_more_are_wanted() -> None:
    """One receiver goes on from segment to segment, until others shall have them."""
    here = reception()
    [first] = claimed(here, 1)
    here.opened(V1)
    asked = here.request_span(first, 0)
    here.win(first)
    second = here.follow(first)
    assert second is not None
    entered = here.want(3)

    assert (Span(), 2, None, Span(SEGMENT_BYTES, 2 * SEGMENT_BYTES)) == (
        asked,
        entered,
        here.follow(second),
        here.request_span(second, SEGMENT_BYTES),
    )


def test_receivers_wait_for_the_disk() -> None:
    """What a kill would lose is bounded: one receiver gets no buffer while three pieces wait to be written."""
    here = reception()
    [first, second, third, _] = claimed(here, 4)
    rooms = [here.lend(lambda: False) for _ in (first, second, third)]
    for _ in rooms:
        here.admit()
    before = here.lend(lambda: True)
    here.write(second.span.start, rooms[1] or memoryview(b""))
    after = here.lend(lambda: True)

    assert (None, True) == (before, after is not None)


def test_those_who_are_too_many_leave() -> None:
    """After a step back one receiver after the other finds nothing to claim, but the last one."""
    here = reception()
    entered = here.want(3)
    here.opened(V1)
    claimed(here, 3)
    here.want(1)

    assert (2, None, None, True) == (entered, here.claim(), here.claim(), here.claim() is not None)


def test_nobody_enters_when_all_is_done() -> None:
    """There is nothing to start a receiver for once everything was received."""
    here = reception()
    here.opened(V1)
    for segment in claimed(here, 4):
        here.win(segment)

    assert (0, None) == (here.want(4), here.claim())


def test_an_error_ends_it_for_all() -> None:
    """Receivers get nothing more to do, and the consumer gets the error."""
    here = reception()
    here.fail(FetchError(Reason.STORAGE_IO_ERROR, "disk says no"))
    with pytest.raises(FetchError) as caught:
        next(here.pieces())

    assert (Reason.STORAGE_IO_ERROR, None) == (caught.value.reason, here.claim())


def test_what_was_received_whole_is_kept_after_an_error() -> None:
    """A piece that is on its way to the sink when the pass fails is written all the same: the next run has it."""
    sink = MemorySink()
    here = reception(sink=sink)
    [first] = claimed(here, 1)
    here.fail(FetchError(Reason.SOURCE_UNAVAILABLE, "the source is gone"))
    bring(here, first)

    assert sink.content == CONTENT[:SEGMENT_BYTES]


def test_a_sink_that_failed_is_left_alone() -> None:
    """After an error of the sink nothing more is written."""
    sink = MemorySink(FetchError(Reason.STORAGE_IO_ERROR, "disk says no"))
    here = reception(sink=sink)
    first, second = claimed(here, 2)
    with pytest.raises(FetchError):
        bring(here, first)
    sink.failure = None
    bring(here, second)

    assert sink.content == b""


def test_a_buffer_that_could_not_be_written_is_given_back() -> None:
    """An error of the sink costs no buffer: other files need them."""
    here = reception(buffers=1, sink=MemorySink(FetchError(Reason.STORAGE_IO_ERROR, "disk says no")))
    [first] = claimed(here, 1)
    with pytest.raises(FetchError):
        bring(here, first)

    assert here.buffers.take(lambda: True) is not None
