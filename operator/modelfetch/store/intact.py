"""Which segments of a file still are what was written down: read again, several at once.

Comes in: a way to read, lengths and BLAKE3 by segment. Goes out: those that are as they were, in order.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from modelfetch.errors import FetchError
from modelfetch.hashing import blake3_digest
from modelfetch.pages import pages
from modelfetch.transfer.segments import SEGMENT_BYTES

READERS = 4
"""Segments that are read at once: a disk is quicker so, and each may be hashed on a processor of its own."""

ReadAt = Callable[[int, memoryview], int]
"""Fills memory from an offset and returns how many bytes there were."""

Segments = Mapping[int, tuple[int, bytes]]
"""Length and BLAKE3 of segments, by their starts."""

_Found = Future[memoryview | None]


def intact(read_at: ReadAt, segments: Segments, check: Callable[[], None]) -> Iterator[tuple[int, memoryview]]:
    """Yield start and bytes of each segment that has its digest, in order; the bytes are valid until the next one.

    What cannot be read is left out. `check` is called for each segment; what it raises is raised.
    """
    rooms = deque(memoryview(pages(SEGMENT_BYTES)) for _ in range(READERS))
    under_way: deque[tuple[int, memoryview, _Found]] = deque()
    with ThreadPoolExecutor(READERS, thread_name_prefix="intact") as readers:
        for start, (length, digest) in sorted(segments.items()):
            check()
            room = rooms.popleft()
            under_way.append((start, room, readers.submit(_read, read_at, start, room[:length], digest)))
            if not rooms:
                yield from _next(under_way, rooms)
        while under_way:
            yield from _next(under_way, rooms)


def _next(
    under_way: deque[tuple[int, memoryview, _Found]], rooms: deque[memoryview]
) -> Iterator[tuple[int, memoryview]]:
    start, room, found = under_way.popleft()
    data = found.result()
    if data is not None:
        yield start, data
    rooms.append(room)


def _read(read_at: ReadAt, start: int, room: memoryview, digest: bytes) -> memoryview | None:
    try:
        return room if read_at(start, room) == len(room) and blake3_digest(room) == digest else None
    except FetchError:
        return None
