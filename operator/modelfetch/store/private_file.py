"""A file of one writer on a volume: bytes at offsets, made durable, closed for good before anybody else sees it.

Comes in: a descriptor that fs.py opened. Goes out: what stands in the file, or a FetchError as the volume answers.
"""

import errno
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store.direct import DirectAccess
from modelfetch.store.facts import Facts, facts_of
from modelfetch.store.faults import Room, explained
from modelfetch.store.layout import Steps
from modelfetch.store.readable import read_fully

Hook = Callable[[str], None]

PUBLIC_FILE = 0o444

_AGAIN_LIMIT = 50
_AGAIN_S = 0.02
"""A volume that takes nothing of a write for a second, in spite of 50 calls, is broken; by gut."""
_NO_ROOM = (Reason.INSUFFICIENT_STORAGE, Reason.QUOTA_EXCEEDED)


class PrivateFile:
    """A file of one writer, open for writing until it is finished."""

    def __init__(self, fd: int, path: Steps, crash: Hook, room: Callable[[], Room | None]) -> None:
        self.path = path
        self._fd = fd
        self._crash = crash
        self._room = room
        self._direct = DirectAccess(fd)
        self._writers = 0
        self._idle = threading.Condition()
        self._doubt: FetchError | None = None

    @property
    def is_open(self) -> bool:
        """True until the descriptor was given back."""
        return self._fd >= 0

    @property
    def is_suspect(self) -> bool:
        """True once bytes were lost: the file is good for nothing any more."""
        return self._doubt is not None

    @contextmanager
    def _relied_on(self, step: str, harmless: tuple[Reason, ...] = ()) -> Iterator[None]:
        """Remember an error of the block, except for `harmless` ones: nobody writes or syncs the file after it.

        A kernel marks pages that it could not write as clean: an fsync that is asked again reports success.
        """
        if self._doubt is not None:
            raise self._doubt
        try:
            with explained(step, self.path, self._room):
                yield
        except FetchError as error:
            self._doubt = None if error.reason in harmless else error
            raise

    @contextmanager
    def _writing(self) -> Iterator[int]:
        """Keep the descriptor from being closed, and its number from becoming another file's, under a writer."""
        with self._idle:
            if not self.is_open:
                raise FetchError(Reason.INTERNAL, f"expected an open file, got a late write at '{'/'.join(self.path)}'")
            self._writers += 1
        try:
            yield self._fd
        finally:
            with self._idle:
                self._writers -= 1
                self._idle.notify_all()

    def write_at(self, offset: int, data: memoryview, *, step: str) -> None:
        """Write all of `data` at `offset` bytes, however many calls it takes; several threads may write at once."""
        with self._writing() as fd, self._relied_on(step, harmless=_NO_ROOM):
            self._crash(f"before {step}")
            while data:
                written = self._direct.write_some(data, offset) or _write_some(fd, data, offset)
                offset += written
                data = data[written:]
            self._crash(f"after {step}")

    def read_at(self, offset: int, room: memoryview, *, step: str) -> int:
        """Fill `room` with the bytes at `offset`; return how many there were before the file's end."""
        with self._writing() as fd, explained(step, self.path, self._room):
            taken = self._direct.read_some(room, offset) or 0
            return taken + read_fully(fd, offset + taken, room[taken:])

    def sync(self, *, step: str) -> None:
        """Make the bytes written so far durable; the file stays open.

        An error means that the content is unknown: never sync again, discard the file.
        """
        with self._writing() as fd, self._relied_on(step):
            self._crash(f"before {step}")
            os.fdatasync(fd)
            self._crash(f"after {step}")

    def drop_cache(self, size_bytes: int) -> None:
        """Let the kernel forget the first `size_bytes`, which were synced: they count against a Pod's memory."""
        with self._writing() as fd, explained("forget", self.path, self._room):
            os.posix_fadvise(fd, 0, size_bytes, os.POSIX_FADV_DONTNEED)

    def touch(self) -> None:
        """Set the file's time to the volume's now."""
        with self._writing() as fd, explained("touch", self.path, self._room):
            os.utime(fd)

    def require_private(self) -> None:
        """Return when nothing but this name leads to a regular file; raises FetchError(StoreCorrupt)."""
        found = os.fstat(self._fd)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise FetchError(
                Reason.STORE_CORRUPT, f"expected a regular file with one name, got another at '{'/'.join(self.path)}'"
            )

    def truncate(self, size_bytes: int, *, step: str) -> None:
        """Cut or extend the file to `size_bytes`."""
        with self._writing() as fd, explained(step, self.path, self._room):
            self._crash(f"before {step}")
            os.ftruncate(fd, size_bytes)
            self._crash(f"after {step}")

    def size_bytes(self) -> int:
        """Return the size as it is now."""
        with self._writing() as fd, explained("look", self.path, self._room):
            return os.fstat(fd).st_size

    def finish(self, *, step: str) -> Facts:
        """Make content and mode durable, close the file, and return what was closed.

        The mode comes before the fsync: one made read-only afterwards could come back private after a power cut, and
        nobody else could read it. An error means that the content is unknown: discard the file, an fsync that is
        asked again reports success for pages that were lost.
        """
        with self._relied_on(step):
            self._crash(f"before {step}.mode")
            os.fchmod(self._fd, PUBLIC_FILE)
            self._crash(f"before {step}.sync")
            os.fsync(self._fd)
            self._crash(f"after {step}.sync")
            found = facts_of(os.fstat(self._fd))
            self._close()
            self._crash(f"after {step}.close")
        if self._doubt is not None:
            raise self._doubt  # another thread's sync has met the error, which a kernel tells once
        return found

    def release(self, *, step: str) -> None:
        """Make the file readable for everybody and close it; a power cut may still tear its content: for hints."""
        with explained(step, self.path, self._room):
            self._crash(f"before {step}.mode")
            os.fchmod(self._fd, PUBLIC_FILE)
            self._close()
            self._crash(f"after {step}.close")

    def close(self) -> None:
        """Give the descriptor back; nothing is promised about the content. A second call does nothing."""
        if self.is_open:
            with explained("close", self.path, self._room):
                self._close()

    def close_after_failure(self) -> None:
        """Give the descriptor back while another error is on its way."""
        if self.is_open:
            try:
                self._close()
            except OSError:
                return  # the file is discarded, what close() says about it changes nothing

    def _close(self) -> None:
        with self._idle:
            self._idle.wait_for(lambda: self._writers == 0)
            fd, self._fd = self._fd, -1
        self._direct.close()
        os.close(fd)


def _write_some(fd: int, data: memoryview, offset: int) -> int:
    """Return how many bytes were written, at least one; raises OSError, EIO where the volume takes none for long."""
    for _ in range(_AGAIN_LIMIT):
        try:
            if written := os.pwrite(fd, data, offset):
                return written
        except BlockingIOError:
            pass
        time.sleep(_AGAIN_S)
    raise OSError(errno.EIO, os.strerror(errno.EIO))
