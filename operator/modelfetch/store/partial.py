"""Private files of an attempt on their way to become blobs, and what their journal says of them.

Comes in: bytes at offsets, from several threads. Goes out: a finished file, or, after a kill, segments that another
attempt goes on from once each has been read again and has the BLAKE3 that was written down.
"""

from collections.abc import Callable
from threading import Lock

from modelfetch.errors import FetchError
from modelfetch.hashing import blake3_digest
from modelfetch.reasons import Reason
from modelfetch.resumable_sha256 import STATE_FORMAT
from modelfetch.store.facts import Facts
from modelfetch.store.fs import Volume
from modelfetch.store.intact import intact
from modelfetch.store.journal import Begun, FileLog, Forgotten, Reread, Segment, State
from modelfetch.store.journal_file import JournalFile
from modelfetch.store.layout import Steps
from modelfetch.store.private_file import PrivateFile
from modelfetch.transfer.reader import Identity
from modelfetch.transfer.segments import SEGMENT_BYTES, contiguous_bytes
from modelfetch.transfer.sink import NOTHING, Kept

_SHOWN_SEGMENTS = 32
"""Segments that are read again between two records of it: 128 MiB, a few seconds also on a slow disk."""


class Partial:
    """A file being written. Offsets and sizes are bytes; several threads may write at once."""

    def __init__(self, file: PrivateFile, volume: Volume) -> None:
        self._file = file
        self._volume = volume

    @property
    def is_open(self) -> bool:
        """True until the file was committed, closed or discarded."""
        return self._file.is_open

    @property
    def is_suspect(self) -> bool:
        """True once bytes were lost: the file can only be discarded."""
        return self._file.is_suspect

    @property
    def path(self) -> Steps:
        """Where the file is, for messages and for the commit."""
        return self._file.path

    def write_at(self, offset: int, data: memoryview) -> None:
        """Write all of `data` at `offset`; raises FetchError as the volume answers."""
        self._file.write_at(offset, data, step="file.write")

    def read_at(self, offset: int, room: memoryview) -> int:
        """Fill `room` with the bytes at `offset`; return how many there were."""
        return self._file.read_at(offset, room, step="file.read")

    def sync(self) -> None:
        """Make the bytes written so far durable; after an error the file is to be discarded."""
        self._file.sync(step="file.checkpoint")

    def drop_cache(self, size_bytes: int) -> None:
        """Let the kernel forget the first `size_bytes`, which are durable."""
        self._file.drop_cache(size_bytes)

    def truncate(self, size_bytes: int) -> None:
        """Cut or extend the file."""
        self._file.truncate(size_bytes, step="file.truncate")

    def size_bytes(self) -> int:
        """Return the size as written so far."""
        return self._file.size_bytes()

    def close(self) -> None:
        """Stop writing for good, without a promise about the content; a commit closes by itself."""
        self._file.close()

    def finish(self) -> Facts:
        """Make the content durable and read-only and close it; on an error the file is discarded."""
        try:
            return self._file.finish(step="file.finish")
        except FetchError:
            self._file.close_after_failure()
            self.discard_after_failure()
            raise

    def discard(self) -> None:
        """Close and remove the file. A second call does nothing."""
        self._file.close_after_failure()
        self._volume.remove(self.path, step="file.discard")

    def close_after_failure(self) -> None:
        """Stop writing while another error is on its way."""
        self._file.close_after_failure()

    def discard_after_failure(self) -> None:
        """Discard the file while another error is on its way."""
        try:
            self.discard()
        except FetchError:
            return  # the volume fails as a whole; the file never gets another name


class RecordedPartial:
    """A partial whose segments are written down, so that another process can go on from it."""

    def __init__(self, partial: Partial, journal: JournalFile, log: FileLog) -> None:
        self.partial = partial
        self.key = log.key
        self._journal = journal
        self._log = log
        self._lock = Lock()
        self._is_dirty = False
        self._latest: State | None = None
        self._failure: FetchError | None = None

    @property
    def is_worth_keeping(self) -> bool:
        """Whether another attempt could go on from this file."""
        return self.partial.is_open and not self.partial.is_suspect and bool(self._log.segments)

    @property
    def size_bytes(self) -> int:
        """Bytes of the segments that were written down."""
        return self._log.size_bytes

    def kept(self, check: Callable[[], None]) -> Kept:
        """Return what is here and has the digests that were written down; `check` is called for each segment."""
        size = self._log.identity.size
        if size is None or not self._log.segments:
            return NOTHING
        recorded = self._log.segments_of(size)
        kept = set[int]()
        for start, _data in intact(self.partial.read_at, recorded, check):
            kept.add(start)
            if len(kept) % _SHOWN_SEGMENTS == 0:
                self._journal.append([Reread()])
        self._log.segments = {start: recorded[start] for start in kept}
        if self.partial.size_bytes() > size:
            self.partial.truncate(size)  # what stands behind the end is nobody's word
        state = self._state_within(contiguous_bytes(frozenset(kept), size))
        if state is None:
            return Kept(frozenset(kept), self._log.identity)
        return Kept(frozenset(kept), self._log.identity, state.size, state.state)

    def opened(self, identity: Identity) -> None:
        """What is written from now on belongs to this version; of files of one segment nothing is written down."""
        with self._lock:
            if self._log.segments or (identity.size or 0) <= SEGMENT_BYTES:
                return
            self._log = FileLog(self._log.number, self.key, identity)
            self._journal.append([Begun(self._log.number, self.key, identity)])

    def write_segment(self, start: int, data: memoryview) -> None:
        """A whole segment stands at `start` and is written down."""
        if self._failure is not None:
            raise self._failure
        self.partial.write_at(start, data)
        if self._log.identity.size is None:
            return
        digest = blake3_digest(data)
        with self._lock:
            self._log.add(start, len(data), digest)
            self._journal.append([Segment(self._log.number, start, len(data), digest)])
            self._is_dirty = True

    def read_segment(self, start: int, room: memoryview) -> None:
        """Fill `room`; raises FetchError(StorageIOError) where the file ends before."""
        count = self.partial.read_at(start, room)
        if count != len(room):
            where = "/".join(self.partial.path)
            raise FetchError(Reason.STORAGE_IO_ERROR, f"expected {len(room)} bytes, got {count} at '{where}'")

    def hashed(self, size: int, state: bytes | None) -> None:
        """The first `size` bytes went through SHA-256; written down with the next checkpoint."""
        if self._failure is not None:
            raise self._failure
        if state is not None and self._log.identity.size is not None:
            with self._lock:
                self._latest, self._is_dirty = State(self._log.number, size, STATE_FORMAT, state), True

    def checkpoint(self) -> None:
        """What was written before this call is durable, then the state of the hash is written down.

        After a failed sync nothing of the file is relied on: whoever writes or hashes next gets the error.
        """
        with self._lock:
            log, latest, is_dirty, self._is_dirty = self._log, self._latest, self._is_dirty, False
        if not is_dirty or not self.partial.is_open:
            return
        try:
            self.partial.sync()
        except FetchError as error:
            if not self.partial.is_open:
                return  # it was committed meanwhile, or given up
            self._failure = error
            self.forget()
            return
        if latest is not None:
            self._note(latest, log)
            self.partial.drop_cache(latest.size)

    def _note(self, state: State, log: FileLog) -> None:
        with self._lock:
            # The file may have started over while it was synced: then the state is one of other bytes.
            if self._log is log:
                self._journal.append([state])

    def forget(self) -> None:
        """Nothing of what was written is relied on any more."""
        with self._lock:
            self._latest = None
            self._log = FileLog(self._log.number, self.key, Identity())
            self._journal.append([Forgotten(self._log.number)])

    def digests(self, size: int) -> tuple[bytes, ...] | None:
        """Return the BLAKE3 of each segment of a whole file of `size` bytes, None where they are not all known."""
        segments = self._log.segments
        if size <= SEGMENT_BYTES or contiguous_bytes(frozenset(segments), size) != size:
            return None
        return tuple(digest for _start, (_length, digest) in sorted(segments.items()))

    def _state_within(self, size: int) -> State | None:
        # Between two segments only: the hash goes on with a whole one.
        ends = {start + length for start, (length, _digest) in self._log.segments.items() if start + length <= size}
        fitting = [state for state in self._log.states if state.size in ends and state.format == STATE_FORMAT]
        return max(fitting, key=lambda state: state.size, default=None)
