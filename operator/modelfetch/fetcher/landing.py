"""Where the engine's bytes land: private files of the store, made when their first byte comes, committed when verified.

Comes in: planned files, an ingest. Goes out: `Landing`s: sinks for the engine, blobs at the end. A plan of
ten thousand files holds only those open that are in transfer.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from modelfetch.errors import FetchError
from modelfetch.fetcher.plan import PlannedFile
from modelfetch.reasons import Reason
from modelfetch.store.blobs import Blob
from modelfetch.store.ingest import Ingest, Partial
from modelfetch.store.store import Store
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
    """What all files of an attempt share: the private folder and the allowance."""

    ingest: Ingest
    allowance: Allowance
    _lock: Lock = field(default_factory=Lock)

    def create(self, name: str) -> Partial:
        """Return a new private file; safe from several threads."""
        with self._lock:
            return self.ingest.create(name)


@dataclass
class Landing:
    """One file on its way into the store; a `FileSink` of the engine."""

    file: PlannedFile
    number: int
    berth: Berth
    _partial: Partial | None = None
    _end: int = 0
    _lock: Lock = field(default_factory=Lock)

    def write_at(self, offset: int, data: memoryview) -> None:
        """All of `data` stands at `offset`; raises FetchError as the volume or the allowance says."""
        end = offset + len(data)
        with self._lock:
            grown, self._end = max(0, end - self._end), max(end, self._end)
        if self.file.size is None and grown:
            self.berth.allowance.take(grown)
        self._opened().write_at(offset, data)

    def kept(self, check: Callable[[], None]) -> Kept:
        """Return what an earlier run left: nothing."""
        check()
        return NOTHING

    def opened(self, identity: Identity) -> None:
        """What is written from now on belongs to this version."""

    def read_at(self, offset: int, room: memoryview) -> None:
        """Fill `room`."""

    def hashed(self, size: int, state: bytes | None) -> None:
        """The first `size` bytes were hashed."""

    def truncate(self, size: int) -> None:
        """The file is `size` bytes long."""
        with self._lock:
            shrunk, self._end = self._end - size, size
        if self.file.size is None:
            self.berth.allowance.take(-shrunk)
        self._opened().truncate(size)

    def commit(self, store: Store, moved: Moved) -> Blob:
        """Publish the verified content under its digest and return it; the private file is gone then."""
        blob = store.blobs.commit(self.berth.ingest, self._opened(), moved.sha256, moved.size)
        if self.file.git_blob is not None:
            store.blobs.remember_git_blob(self.berth.ingest, self.file.git_blob, blob)
        return blob

    def _opened(self) -> Partial:
        with self._lock:
            if self._partial is None:
                self._partial = self.berth.create(str(self.number))
            return self._partial
