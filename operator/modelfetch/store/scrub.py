"""Blobs read again, many at once: by the BLAKE3 of their sums where they have any, else by SHA-256.

Comes in: which blobs, how deep, how many threads. Goes out: a `Verdict` for each, told as it comes. A file is split
into runs of segments, so that one large file keeps all cores busy; a SHA-256 is one file's own, so those come first.
Reading goes through a buffer for each thread that stays in the processor's cache.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import Event, Lock

from modelfetch import hashing
from modelfetch.errors import FetchError
from modelfetch.pages import pages
from modelfetch.store import layout
from modelfetch.store.facts import Facts, facts_of
from modelfetch.store.faults import Vanished, explained
from modelfetch.store.findings import Finding, Kind
from modelfetch.store.readable import ReadableVolume
from modelfetch.store.sums import Sums, read_sums
from modelfetch.transfer.segments import SEGMENT_BYTES

BUFFER_BYTES = 256 * 1024
"""Bytes of one read; stays in a usual second-level cache."""
RUN_SEGMENTS = 16
"""Segments of one piece of work, 64 MiB: by gut, small against a file, large against what starting it costs."""

_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

Piece = Callable[[memoryview], None]


@dataclass(frozen=True)
class Target:
    """A blob to read: the size that it should have, and whether it lies here with that size and has sums."""

    sha256: str
    size: int
    has_right_size: bool
    has_sums: bool


@dataclass(frozen=True)
class Verdict:
    """What reading a blob has shown; `sums` are those that it should have and has not."""

    target: Target
    inode: tuple[int, int]
    damage: Finding | None = None
    hint: Finding | None = None
    sums: tuple[bytes, ...] | None = None


class Stopped(Exception):
    """The pass was asked to stop."""


@dataclass
class _Shared:
    """A blob whose runs of segments are read by several threads."""

    target: Target
    sums: Sums
    left: int
    inode: tuple[int, int] = (0, 0)
    is_good: bool = True
    problem: FetchError | None = None
    lock: Lock = field(default_factory=Lock)


class Scrub:
    """A pass over blobs; `tell` gets each verdict and `advance` bytes as they were read, one call at a time each."""

    def __init__(
        self,
        volume: ReadableVolume,
        known: frozenset[str],
        tell: Callable[[Verdict], None],
        advance: Callable[[int], None],
        stop: Event,
    ) -> None:
        self._volume = volume
        self._known = known
        self._tell = tell
        self._advance = advance
        self._stop = stop
        self._lock = Lock()

    def run(self, targets: Iterable[Target], *, is_full: bool, threads: int) -> bool:
        """Read all targets; False if it was stopped before its end. Defects of the program are raised."""
        ordered = sorted(targets, key=lambda target: (self._by_sums(target, is_full), -target.size, target.sha256))
        pieces = self._pieces(ordered, is_full)
        with ThreadPoolExecutor(threads, thread_name_prefix="scrub") as pool:
            ended = [pool.submit(self._drain, pieces) for _ in range(threads)]
        # Each of them is asked, so that no defect is overlooked.
        return False not in [one.result() for one in ended]

    def _by_sums(self, target: Target, is_full: bool) -> bool:
        return not is_full and target.has_sums and target.has_right_size and target.size > SEGMENT_BYTES

    def _drain(self, pieces: Iterator[Piece]) -> bool:
        buffer = memoryview(pages(BUFFER_BYTES))
        try:
            while not self._stop.is_set():
                with self._lock:
                    piece = next(pieces, None)
                if piece is None:
                    return True
                piece(buffer)
        except Stopped:
            pass
        except BaseException:
            self._stop.set()  # one thread's defect ends the others' work
            raise
        return False

    def _pieces(self, targets: list[Target], is_full: bool) -> Iterator[Piece]:
        for target in targets:
            sums = read_sums(self._volume, target.sha256) if self._by_sums(target, is_full) else None
            if sums is None or sums.size != target.size:
                yield partial(self._read_whole, target)
                continue
            starts = range(0, len(sums.digests), RUN_SEGMENTS)
            shared = _Shared(target, sums, len(starts))
            yield from (partial(self._read_run, shared, start) for start in starts)

    def _read_whole(self, target: Target, buffer: memoryview) -> None:
        try:
            verdict = self._compare_whole(target, buffer)
        except Vanished:
            return
        except FetchError as error:
            verdict = Verdict(target, (0, 0), damage=_finding(target, Kind.UNREADABLE, error.message))
        with self._lock:
            self._tell(verdict)

    def _compare_whole(self, target: Target, buffer: memoryview) -> Verdict:
        content, segments, size = hashing.sha256(), [], 0
        with self._opened(target.sha256) as (fd, facts):
            while (start := size) < facts.size:
                running = hashing.blake3()
                for data in self._read(fd, start, min(start + SEGMENT_BYTES, facts.size), buffer):
                    content.update(data)
                    running.update(data)
                    size += len(data)
                segments.append(bytes.fromhex(running.hexdigest()))
                if size == start:
                    break  # the file became shorter
        actual = content.hexdigest()
        if actual != target.sha256:
            return Verdict(target, facts.inode, damage=self._damage(target, actual, size))
        sums = tuple(segments) if target.size > SEGMENT_BYTES else None
        if sums is None or read_sums(self._volume, target.sha256) == Sums(SEGMENT_BYTES, target.size, sums):
            return Verdict(target, facts.inode)
        return Verdict(target, facts.inode, hint=_hint(target) if target.has_sums else None, sums=sums)

    def _damage(self, target: Target, actual: str, size: int) -> Finding:
        if actual in self._known and size > 0:  # nothing is no other blob's content
            return _finding(target, Kind.SWAPPED, f"expected the content of its name, got that of '{actual}'")
        if size != target.size:
            return _finding(target, Kind.WRONG_SIZE, f"expected {target.size} bytes, got {size}")
        return _finding(target, Kind.CORRUPT, f"expected the content of its name, got '{actual}'")

    def _read_run(self, shared: _Shared, first: int, buffer: memoryview) -> None:
        try:
            is_good = self._compare_run(shared, first, buffer)
        except FetchError as error:
            is_good = False
            shared.problem = error
        with shared.lock:
            shared.is_good &= is_good
            shared.left -= 1
            is_last = shared.left == 0
        if is_last:
            self._end(shared, buffer)

    def _compare_run(self, shared: _Shared, first: int, buffer: memoryview) -> bool:
        sums = shared.sums
        with self._opened(shared.target.sha256) as (fd, facts):
            shared.inode = facts.inode
            for number, digest in enumerate(sums.digests[first : first + RUN_SEGMENTS], first):
                start = number * sums.segment_bytes
                running = hashing.blake3()
                for data in self._read(fd, start, min(start + sums.segment_bytes, sums.size), buffer):
                    running.update(data)
                if running.hexdigest() != digest.hex():
                    return False
        return True

    def _end(self, shared: _Shared, buffer: memoryview) -> None:
        target, problem = shared.target, shared.problem
        if isinstance(problem, Vanished):
            return
        if problem is not None:
            verdict = Verdict(target, shared.inode, damage=_finding(target, Kind.UNREADABLE, problem.message))
        elif shared.is_good:
            verdict = Verdict(target, shared.inode)
        else:
            self._read_whole(target, buffer)  # whether the blob or its sums are wrong, and what it is instead
            return
        with self._lock:
            self._tell(verdict)

    @contextmanager
    def _opened(self, sha256: str) -> Iterator[tuple[int, Facts]]:
        path = layout.blob(sha256)
        with explained("blob.verify", path, self._volume.room), self._volume.folder(path[:-1]) as folder:
            fd = os.open(path[-1], _READ_FLAGS, dir_fd=folder)
            try:
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
                yield fd, facts_of(os.fstat(fd))
            finally:
                os.close(fd)

    def _read(self, fd: int, start: int, end: int, buffer: memoryview) -> Iterator[memoryview]:
        """Yield what lies from `start` to `end`, less where the file ends before."""
        at = start
        while at < end:
            count = os.preadv(fd, [buffer[: end - at]], at)
            if count == 0:
                break
            if self._stop.is_set():
                raise Stopped
            yield buffer[:count]
            at += count
        with self._lock:
            self._advance(at - start)


def _finding(target: Target, kind: Kind, detail: str) -> Finding:
    return Finding("/".join(layout.blob(target.sha256)), kind, detail)


def _hint(target: Target) -> Finding:
    return Finding("/".join(layout.sums(target.sha256)), Kind.WRONG_HINT, "expected whole sums of the blob, got others")
