"""Looking at a store: facts, names and small documents, by paths that no planted link can lead astray.

Comes in: paths as tuples of steps below the root. Each step is opened without following links, relative to the
descriptor of the one before, so that a symlink planted on a shared volume is refused and never followed. Folders that
nobody replaces may be held open: then paths begin at the nearest of them.
Goes out: what is there, or a FetchError that says what the volume answered and where. fs.py adds what changes a store.
"""

import errno
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Self

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store.facts import Facts, facts_of
from modelfetch.store.faults import Room, explained
from modelfetch.store.layout import Steps

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
HELD_LIMIT = 320
"""Folders that may be held open: one for each first byte of a digest, and some more."""

_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def read_fully(fd: int, offset: int, room: memoryview) -> int:
    """Fill `room` with the bytes at `offset`; return how many there were before the file's end."""
    taken = 0
    while taken < len(room) and (count := os.preadv(fd, [room[taken:]], offset + taken)):
        taken += count
    return taken


def _held_limit() -> int:
    """Return how many folders may be held open: a quarter of what the process may have open."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return HELD_LIMIT if soft == resource.RLIM_INFINITY else min(HELD_LIMIT, soft // 4)


@contextmanager
def _walked(root: int, path: Steps) -> Iterator[int]:
    """Hold a descriptor of the folder `path` below the one open as `root`, reached without following any link."""
    if not path:
        yield root
        return
    fd = os.open(path[0], FOLDER_FLAGS, dir_fd=root)
    try:
        for step in path[1:]:
            below = os.open(step, FOLDER_FLAGS, dir_fd=fd)
            os.close(fd)
            fd = below
        yield fd
    finally:
        os.close(fd)


def _names_in(fd: int) -> list[str]:
    """Return the sorted names in a folder, listed by a new descriptor: users of one share how far it has come."""
    with _walked(fd, (".",)) as own:
        return sorted(os.listdir(own))


class ReadableVolume:
    """A store's root, to look at; every path is below it. Close it, or use it as a context manager."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._held: dict[Steps, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give all descriptors back. A second call does nothing."""
        for path in list(self._held):
            self.release(path)
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def hold(self, path: Steps) -> None:
        """Hold the folder open until `release` or `close`, where the process may have that many files open.

        For folders that nobody renames or removes: what is done through this volume is done in this one.
        """
        if path in self._held or len(self._held) >= _held_limit():
            return
        with explained("hold", path, self.room), self.folder(path) as fd:
            mine = os.dup(fd)
        if self._held.setdefault(path, mine) != mine:
            os.close(mine)  # another thread was faster

    @contextmanager
    def rewalked(self, path: Steps) -> Iterator[int]:
        """Hold a descriptor of what stands at `path` now; raises FetchError(StorageIOError) if another was held open.

        So what was done in a held folder is known to be where its path leads, also for other programs.
        """
        with _walked(self._fd, path) as fd:
            held = self._held.get(path)
            if held is not None and not os.path.samestat(os.fstat(held), os.fstat(fd)):
                raise FetchError(
                    Reason.STORAGE_IO_ERROR, f"expected the folder '{'/'.join(path)}' to stay, another stands there now"
                )
            yield fd

    def release(self, path: Steps) -> None:
        """Give the descriptor of a held folder back; nobody uses it any more."""
        fd = self._held.pop(path, None)
        if fd is not None:
            os.close(fd)

    @contextmanager
    def folder(self, path: Steps) -> Iterator[int]:
        """Hold a descriptor of the folder `path`, reached without following any link."""
        with _walked(*self._nearest(path)) as fd:
            yield fd

    def _nearest(self, path: Steps) -> tuple[int, Steps]:
        """Return the held folder that is nearest to `path`, and the steps that are left from there."""
        for depth in range(len(path), 0, -1):
            fd = self._held.get(path[:depth])
            if fd is not None:
                return fd, path[depth:]
        return self._fd, path

    def facts(self, path: Steps) -> Facts | None:
        """Return what `path` is, None if there is nothing; raises FetchError(StoreCorrupt) behind a link."""
        with explained("look", path, self.room):
            try:
                with self.folder(path[:-1]) as parent:
                    return facts_of(os.stat(path[-1], dir_fd=parent, follow_symlinks=False))
            except FileNotFoundError:
                return None

    def names(self, path: Steps) -> list[str]:
        """Return the sorted names in a folder; a missing folder has none."""
        with explained("list", path, self.room):
            try:
                with self.folder(path) as fd:
                    return _names_in(fd)
            except FileNotFoundError:
                return []

    def entries(self, path: Steps) -> dict[str, Facts]:
        """Return what stands in a folder, by sorted names; a missing folder is empty, what just went is left out."""
        found: dict[str, Facts] = {}
        with explained("list", path, self.room):
            try:
                with self.folder(path) as fd:
                    for name in _names_in(fd):
                        with suppress(FileNotFoundError):
                            found[name] = facts_of(os.stat(name, dir_fd=fd, follow_symlinks=False))
            except FileNotFoundError:
                return {}
        return found

    def read(self, path: Steps, limit_bytes: int) -> bytes | None:
        """Return a small file's content, None if it is missing; FetchError(StoreCorrupt) for anything but a file."""
        with explained("read", path, self.room):
            try:
                with self.folder(path[:-1]) as parent:
                    fd = os.open(path[-1], _READ_FLAGS, dir_fd=parent)
            except FileNotFoundError:
                return None
            with os.fdopen(fd, "rb") as file:
                found = facts_of(os.fstat(fd))
                if not found.is_file or found.size > limit_bytes:
                    raise FetchError(
                        Reason.STORE_CORRUPT,
                        f"expected a regular file of at most {limit_bytes} bytes at '{'/'.join(path)}'",
                    )
                return file.read()

    @contextmanager
    def reading(self, path: Steps) -> Iterator[Callable[[int, memoryview], int]]:
        """Hold a regular file open: a function that fills memory from an offset and returns how many bytes it got.

        Raises Vanished where there is none, FetchError(StoreCorrupt) for anything else.
        """
        with explained("read", path, self.room), self.folder(path[:-1]) as parent:
            fd = os.open(path[-1], _READ_FLAGS, dir_fd=parent)
            try:
                if not facts_of(os.fstat(fd)).is_file:
                    raise FetchError(Reason.STORE_CORRUPT, f"expected a regular file at '{'/'.join(path)}'")
                yield partial(read_fully, fd)
            finally:
                os.close(fd)

    def link_text(self, path: Steps) -> str | None:
        """Return where a symlink points, None if there is no symlink."""
        with explained("read", path, self.room):
            try:
                with self.folder(path[:-1]) as parent:
                    return os.readlink(path[-1], dir_fd=parent)
            except FileNotFoundError:
                return None
            except OSError as error:
                if error.errno == errno.EINVAL:
                    return None
                raise

    def room(self) -> Room:
        """Return what is free on the volume."""
        found = os.fstatvfs(self._fd)
        return Room(found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None)
