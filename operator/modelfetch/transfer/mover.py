"""Moves one file: pass after pass, until its bytes stand in the sink and passed every comparison.

Comes before: engine.py, which says whose turn it is. Comes after: lanes.py, which gives a large file its receivers; a
small one is received in the thread that moves it.
"""

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from threading import Thread

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.buffers import Buffers
from modelfetch.transfer.counters import Counters
from modelfetch.transfer.items import Bounds, Item, Moved, Work
from modelfetch.transfer.lanes import Lanes
from modelfetch.transfer.reader import Identity, IsOver, RangeIgnored
from modelfetch.transfer.receiver import Target, Write, receive
from modelfetch.transfer.reception import WRITERS, Incoming, Reception
from modelfetch.transfer.restarts import MISMATCHES, Interrupted, Plan, Restarts
from modelfetch.transfer.retry import Retry
from modelfetch.transfer.segments import kept_bytes
from modelfetch.transfer.sink import Kept
from modelfetch.transfer.verifier import Expected, Verifier

TINY_BYTES = 256 * 1024
"""Files up to this size have a buffer of just their size, and none of the shared ones."""

Hold = Callable[[int, IsOver], None]
"""Returns when so many bytes may pass."""


@dataclass(frozen=True)
class Mover:
    """Moves the items of `work`; safe to use from several threads. `connections` is the most that one file may have."""

    work: Work
    retry: Retry
    counters: Counters
    bounds: Bounds
    buffers: Buffers
    lanes: Lanes
    hold: Hold
    connections: int

    def move(self, item: Item) -> Moved:
        """Return what was moved; raises the FetchError of the last pass."""
        self.bounds.check(item.expected)
        restarts = Restarts(Plan(self.connections), self.retry.retries)
        moved: Moved | None = None
        try:
            while moved is None:
                self.counters.begin(item.path)
                moved = self._try_move(item, restarts)
        finally:
            self.counters.end(item.path, done=moved is not None)
        return moved

    def _try_move(self, item: Item, restarts: Restarts) -> Moved | None:
        kept = item.sink.kept(self.work.check)
        if restarts.is_by_digest:
            kept = replace(kept, identity=Identity(size=kept.identity.size))
        self.counters.keep(item.path, kept_bytes(kept.segments, _size_of(item, kept)))
        verifier = Verifier(item.expected, kept)
        kept = replace(kept, hashed=verifier.size)
        incoming = Incoming(item.sink, _size_of(item, kept), self.bounds.max_file_size, kept)
        reception = Reception(
            restarts.plan, self._buffers_for(item), self.work.is_aborted, incoming, self.retry.monotonic
        )
        try:
            return self._pass(item, reception, verifier)
        except (FetchError, RangeIgnored, Interrupted) as cause:
            if kept.segments and _has_another_name(cause, item.expected) and not restarts.is_by_digest:
                restarts.is_by_digest = True
                return None
            if not (kept.segments and _may_be_stale(cause)):
                restarts.after(cause, reception.web_page)
            item.sink.truncate(0)
            if isinstance(cause, Interrupted):
                self.retry.pause(restarts.interruptions - 1, cause.error, self.work.is_aborted)
        return None

    def _buffers_for(self, item: Item) -> Buffers:
        size = item.expected.size
        return self.buffers if size is None or size > TINY_BYTES else Buffers(1, max(1, size))

    def _pass(self, item: Item, reception: Reception, verifier: Verifier) -> Moved:
        with self._received(item, reception):
            for piece in reception.pieces():
                verifier.update(piece)
                item.sink.hashed(verifier.size, verifier.state())
        identity = reception.identity or Identity()
        return Moved(item, verifier.verify(), verifier.size, identity, item.expected.compared)

    @contextmanager
    def _received(self, item: Item, reception: Reception) -> Iterator[None]:
        """Let the bytes come while the block runs; nothing of it goes on afterwards."""
        try:
            if item.is_small:
                receive(reception, self._target(item, partial(_write_now, reception)), self.retry)
                yield
            else:
                with _writer(reception) as write, self._receivers(reception, self._target(item, write)):
                    yield
        finally:
            reception.discard()

    @contextmanager
    def _receivers(self, reception: Reception, target: Target) -> Iterator[None]:
        threads: list[Thread] = []

        def start() -> None:
            thread = Thread(target=receive, args=(reception, target, self.retry), name="transfer-receiver")
            thread.start()
            threads.append(thread)

        try:
            with self.lanes.feed(reception, start):
                yield
        except Exception as error:
            reception.fail(error)
            raise
        finally:
            for thread in threads:
                thread.join()

    def _target(self, item: Item, write: Write) -> Target:
        return Target(
            reader=item.reader,
            count=partial(self.counters.add, item.path),
            drop=partial(self.counters.drop, item.path),
            write=write,
            hold=self.hold,
            busy=self.lanes.busy,
            free_bytes=self.bounds.free_bytes,
        )


def _write_now(reception: Reception, start: int, piece: memoryview) -> None:
    reception.admit()
    reception.write(start, piece)


@contextmanager
def _writer(reception: Reception) -> Iterator[Write]:
    """Give a way to have pieces written by a thread of its own, so that receivers go on meanwhile."""
    pieces: queue.SimpleQueue[tuple[int, memoryview] | None] = queue.SimpleQueue()

    def write(start: int, piece: memoryview) -> None:
        reception.admit()
        pieces.put((start, piece))

    threads = [Thread(target=_write_all, args=(reception, pieces), name="transfer-writer") for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    try:
        yield write
    finally:
        for _ in threads:
            pieces.put(None)
        for thread in threads:
            thread.join()


def _write_all(reception: Reception, pieces: "queue.SimpleQueue[tuple[int, memoryview] | None]") -> None:
    while (next_ := pieces.get()) is not None:
        try:
            reception.write(*next_)
        except Exception as error:  # noqa: BLE001 - raised again by the consumer of the pass
            reception.fail(error)


def _size_of(item: Item, kept: Kept) -> int | None:
    """Return the file's size, from what was kept of it where the listing does not say."""
    return kept.identity.size if item.expected.size is None and kept.segments else item.expected.size


def _may_be_stale(cause: Exception) -> bool:
    """Tell whether what an earlier run left may be the cause: then the file is received without it."""
    stale = MISMATCHES | {Reason.SOURCE_CHANGED}
    return isinstance(cause, RangeIgnored) or (isinstance(cause, FetchError) and cause.reason in stale)


def _has_another_name(cause: Exception, expected: Expected) -> bool:
    """Tell whether what was kept may be the same content from another place, where its version has another name."""
    is_other = isinstance(cause, FetchError) and cause.reason is Reason.SOURCE_CHANGED
    return is_other and expected.compared in ("sha256", "git_blob")
