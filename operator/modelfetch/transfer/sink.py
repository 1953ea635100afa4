"""Where the engine puts bytes: a private file of the store, which may hold a part of them already.

Comes before: segments of one file, from the receivers' threads. Comes after: the store, which keeps a record of what
was written so that another process can go on from it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from modelfetch.transfer.reader import Identity


@dataclass(frozen=True)
class Kept:
    """What stands in a sink from an earlier run; every byte of it was read again and had its recorded hash.

    `segments` are the starts of whole segments. The bytes before `hashed` are all among them; `state` is that of a
    SHA-256 over them (resumable_sha256.py), None where they have to be hashed again. `identity` says which version of
    the remote file they came from; its size is known.
    """

    segments: frozenset[int] = frozenset()
    identity: Identity = field(default_factory=Identity)
    hashed: int = 0
    state: bytes | None = None


NOTHING = Kept()


class FileSink(Protocol):
    """A file being written; called from several threads, never twice for overlapping bytes at once."""

    def kept(self, check: Callable[[], None]) -> Kept:
        """Return what is here of the file, read and compared just now; `check` is called often and may raise."""

    def opened(self, identity: Identity) -> None:
        """What is written from now on belongs to this version of the remote file."""

    def write_at(self, offset: int, data: memoryview) -> None:
        """All of `data`, one whole segment, stands at `offset`; the memory is valid during the call only.

        Raises FetchError(Storage…).
        """

    def read_at(self, offset: int, room: memoryview) -> None:
        """Fill `room` with the bytes at `offset`, which were written; raises FetchError(Storage…)."""

    def hashed(self, size: int, state: bytes | None) -> None:
        """The first `size` bytes went through the hash, whose state is now `state`."""

    def truncate(self, size: int) -> None:
        """The file is `size` bytes long; 0 before it is received from the start again: nothing is kept then."""
