"""What a volume's errors mean."""

import errno

import pytest

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store.faults import Room, Vanished, explained

ROOM = Room(4096, 7)


def caught(code: int) -> FetchError:
    with pytest.raises(FetchError) as refused, explained("blob.link", ("blobs", "x"), lambda: ROOM):
        raise OSError(code, "whatever the library says")
    return refused.value


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.ENOSPC, Reason.INSUFFICIENT_STORAGE),
        (errno.EDQUOT, Reason.QUOTA_EXCEEDED),
        (errno.EROFS, Reason.STORAGE_READ_ONLY),
        (errno.EACCES, Reason.STORAGE_READ_ONLY),
        (errno.EPERM, Reason.STORAGE_UNSUITABLE),
        (errno.EOPNOTSUPP, Reason.STORAGE_UNSUITABLE),
        (errno.EXDEV, Reason.STORAGE_UNSUITABLE),
        (errno.EMLINK, Reason.STORAGE_UNSUITABLE),
        (errno.EIO, Reason.STORAGE_IO_ERROR),
        (errno.ESTALE, Reason.STORAGE_UNAVAILABLE),
        (errno.ETIMEDOUT, Reason.STORAGE_UNAVAILABLE),
        (errno.ENOTCONN, Reason.STORAGE_UNAVAILABLE),
        (errno.ESHUTDOWN, Reason.STORAGE_UNAVAILABLE),
        (errno.EHOSTDOWN, Reason.STORAGE_UNAVAILABLE),
        (errno.EHOSTUNREACH, Reason.STORAGE_UNAVAILABLE),
        (errno.ENOENT, Reason.STORAGE_IO_ERROR),
        (errno.ELOOP, Reason.STORE_CORRUPT),
        (errno.ENOTDIR, Reason.STORE_CORRUPT),
        (errno.ENAMETOOLONG, Reason.PATH_REJECTED),
    ],
    ids=lambda value: errno.errorcode[value] if isinstance(value, int) else "",
)
def test_the_reason_of_an_error(code: int, reason: Reason) -> None:
    """Each error of a volume has one reason, with the step, the error's name and the place."""
    error = caught(code)

    assert reason == error.reason
    assert all(word in error.message for word in ("'blob.link'", errno.errorcode[code], "'blobs/x'"))


def test_a_full_volume_says_what_is_free() -> None:
    """Somebody who reads the message knows whether bytes or inodes are short."""

    assert caught(errno.ENOSPC).message.endswith("; 4096 bytes free and 7 inodes free")


def test_something_gone_can_be_told_apart() -> None:
    """A publisher starts over when a removal took something, and only then."""

    assert isinstance(caught(errno.ENOENT), Vanished)
    assert not isinstance(caught(errno.EIO), Vanished)


def test_other_exceptions_pass() -> None:
    """Only the volume's errors are explained."""
    with pytest.raises(KeyError), explained("x", (), lambda: None):
        raise KeyError("x")
