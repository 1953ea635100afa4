"""What the engine moves, what it says of each file it moved, and the queue of those that are left."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Event, Lock

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.reader import Identity, Reader
from modelfetch.transfer.segments import SEGMENT_BYTES
from modelfetch.transfer.sink import FileSink
from modelfetch.transfer.verifier import Compared, Expected


@dataclass(frozen=True)
class Item:
    """One file to move; `path` names it in progress and errors."""

    path: str
    reader: Reader
    sink: FileSink
    expected: Expected

    @property
    def is_small(self) -> bool:
        """Whether it is known to fit into one segment."""
        return self.expected.size is not None and self.expected.size <= SEGMENT_BYTES


@dataclass(frozen=True)
class Moved:
    """A file whose bytes stand in its sink and passed every comparison there was."""

    item: Item
    sha256: str
    size: int
    identity: Identity
    compared: Compared


@dataclass(frozen=True)
class Bounds:
    """What a file may take; `free_bytes` is asked while one of unknown size grows."""

    max_file_size: int | None = None
    free_bytes: Callable[[], int] | None = None

    def check(self, expected: Expected) -> None:
        """Return when a file may have the size that is expected; raises FetchError(SizeLimitExceeded)."""
        limit = self.max_file_size
        if expected.size is not None and limit is not None and expected.size > limit:
            raise FetchError(Reason.SIZE_LIMIT_EXCEEDED, f"expected at most {limit} bytes, got {expected.size}")


class Work:
    """The items that are left, larger ones first, and what went wrong."""

    def __init__(self, items: Iterable[Item]) -> None:
        ordered = sorted(items, key=_size_order)
        self.large = deque(item for item in ordered if not item.is_small)
        self.small = deque(item for item in ordered if item.is_small)
        self._errors: list[Exception] = []
        self._aborted = Event()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self.large) + len(self.small)

    def next(self) -> Item | None:
        """Return the next item, a small one when no other is left; None when there is none or an error was met."""
        with self._lock:
            return self._next_of(self.large or self.small)

    def next_small(self) -> Item | None:
        """Return the next small item; None when there is none or an error was met."""
        with self._lock:
            return self._next_of(self.small)

    def _next_of(self, items: deque[Item]) -> Item | None:
        return items.popleft() if items and not self._errors else None

    def fail(self, error: Exception) -> None:
        """Nothing new is begun; what has begun stops too when no other attempt could use it."""
        with self._lock:
            self._errors.append(error)
        if _is_terminal(error):
            self.abort()

    def abort(self) -> None:
        """What has begun ends as soon as it notices."""
        self._aborted.set()

    def check(self) -> None:
        """Raise FetchError(Cancelled) when what has begun shall end."""
        if self.is_aborted():
            raise FetchError(Reason.CANCELLED, "the fetch was stopped")

    def is_aborted(self) -> bool:
        """Whether what has begun shall end."""
        return self._aborted.is_set()

    def raise_error(self) -> None:
        """Raise the first error, terminal ones before others; return where there was none."""
        if self._errors:
            raise min(self._errors, key=lambda error: not _is_terminal(error))


def _size_order(item: Item) -> float:
    return float("-inf") if item.expected.size is None else -item.expected.size


def _is_terminal(error: Exception) -> bool:
    return not isinstance(error, FetchError) or not error.reason.row.retryable
