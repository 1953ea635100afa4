"""Large reads and writes of private files past the page cache (O_DIRECT), where the file system is known to do so.

What is downloaded is not read again soon, and its cache counts against a Pod's memory. Without it there is no copy in
the kernel, nothing to evict, and nothing is left to be flushed when a file is finished (docs/decisions/0013).
"""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from threading import Lock

FILE_SYSTEMS = frozenset({"ext4", "xfs"})
"""Those that the tests cut the power of. Over a network each such write would wait for the server's disk."""

BLOCK_BYTES = 4096
"""Offsets, sizes and addresses are multiples of this; also on disks with blocks of 512 bytes."""

LEAST_BYTES = 1024 * 1024
"""Less than this goes through the cache: to wait for the disk pays for large pieces only."""

_FLAGS = os.O_RDWR | os.O_DIRECT | os.O_CLOEXEC


class DirectAccess:
    """A second descriptor of the file open as `fd`, made for its first large piece; several threads may use it."""

    def __init__(self, fd: int) -> None:
        self._source = fd
        self._fd: int | None = None
        self._is_refused = False
        self._lock = Lock()

    def write_some(self, data: memoryview, offset: int) -> int | None:
        """Return how many bytes of `data` now stand at `offset`, None where they have to go through the cache.

        Raises OSError as the volume answers.
        """
        return self._move(os.pwrite, data, offset)

    def read_some(self, room: memoryview, offset: int) -> int | None:
        """Return how many bytes of `room` now are those at `offset`, None where they have to go through the cache.

        Raises OSError as the volume answers.
        """
        return self._move(lambda fd, part, start: os.preadv(fd, [part], start), room, offset)

    def _move(self, move: Callable[[int, memoryview, int], int], memory: memoryview, offset: int) -> int | None:
        size = len(memory) - len(memory) % BLOCK_BYTES
        fd = None if size < LEAST_BYTES or offset % BLOCK_BYTES else self._opened()
        if fd is None:
            return None
        try:
            return move(fd, memory[:size], offset)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self._is_refused = True  # memory that does not start on a page, or a disk of larger blocks
            return None

    def close(self) -> None:
        """Give the descriptor back; nobody writes any more."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def _opened(self) -> int | None:
        with self._lock:
            if self._fd is None and not self._is_refused:
                self._fd = _open_again(self._source)
                self._is_refused = self._fd is None
            return None if self._is_refused else self._fd


def _open_again(fd: int) -> int | None:
    if _file_system(os.fstat(fd).st_dev) not in FILE_SYSTEMS:
        return None
    try:
        return os.open(f"/proc/self/fd/{fd}", _FLAGS)
    except OSError:
        return None


@cache
def _file_system(device: int) -> str:
    """Return the type of what is mounted from a device, empty where nobody says."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    with suppress(OSError), open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:
        for line in mounts:
            # proc(5): id, parent, major:minor, root, mount point, options, optional fields, "-", type, ...
            fields = line.split(" ")
            if fields[2] == wanted:
                return fields[fields.index("-") + 1]
    return ""
