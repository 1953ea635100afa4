"""Where the engine puts bytes: a private file of the store, seen through two methods."""

from typing import Protocol


class FileSink(Protocol):
    """A file being written; called from several threads, never twice for overlapping bytes at once."""

    def write_at(self, offset: int, data: memoryview) -> None:
        """All of `data` stands at `offset`; the memory is valid during the call only. Raises FetchError(Storage…)."""

    def truncate(self, size: int) -> None:
        """The file is `size` bytes long; 0 before it is received from the start again."""
