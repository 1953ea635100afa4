"""Files of several segments put into the private folders of attempts, as a fetch that was killed leaves them."""

import random
from collections.abc import Iterable
from pathlib import Path

from modelfetch.hashing import blake3_digest
from modelfetch.resumable_sha256 import resumable_sha256, saved_state
from modelfetch.store import layout
from modelfetch.store.attempts import Neighbour, neighbour
from modelfetch.store.ingest import Ingest
from modelfetch.store.journal import Head, Record, encode
from modelfetch.store.partial import RecordedPartial
from modelfetch.store.processes import Process
from modelfetch.store.store import Store
from modelfetch.transfer.reader import Identity
from modelfetch.transfer.segments import SEGMENT_BYTES

CONTENT = random.Random(4).randbytes(2 * SEGMENT_BYTES + 1000)
FIRST, SECOND, THIRD = 0, SEGMENT_BYTES, 2 * SEGMENT_BYTES
ALL = (FIRST, SECOND, THIRD)
V1 = Identity('"v1"', None, len(CONTENT))
DIGESTS = tuple(blake3_digest(CONTENT[start : start + SEGMENT_BYTES]) for start in ALL)

ELSEWHERE = Process("another boot", "pid:[1]", 7, 99)
"""A process of which nobody here can tell whether it has ended."""
ENDED = Process(Process.current().boot, Process.current().namespace, 1, 1)
"""One that has ended: the process with its number began at another time."""


def segment(start: int) -> memoryview:
    return memoryview(CONTENT)[start : start + SEGMENT_BYTES]


def state_after(size: int) -> bytes:
    """Return the state of a SHA-256 over the first bytes of the content."""
    hasher = resumable_sha256()
    hasher.update(CONTENT[:size])
    state = saved_state(hasher)
    assert state is not None
    return state


def receive(ingest: Ingest, starts: Iterable[int], number: int = 0, hashed: int = 0) -> RecordedPartial:
    """Write segments of the content as the engine does."""
    partial = ingest.receive(number, "k")
    partial.opened(V1)
    for start in starts:
        partial.write_segment(start, segment(start))
    if hashed:
        partial.hashed(hashed, state_after(hashed))
    return partial


def leave(store: Store, attempt: str, starts: Iterable[int], process: Process = ELSEWHERE, hashed: int = 0) -> Path:
    """Leave the folder of an attempt that was killed in `process`, and return its name below the store."""
    folder = layout.ingest(attempt, "0000")
    store.volume.make_folder(folder, 0o700, step="s")
    context = store.ingest("writer")
    with context as ingest:
        receive(ingest, starts, hashed=hashed)
        ingest.checkpoint()
        for name in store.volume.names(ingest.folder):
            store.volume.rename((*ingest.folder, name), (*folder, name), step="s")
    whose(store, folder, Head(attempt, "", process))
    return Path(*folder)


def whose(store: Store, folder: layout.Steps, head: Head) -> None:
    """Write another head into a journal."""
    data = store.volume.read(layout.journal(folder), 1 << 20) or b""
    plant(store, folder, encode([head]) + data[data.index(b"\n") + 1 :])


def plant(store: Store, folder: layout.Steps, journal: bytes | Iterable[Record]) -> None:
    """Put a journal into a folder."""
    data = journal if isinstance(journal, bytes) else encode(journal)
    store.volume.put(data, (*folder, "new-journal"), layout.journal(folder), step="s")


def looked_up(store: Store, folder: layout.Steps) -> Neighbour:
    found = neighbour(store.volume, folder, store.volume.clock_s(layout.INGEST))
    assert found is not None
    return found
