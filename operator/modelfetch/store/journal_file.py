"""The journal of one attempt on the volume: records are appended as they happen, and durable when `sync` returns."""

from collections.abc import Iterable
from threading import Lock

from modelfetch.store.journal import Record, encode
from modelfetch.store.private_file import PrivateFile


class JournalFile:
    """A journal being written; safe to use from several threads."""

    def __init__(self, file: PrivateFile) -> None:
        self._file = file
        self._end = 0
        self._is_dirty = False
        self._lock = Lock()

    def append(self, records: Iterable[Record]) -> None:
        """The records stand in the file, after all earlier ones; a kill leaves them there, a power cut may not."""
        lines = encode(records)
        with self._lock:
            self._file.write_at(self._end, memoryview(lines), step="journal.append")
            self._end += len(lines)
            self._is_dirty = True

    def sync(self) -> None:
        """What was appended so far is durable."""
        with self._lock:
            is_dirty, self._is_dirty = self._is_dirty, False
        if is_dirty:
            self._file.sync(step="journal.sync")

    def beat(self) -> None:
        """Show everybody on the volume that this attempt is at work."""
        self._file.touch()

    def close(self) -> None:
        """Give the descriptor back, whatever was before."""
        self._file.close_after_failure()
