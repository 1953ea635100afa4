"""Where the engine's bytes land: private files of the store, made when their first byte comes, committed when verified.

Comes in: planned files, an ingest. Goes out: `Landing`s: sinks for the engine, blobs at the end. A plan of
ten thousand files holds only those open that are in transfer.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from threading import Lock

from modelfetch.errors import FetchError
from modelfetch.fetcher.plan import PlannedFile
from modelfetch.reasons import Reason
from modelfetch.store.blobs import Blob
from modelfetch.store.ingest import Ingest
from modelfetch.store.journal import Settled
from modelfetch.store.partial import RecordedPartial
from modelfetch.store.store import Store
from modelfetch.store.sums import write_sums
from modelfetch.transfer.engine import Moved
from modelfetch.transfer.reader import Identity
from modelfetch.transfer.sink import NOTHING, Kept


class Allowance:
    """Bytes that files of unlisted size may still take together; `limit` None means no bound. Safe to share."""

    def __init__(self, limit: int | None, listed_bytes: int) -> None:
        self._limit = limit
        self._taken = listed_bytes
        self._lock = Lock()

    def take(self, size: int) -> None:
        """Count `size` more bytes; raises FetchError(SizeLimitExceeded)."""
        with self._lock:
            self._taken += size
            if self._limit is not None and self._taken > self._limit:
                raise FetchError(
                    Reason.SIZE_LIMIT_EXCEEDED,
                    f"expected at most {self._limit} bytes in all (limits.maxTotalSize), the files have more",
                )


@dataclass(frozen=True)
class Berth:
    """What all files of an attempt share: the private folder, the allowance, and who is told of written bytes."""

    ingest: Ingest
    allowance: Allowance
    wrote: Callable[[int], None]
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def number(self) -> int:
        """Return a number for a private file that no other file of this attempt has."""
        return next(self._numbers)


@dataclass
class Landing:
    """One file on its way into the store; a `FileSink` of the engine. `partial` holds what an earlier attempt left."""

    file: PlannedFile
    number: int
    key: str
    berth: Berth
    partial: RecordedPartial | None = None
    _end: int = 0
    _lock: Lock = field(default_factory=Lock)

    def kept(self, check: Callable[[], None]) -> Kept:
        """Return what an earlier attempt left and what this one has, read again.

        Nothing where neither a digest nor the server could tell that it belongs to another version.
        """
        if self.partial is None:
            return NOTHING
        kept, size = self.partial.kept(check), self.partial.size_bytes
        has_digest = self.file.sha256 or self.file.git_blob
        is_told_apart = has_digest or kept.identity.is_strong
        if not kept.segments or not is_told_apart or self.file.size not in (None, kept.identity.size):
            self.truncate(0)
            return NOTHING
        self._grow(kept.identity.size or 0)
        return kept if has_digest or size != kept.identity.size else _all_but_the_last(kept)

    def opened(self, identity: Identity) -> None:
        """What is written from now on belongs to this version."""
        self._opened().opened(identity)

    def write_at(self, offset: int, data: memoryview) -> None:
        """All of `data` stands at `offset`; raises FetchError as the volume or the allowance says."""
        self._grow(offset + len(data))
        self._opened().write_segment(offset, data)
        self.berth.wrote(len(data))

    def read_at(self, offset: int, room: memoryview) -> None:
        """Fill `room` with the bytes at `offset`."""
        self._opened().read_segment(offset, room)

    def hashed(self, size: int, state: bytes | None) -> None:
        """The first `size` bytes went through the hash."""
        self._opened().hashed(size, state)

    def truncate(self, size: int) -> None:
        """The file is `size` bytes long, and nothing of an earlier attempt is relied on."""
        with self._lock:
            shrunk, self._end = self._end - size, size
        if self.file.size is None:
            self.berth.allowance.take(-shrunk)
        opened = self._opened()
        opened.forget()
        opened.partial.truncate(size)

    def commit(self, store: Store, moved: Moved) -> Blob:
        """Publish the verified content under its digest and return it; the private file is gone then."""
        opened, ingest = self._opened(), self.berth.ingest
        digests = opened.digests(moved.size)
        blob = store.blobs.commit(ingest, opened.partial, moved.sha256, moved.size)
        ingest.journal.append([Settled(self.key)])
        self.partial = None  # with what it knows of each segment
        if digests is not None:
            write_sums(ingest, moved.sha256, moved.size, digests)
        if self.file.git_blob is not None:
            store.blobs.remember_git_blob(ingest, self.file.git_blob, blob)
        return blob

    def _grow(self, end: int) -> None:
        with self._lock:
            grown, self._end = max(0, end - self._end), max(end, self._end)
        if self.file.size is None and grown:
            self.berth.allowance.take(grown)

    def _opened(self) -> RecordedPartial:
        with self._lock:
            if self.partial is None:
                self.partial = self.berth.ingest.receive(self.number, self.key)
            return self.partial


def _all_but_the_last(kept: Kept) -> Kept:
    """Return what leaves one segment to ask for: where no digest tells, the server says whether it is the version."""
    last = max(kept.segments)
    segments = kept.segments - {last}
    return Kept(segments, kept.identity) if kept.hashed > last else replace(kept, segments=segments)
