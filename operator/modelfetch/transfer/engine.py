"""Moves files: items in, verified bytes in their sinks out.

Comes before: the plan, which says what is expected; sources, which give a Reader for each file. Comes after: the
store, which makes what is in the sinks durable and publishes it. Threads: `parallel_files` for large files, each of
which hashes one at a time while receivers and a writer of its own bring the bytes; for small files as many as there are
connections beside those, each of which moves one at a time. None outlives `run`.
"""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from threading import Event, Lock, Thread

from modelfetch.api.order import OrderTransfer
from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.buffers import Buffers
from modelfetch.transfer.counters import Counters
from modelfetch.transfer.items import Bounds, Item, Moved, Work
from modelfetch.transfer.lanes import Lanes
from modelfetch.transfer.limiter import Limiter
from modelfetch.transfer.mover import Hold, Mover
from modelfetch.transfer.retry import Retry
from modelfetch.transfer.segments import SEGMENT_BYTES
from modelfetch.transfer.tuner import Tuner

__all__ = ["Bounds", "Engine", "Item", "Moved"]

BUFFERS_LIMIT = 14
"""Buffers of 4 MiB in all: 56 MiB, whatever the numbers of files and connections."""

LARGE_FILES_LIMIT = 12
"""Large files at the same time: each needs a buffer to fill, and one that is hashed."""

SHARED_FILES = 32
"""Small files at the same time where one connection carries many requests (HTTP/2)."""

Done = Callable[[Moved], None]


class Engine:
    """Moves the files of one transfer. `stop` (shared with the readers' session) ends it early.

    `tuner` says how many connections large files have; without it that begins with one for each of them.
    """

    def __init__(
        self,
        transfer: OrderTransfer,
        retry: Retry,
        stop: Event,
        counters: Counters,
        bounds: Bounds | None = None,
        tuner: Tuner | None = None,
    ) -> None:
        self._files = min(transfer.parallel_files, LARGE_FILES_LIMIT)
        self._budget = transfer.parallel_files * transfer.connections_per_file
        self._hold = _hold(transfer.bandwidth_bytes_per_s, retry)
        self._retry = retry
        self._stop = stop
        self._counters = counters
        self._bounds = bounds or Bounds()
        self._tuner = tuner

    def run(self, items: Iterable[Item], done: Done) -> None:
        """All items are moved; `done` was called once for each, from the thread that moved it, as soon as it was.

        Larger files come first, so that none is left alone at the end. After a terminal error everything stops; after
        a retryable one the files that have begun are ended. Then the first error is raised, terminal ones before
        others, with the file's path; FetchError(Cancelled) when stopped.
        """
        work = Work(items)
        large, small = self._threads(work)
        tuner = self._tuner or Tuner(self._budget, start=large)
        received, is_waiting = lambda: self._counters.received, lambda: bool(work.large)
        lanes = Lanes(tuner, self._budget, received, self._retry.monotonic, is_waiting)
        buffers = Buffers(BUFFERS_LIMIT, SEGMENT_BYTES)
        mover = Mover(
            work, self._retry, self._counters, self._bounds, buffers, lanes, self._hold, connections=self._budget
        )
        with lanes.running() if large else nullcontext():
            _Crew(mover, self._stop, done).move_all(large, small)
        work.raise_error()
        if len(work):
            raise FetchError(Reason.CANCELLED, "the fetch was stopped")

    def _threads(self, work: Work) -> tuple[int, int]:
        """Return how many threads move any file, and how many small ones only."""
        if self._files == 1:
            return 1, 0
        large = min(self._files, len(work.large))
        return large, min(len(work.small), self._budget - large)


class _Crew:
    """The threads that move files."""

    def __init__(self, mover: Mover, stop: Event, done: Done) -> None:
        self._mover = mover
        self._work = mover.work
        self._stop = stop
        self._done = done
        self._threads: list[Thread] = []
        self._may_share = False
        self._is_shared = False
        self._lock = Lock()

    def move_all(self, large: int, small: int) -> None:
        """Nothing is left to move or to be ended, with `large` threads for all files and `small` for small ones."""
        self._may_share = small > 0
        try:
            for _ in range(large):
                self._start(self._move_any)
            for _ in range(small):
                self._start(self._move_small)
        except BaseException:
            self._work.abort()
            raise
        finally:
            while self._threads:
                self._threads.pop().join()

    def _start(self, move: Callable[[], None]) -> None:
        thread = Thread(target=move, name="transfer-file")
        thread.start()
        self._threads.append(thread)

    def _move_any(self) -> None:
        while not self._stop.is_set() and (item := self._work.next()) is not None:
            self._move(item)

    def _move_small(self) -> None:
        while not self._stop.is_set() and (item := self._work.next_small()) is not None:
            with self._mover.lanes.beside():
                self._move(item)

    def _move(self, item: Item) -> None:
        try:
            moved = self._mover.move(item)
            if self._may_share and moved.identity.is_shared and item.is_small:
                self._share()
            self._done(moved)
        except Exception as error:  # noqa: BLE001 - raised again by run()
            self._work.fail(_with_file(error, item.path))

    def _share(self) -> None:
        """Many small files can come over the connections that there are: move more of them at once."""
        with self._lock:
            is_first, self._is_shared = not self._is_shared, True
        if is_first:
            for _ in range(max(0, min(SHARED_FILES, len(self._work.small)) - len(self._threads))):
                self._start(self._move_small)


def _hold(rate: int | None, retry: Retry) -> Hold:
    if rate is None:
        return lambda _size, _is_over: None
    return Limiter(rate, retry.monotonic, retry.wait, retry.deadline).hold


def _with_file(error: Exception, path: str) -> Exception:
    if not isinstance(error, FetchError) or error.file is not None:
        return error
    named = FetchError(error.reason, error.message, file=path, retry_after_s=error.retry_after_s)
    named.__cause__ = error
    return named
