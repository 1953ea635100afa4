"""What a volume's errors mean: an OSError in, a FetchError with a reason, what was tried and where out."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store.layout import Steps

_REASONS = {
    errno.ENOSPC: Reason.INSUFFICIENT_STORAGE,
    errno.EDQUOT: Reason.QUOTA_EXCEEDED,
    errno.EROFS: Reason.STORAGE_READ_ONLY,
    errno.EACCES: Reason.STORAGE_READ_ONLY,
    errno.ESTALE: Reason.STORAGE_UNAVAILABLE,
    errno.ETIMEDOUT: Reason.STORAGE_UNAVAILABLE,
    errno.ENOTCONN: Reason.STORAGE_UNAVAILABLE,
    errno.ESHUTDOWN: Reason.STORAGE_UNAVAILABLE,
    errno.EHOSTDOWN: Reason.STORAGE_UNAVAILABLE,
    errno.EHOSTUNREACH: Reason.STORAGE_UNAVAILABLE,
    errno.EPERM: Reason.STORAGE_UNSUITABLE,
    errno.EOPNOTSUPP: Reason.STORAGE_UNSUITABLE,
    errno.ENOSYS: Reason.STORAGE_UNSUITABLE,
    errno.EINVAL: Reason.STORAGE_UNSUITABLE,
    errno.EXDEV: Reason.STORAGE_UNSUITABLE,
    errno.EMLINK: Reason.STORAGE_UNSUITABLE,
    errno.ELOOP: Reason.STORE_CORRUPT,
    errno.ENOTDIR: Reason.STORE_CORRUPT,
    errno.EISDIR: Reason.STORE_CORRUPT,
    errno.ENOTEMPTY: Reason.STORE_CORRUPT,
    errno.EEXIST: Reason.STORE_CORRUPT,
    errno.ENAMETOOLONG: Reason.PATH_REJECTED,
}
"""All other errors (EIO, …) are StorageIOError: another try may help."""


class Vanished(FetchError):
    """Something that was there is gone: another program removed it."""


@dataclass(frozen=True)
class Room:
    """What is free for an ordinary user; `inodes` is None where the volume does not count them."""

    size_bytes: int
    inodes: int | None


@contextmanager
def explained(step: str, path: Steps, room: Callable[[], Room | None]) -> Iterator[None]:
    """Turn an OSError of the block into a FetchError; `room` is asked only when the volume is full."""
    try:
        yield
    except OSError as error:
        raise _explain(error, step, path, room) from error


def _explain(error: OSError, step: str, path: Steps, room: Callable[[], Room | None]) -> FetchError:
    number = error.errno or 0
    name = errno.errorcode.get(number, "unknown")
    message = f"expected '{step}' to succeed, got {name} ({os.strerror(number)}) at '{'/'.join(path)}'"
    if number == errno.ENOENT:
        return Vanished(Reason.STORAGE_IO_ERROR, message)
    reason = _REASONS.get(number, Reason.STORAGE_IO_ERROR)
    free = room() if reason is Reason.INSUFFICIENT_STORAGE else None
    if free is not None:
        message += f"; {free.size_bytes} bytes free"
        message += f" and {free.inodes} inodes free" if free.inodes is not None else ""
    return FetchError(reason, message)
