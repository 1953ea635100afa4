"""What a volume can do is found out by doing it."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store.fs import Filesystem
from modelfetch.store.probe import Links
from modelfetch.store.store import Store
from tests.unit.store import samples


def refusing(step: str, code: int) -> Callable[[str], None]:
    def hook(name: str) -> None:
        if name == f"before {step}":
            raise OSError(code, os.strerror(code))

    return hook


def test_an_ordinary_volume(root: Path) -> None:
    """A Linux file system has hard links and keeps modes; nothing is left of the trial."""
    with Store.open(str(root), Filesystem()) as store:
        assert (Links.HARD, True) == (store.links, store.capabilities.keeps_modes)
    assert [] == samples.leftovers(root)


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK], ids=errno.errorcode.get)
def test_a_volume_without_hard_links(code: int, root: Path) -> None:
    """Whatever the volume's way to say it, symbolic links are used then."""
    with Store.open(str(root), Filesystem(refusing("probe.link", code))) as store:
        assert Links.SYMBOLIC == store.links


@pytest.mark.parametrize(
    ("step", "code", "reason"),
    [
        ("probe.symlink", errno.EPERM, Reason.STORAGE_UNSUITABLE),
        ("probe.symlink", errno.EOPNOTSUPP, Reason.STORAGE_UNSUITABLE),
        ("probe.file.finish.sync", errno.EINVAL, Reason.STORAGE_UNSUITABLE),
        ("probe.file.sync", errno.EINVAL, Reason.STORAGE_UNSUITABLE),
        ("probe.move", errno.EXDEV, Reason.STORAGE_UNSUITABLE),
        ("probe.link", errno.EIO, Reason.STORAGE_IO_ERROR),
        ("probe.file.write", errno.ENOSPC, Reason.INSUFFICIENT_STORAGE),
        ("probe.file.create", errno.EROFS, Reason.STORAGE_READ_ONLY),
        ("probe.replace.rename", errno.EPERM, Reason.STORAGE_UNSUITABLE),
    ],
)
def test_a_volume_that_lacks_something(step: str, code: int, reason: Reason, root: Path) -> None:
    """The refusal comes when the store is opened, with the step that failed, before anything is downloaded."""
    with pytest.raises(FetchError) as refused:
        Store.open(str(root), Filesystem(refusing(step, code)))

    assert reason == refused.value.reason
    assert step.removesuffix(".sync").removesuffix(".finish") in refused.value.message
