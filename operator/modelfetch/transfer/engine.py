"""Moves files: items in, verified bytes in their sinks out.

Comes before: the plan, which says what is expected; sources, which give a Reader for each file. Comes after: the
store, which makes what is in the sinks durable and publishes it. Threads: `parallel_files` that each receive, hash and
verify one file at a time, and for a large file as many receivers as it has connections. None outlives `run`.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from threading import Event, Lock, Thread

from modelfetch.api.order import OrderTransfer
from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.buffers import Buffers
from modelfetch.transfer.counters import Counters
from modelfetch.transfer.reader import Identity, RangeIgnored, Reader
from modelfetch.transfer.receiver import Target, receive
from modelfetch.transfer.reception import Incoming, Reception
from modelfetch.transfer.restarts import MISMATCHES, Interrupted, Plan, Restarts
from modelfetch.transfer.retry import Retry
from modelfetch.transfer.segments import SEGMENT_BYTES, kept_bytes
from modelfetch.transfer.sink import FileSink, Kept
from modelfetch.transfer.verifier import Compared, Expected, Verifier

BUFFERS_LIMIT = 16
"""Buffers of 4 MiB in all: 64 MiB, whatever the numbers of files and connections."""

LOOKAHEAD = 2
"""Buffers of a file beyond its connections: one being hashed, one waiting."""


@dataclass(frozen=True)
class Item:
    """One file to move; `path` names it in progress and errors."""

    path: str
    reader: Reader
    sink: FileSink
    expected: Expected


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


class Engine:
    """Moves files by `transfer.parallel_files` at a time. `stop` (shared with the readers' session) ends it early."""

    def __init__(
        self, transfer: OrderTransfer, retry: Retry, stop: Event, counters: Counters, bounds: Bounds | None = None
    ) -> None:
        self._transfer = transfer
        self._retry = retry
        self._stop = stop
        self._counters = counters
        self._bounds = bounds or Bounds()

    def run(self, items: Iterable[Item], done: Callable[[Moved], None]) -> None:
        """All items are moved; `done` was called once for each, from the thread that moved it, as soon as it was.

        Large files come first, so that none is left alone at the end. After a terminal error everything stops; after
        a retryable one the files that have begun are ended. Then the first error is raised, terminal ones before
        others, with the file's path; FetchError(Cancelled) when stopped.
        """
        work = _Work(items)
        workers = max(1, min(self._transfer.parallel_files, len(work), BUFFERS_LIMIT))
        share = min(BUFFERS_LIMIT // workers, self._transfer.connections_per_file + LOOKAHEAD)
        threads = [
            Thread(target=self._work, args=(work, Buffers(share, SEGMENT_BYTES), done), name=f"transfer-{number}")
            for number in range(workers)
        ]
        _run_all(threads, work)
        work.raise_error()
        if len(work):
            raise FetchError(Reason.CANCELLED, "the fetch was stopped")

    def _work(self, work: "_Work", buffers: Buffers, done: Callable[[Moved], None]) -> None:
        while not self._stop.is_set() and (item := work.next()) is not None:
            try:
                done(self._move(item, work, buffers))
            except Exception as error:  # noqa: BLE001 - raised again by run()
                work.fail(_with_file(error, item.path))

    def _move(self, item: Item, work: "_Work", buffers: Buffers) -> Moved:
        _check_size(item.expected, self._bounds)
        restarts = Restarts(Plan(self._transfer.connections_per_file), self._retry.retries)
        moved: Moved | None = None
        try:
            while moved is None:
                self._counters.begin(item.path)
                moved = self._try_move(item, restarts, work, buffers)
        finally:
            self._counters.end(item.path, done=moved is not None)
        return moved

    def _try_move(self, item: Item, restarts: Restarts, work: "_Work", buffers: Buffers) -> Moved | None:
        kept = item.sink.kept(work.check)
        self._counters.keep(item.path, kept_bytes(kept.segments, _size_of(item, kept)))
        verifier = Verifier(item.expected, kept)
        kept = replace(kept, hashed=verifier.size)
        incoming = Incoming(item.sink, _size_of(item, kept), self._bounds.max_file_size, kept)
        reception = Reception(restarts.plan, buffers, work.is_aborted, incoming)
        try:
            return self._pass(item, reception, verifier)
        except (FetchError, RangeIgnored, Interrupted) as cause:
            if not (kept.segments and _may_be_stale(cause)):
                restarts.after(cause, reception.web_page)
            item.sink.truncate(0)
            if isinstance(cause, Interrupted):
                self._retry.pause(restarts.interruptions - 1, cause.error, work.is_aborted)
        return None

    def _pass(self, item: Item, reception: Reception, verifier: Verifier) -> Moved:
        target = Target(item.reader, item.sink, partial(self._counters.add, item.path), self._bounds.free_bytes)
        with _Receivers(reception, target, self._retry):
            for piece in reception.pieces():
                verifier.update(piece)
                item.sink.hashed(verifier.size, verifier.state())
        identity = reception.identity or Identity()
        return Moved(item, verifier.verify(), verifier.size, identity, item.expected.compared)


class _Receivers:
    """The receiving side of a pass: in this thread for a file of one segment, else in threads of its own."""

    def __init__(self, reception: Reception, target: Target, retry: Retry) -> None:
        self._reception = reception
        self._run = partial(receive, reception, target, retry)
        self._threads: list[Thread] = []

    def __enter__(self) -> None:
        size = self._reception.expected_size
        if size is not None and size <= SEGMENT_BYTES:
            self._run()
            return
        self._threads = [Thread(target=self._run, name="transfer-receiver") for _ in range(self._reception.connections)]
        for thread in self._threads:
            thread.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Exception):
            self._reception.fail(error)
        for thread in self._threads:
            thread.join()
        self._reception.discard()


class _Work:
    """The items that are left and what went wrong."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = deque(sorted(items, key=_size_order))
        self._errors: list[Exception] = []
        self._aborted = Event()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._items)

    def next(self) -> Item | None:
        """Return the next item; None when there is none or an error was met."""
        with self._lock:
            return self._items.popleft() if self._items and not self._errors else None

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


def _run_all(threads: list[Thread], work: _Work) -> None:
    started: list[Thread] = []
    try:
        for thread in threads:
            thread.start()
            started.append(thread)
    except BaseException:
        work.abort()
        raise
    finally:
        for thread in started:
            thread.join()


def _size_order(item: Item) -> float:
    return float("-inf") if item.expected.size is None else -item.expected.size


def _check_size(expected: Expected, bounds: Bounds) -> None:
    limit = bounds.max_file_size
    if expected.size is not None and limit is not None and expected.size > limit:
        raise FetchError(Reason.SIZE_LIMIT_EXCEEDED, f"expected at most {limit} bytes, got {expected.size}")


def _size_of(item: Item, kept: Kept) -> int | None:
    """Return the file's size, from what was kept of it where the listing does not say."""
    return kept.identity.size if item.expected.size is None and kept.segments else item.expected.size


def _may_be_stale(cause: Exception) -> bool:
    """Tell whether what an earlier run left may be the cause: then the file is received without it."""
    stale = MISMATCHES | {Reason.SOURCE_CHANGED}
    return isinstance(cause, RangeIgnored) or (isinstance(cause, FetchError) and cause.reason in stale)


def _is_terminal(error: Exception) -> bool:
    return not isinstance(error, FetchError) or not error.reason.row.retryable


def _with_file(error: Exception, path: str) -> Exception:
    if not isinstance(error, FetchError) or error.file is not None:
        return error
    named = FetchError(error.reason, error.message, file=path, retry_after_s=error.retry_after_s)
    named.__cause__ = error
    return named
