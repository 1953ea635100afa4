"""What a name on a volume stands for: the answer of stat() in, the few things that a store asks of it out."""

import os
import stat
from dataclasses import dataclass

_WRITE_BITS = 0o222


@dataclass(frozen=True)
class Facts:
    """What a name stands for, links not followed. `modified_s` is in the volume's own clock."""

    inode: tuple[int, int]
    mode: int
    size: int
    modified_s: float

    @property
    def is_file(self) -> bool:
        """True for a regular file."""
        return stat.S_ISREG(self.mode)

    @property
    def is_folder(self) -> bool:
        """True for a directory."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_link(self) -> bool:
        """True for a symbolic link."""
        return stat.S_ISLNK(self.mode)

    @property
    def is_writable(self) -> bool:
        """True if anybody may open it for writing by its permissions."""
        return bool(stat.S_IMODE(self.mode) & _WRITE_BITS)


def facts_of(result: os.stat_result) -> Facts:
    """Return what a store asks of `result`."""
    return Facts((result.st_dev, result.st_ino), result.st_mode, result.st_size, result.st_mtime)
