"""Segments that are read again: those that are as they were, in order, and nothing else."""

import random
import threading

import pytest

from modelfetch.errors import FetchError
from modelfetch.hashing import blake3_digest
from modelfetch.reasons import Reason
from modelfetch.store.intact import READERS, Segments, intact

STEP = 1000
CONTENT = random.Random(1).randbytes(20 * STEP + 7)
STARTS = list(range(0, len(CONTENT), STEP))


def recorded() -> Segments:
    """Return what was written down of the content."""
    return {
        start: (len(CONTENT[start : start + STEP]), blake3_digest(CONTENT[start : start + STEP])) for start in STARTS
    }


def read_at(offset: int, room: memoryview) -> int:
    """Fill `room` as a good file would."""
    data = CONTENT[offset : offset + len(room)]
    room[: len(data)] = data
    return len(data)


def nothing() -> None:
    """Nobody stops it."""


def test_all_come_in_order() -> None:
    """A file that nobody touched is whole, with its last, shorter segment."""
    assert CONTENT == b"".join(bytes(data) for _start, data in intact(read_at, recorded(), nothing))


@pytest.mark.parametrize("harm", ["changed", "cut", "unreadable"])
def test_what_is_not_as_it_was_is_left_out(harm: str) -> None:
    """Of three segments with harm done to them nothing comes, and all others do."""
    harmed = {0, 7 * STEP, STARTS[-1]}

    def harmed_at(offset: int, room: memoryview) -> int:
        count = read_at(offset, room)
        if offset in harmed:
            if harm == "unreadable":
                raise FetchError(Reason.STORAGE_IO_ERROR, "expected bytes, got an error")
            room[0] ^= 1 if harm == "changed" else 0
        return count - (harm == "cut" and offset in harmed)

    found = [start for start, _data in intact(harmed_at, recorded(), nothing)]

    assert [start for start in STARTS if start not in harmed] == found


def test_several_are_read_at_once() -> None:
    """As many readers as there may be meet each other."""
    meeting = threading.Barrier(READERS, timeout=30)

    def meeting_at(offset: int, room: memoryview) -> int:
        if offset < READERS * STEP:
            meeting.wait()
        return read_at(offset, room)

    assert STARTS == [start for start, _data in intact(meeting_at, recorded(), nothing)]


def test_it_can_be_stopped() -> None:
    """What `check` raises is raised, and no reader is left."""
    checks = iter(range(READERS + 3))

    def check() -> None:
        if next(checks) == READERS + 2:
            raise FetchError(Reason.CANCELLED, "the fetch was stopped")

    with pytest.raises(FetchError) as caught:
        list(intact(read_at, recorded(), check))

    left = [thread for thread in threading.enumerate() if thread.name.startswith("intact")]
    assert (Reason.CANCELLED, []) == (caught.value.reason, left)
