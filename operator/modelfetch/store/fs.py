"""The only link, rename, fsync, chmod, unlink, mkdir, symlink and open-for-write of a store.

Comes in: paths as tuples of steps below the root, walked as readable.py does. Goes out: done, or a FetchError that says
what the volume answered and where.

Every durable step has a name; `Filesystem(crash)` calls its hook with `before <name>` and `after <name>`: for tracing,
and for tests that stop the program there.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store.faults import Vanished, explained
from modelfetch.store.layout import Steps
from modelfetch.store.private_file import Hook, PrivateFile
from modelfetch.store.readable import FOLDER_FLAGS, ReadableVolume

_CREATE_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_REOPEN_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

PRIVATE_FOLDER = 0o700
PUBLIC_FOLDER = 0o755
_PERMISSIONS = 0o777
_PRIVATE_FILE = 0o600


def nothing(_step: str) -> None:
    """Do nothing at a step."""


class Filesystem:
    """Opens volumes; `crash` is called before and after each durable step with its name."""

    def __init__(self, crash: Hook = nothing) -> None:
        self._crash = crash

    def open(self, root: str, path: Steps = ()) -> "Volume":
        """Return the folder `path` below `root`, both made if missing; only `root` itself may lead through links."""
        with explained("open the store", (root,), lambda: None), _where_a_folder_can_be(root):
            self._crash("before root.create")
            _make_root(root)
            self._crash("after root.create")
            fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        outer = Volume(fd, self._crash)
        if not path:
            return outer
        with outer:
            outer.make_folders(path, step="root.create")
            with outer.folder(path) as inner:
                return Volume(os.dup(inner), self._crash)

    def look(self, root: str, path: Steps = ()) -> "Volume":
        """Return the folder `path` below `root`, which must be there, as `open` does; nothing is made."""
        with explained("open the store", (root,), lambda: None), _where_a_folder_can_be(root):
            outer = Volume(os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), self._crash)
            with outer, outer.folder(path) as inner:
                return Volume(os.dup(inner), self._crash)


class Volume(ReadableVolume):
    """A store's root, with what changes it; every path is below it. Close it, or use it as a context manager."""

    def __init__(self, fd: int, crash: Hook) -> None:
        super().__init__(fd)
        self._crash = crash

    @contextmanager
    def _step(self, step: str, path: Steps) -> Iterator[int]:
        with explained(step, path, self.room):
            self._crash(f"before {step}")
            with self.folder(path[:-1]) as parent:
                yield parent
            self._crash(f"after {step}")

    def clock_s(self, path: Steps) -> float:
        """Return the volume's own time: it touches the folder, so that no other machine's clock is compared with it."""
        with explained("touch", path, self.room), self.folder(path) as fd:
            os.utime(fd)
            return os.fstat(fd).st_mtime

    def refresh(self, path: Steps) -> None:
        """Have the folder's next listing come from the volume itself: a network file system may keep an older one.

        A change of the folder makes the client ask its server. A missing folder is fine.
        """
        with suppress(Vanished):
            self.clock_s(path)

    def touch(self, path: Steps) -> None:
        """Set a file's time to the volume's now; raises Vanished where there is none."""
        with explained("touch", path, self.room), self.folder(path[:-1]) as parent:
            os.utime(path[-1], dir_fd=parent, follow_symlinks=False)

    # Durable steps

    def make_folder(self, path: Steps, mode: int = PUBLIC_FOLDER, *, step: str) -> bool:
        """Make one folder with exactly `mode`, whatever the umask; False if there is one already.

        What a volume adds stays: folders of one whose group is set for Pods (fsGroup) pass their group on.
        """
        with self._step(step, path) as parent:
            is_new = _make_one(path[-1], parent)
            self._crash(f"before {step}.mode")
            with _opened(path[-1], FOLDER_FLAGS, parent) as fd:
                found = stat.S_IMODE(os.fstat(fd).st_mode)
                # Private, but not to be: made by somebody who was killed before the next line.
                if found & _PERMISSIONS == PRIVATE_FOLDER != mode:
                    os.fchmod(fd, found & ~_PERMISSIONS | mode)
            return is_new

    def make_folders(self, path: Steps, *, step: str, known: int = 0) -> None:
        """Make a folder and the ones above it, each durable in its parent, also those that somebody else just made.

        The first `known` of `path` are there and durable: those that every store has.
        """
        for depth in range(known + 1, len(path) + 1):
            self.make_folder(path[:depth], step=step)
            self.sync_folder(path[: depth - 1], step=step)

    def sync_folder(self, path: Steps, *, step: str) -> None:
        """Make the names in a folder durable; raises FetchError(StorageIOError) if another took a held one's place."""
        with explained(step, path, self.room):
            self._crash(f"before {step}.sync")
            with self.rewalked(path) as fd:
                os.fsync(fd)
            self._crash(f"after {step}.sync")

    def create(self, path: Steps, *, step: str) -> "PrivateFile":
        """Make a new file that nobody else has open."""
        file: PrivateFile | None = None
        try:
            with self._step(step, path) as parent:
                fd = os.open(path[-1], _CREATE_FLAGS, _PRIVATE_FILE, dir_fd=parent)
                file = PrivateFile(fd, path, self._crash, self.room)
        except BaseException:
            if file is not None:
                file.close_after_failure()
            raise
        return file

    def reopen(self, path: Steps, *, step: str) -> PrivateFile:
        """Open a private file again that an ended process left; raises Vanished, or StoreCorrupt for anything else."""
        with self._step(step, path) as parent:
            fd = os.open(path[-1], _REOPEN_FLAGS, dir_fd=parent)
            file = PrivateFile(fd, path, self._crash, self.room)
            try:
                file.require_private()
            except BaseException:
                file.close_after_failure()
                raise
            return file

    def link(self, source: Steps, target: Steps, *, step: str) -> bool:
        """Give the file at `source` a second name; False if `target` exists."""
        with self._step(step, target) as parent, self.folder(source[:-1]) as origin:
            try:
                os.link(source[-1], target[-1], src_dir_fd=origin, dst_dir_fd=parent, follow_symlinks=False)
            except FileExistsError:
                return False
            return True

    def symlink(self, text: str, path: Steps, *, step: str) -> bool:
        """Make a symlink that says `text`; False if `path` exists."""
        with self._step(step, path) as parent:
            try:
                os.symlink(text, path[-1], dir_fd=parent)
            except FileExistsError:
                return False
            return True

    def rename(self, source: Steps, target: Steps, *, step: str) -> None:
        """Move `source` to `target`, replacing a file, link or empty folder there.

        Raises Vanished if `source` is gone, FetchError(StoreCorrupt) if `target` is a folder that is not empty.
        """
        with self._step(step, target) as parent, self.folder(source[:-1]) as origin:
            os.rename(source[-1], target[-1], src_dir_fd=origin, dst_dir_fd=parent)

    def remove(self, path: Steps, *, step: str) -> bool:
        """Remove a file or link; False if it was gone already."""
        with self._step(step, path) as parent:
            try:
                os.unlink(path[-1], dir_fd=parent)
            except FileNotFoundError:
                return False
            return True

    def remove_empty_folder(self, path: Steps, *, step: str) -> None:
        """Remove a folder with nothing in it; raises FetchError (StoreCorrupt) where there is something by now."""
        with self._step(step, path) as parent:
            os.rmdir(path[-1], dir_fd=parent)

    def remove_tree(self, path: Steps, *, step: str) -> None:
        """Remove whatever stands at `path`, with all below it; links are removed, not followed. Nothing is fine too."""
        doomed = [(path, False)]  # no recursion: somebody may have made the tree deeper than that goes
        while doomed:
            top, is_emptied = doomed.pop()
            below = self._remove_one(top, is_emptied, step)
            if below is not None:
                doomed += [(top, True), *(((*top, name), False) for name in below)]

    def _remove_one(self, path: Steps, is_emptied: bool, step: str) -> list[str] | None:
        """Remove what stands at `path`, or return the names in it where it is a folder that was not emptied yet."""
        found = self.facts(path)
        if found is not None and found.is_folder and not is_emptied:
            return self.names(path)
        try:
            if found is not None and found.is_folder:
                with self._step(step, path) as parent:
                    os.rmdir(path[-1], dir_fd=parent)
            elif found is not None:
                self.remove(path, step=step)
        except Vanished:
            pass  # somebody else removes it too
        return None

    def put(self, data: bytes, private: Steps, target: Steps, *, step: str) -> None:
        """Make a small document whole or not at all: written and synced under `private`, then renamed, then durable."""
        file = self.create(private, step=f"{step}.create")
        try:
            file.write_at(0, memoryview(data), step=f"{step}.write")
            file.finish(step=f"{step}.finish")
            self.rename(private, target, step=f"{step}.rename")
        except BaseException:
            file.close_after_failure()
            self._discard(private, step=f"{step}.discard")
            raise
        self.sync_folder(target[:-1], step=step)

    def _discard(self, path: Steps, *, step: str) -> None:
        """Remove a private file while another error is on its way; where that fails too, a sweep removes it."""
        with suppress(FetchError):
            self.remove(path, step=step)


def _make_one(name: str, parent: int) -> bool:
    try:
        os.mkdir(name, PRIVATE_FOLDER, dir_fd=parent)
    except FileExistsError:
        return False
    return True


@contextmanager
def _opened(name: str, flags: int, parent: int | None = None) -> Iterator[int]:
    fd = os.open(name, flags, dir_fd=parent)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _where_a_folder_can_be(root: str) -> Iterator[None]:
    try:
        yield
    except NotADirectoryError:
        raise FetchError(
            Reason.STORAGE_UNSUITABLE, f"expected a folder for the store, got something else at or above '{root}'"
        ) from None


def _make_root(root: str) -> None:
    """Make the folder and those above it, each durable in its parent."""
    parent, _, _ = root.rstrip("/").rpartition("/")
    if parent and not os.path.isdir(parent):
        _make_root(parent)
    try:
        os.mkdir(root)
    except FileExistsError:
        return
    with _opened(parent or ("/" if root.startswith("/") else "."), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) as fd:
        os.fsync(fd)
