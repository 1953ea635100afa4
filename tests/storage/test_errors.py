"""Volumes that answer with errors: of the disk below, of the network between, of a moment, or not at all."""

import errno

import pytest

from modelfetch.api.order import OrderTransfer
from modelfetch.reasons import Reason
from tests.loopback import published_files
from tests.storage.ground import BLOB, LARGE, MODEL, WEIGHTS, Ground
from tests.storage.mounts import Call
from tests.storage.rules import Rule

FILES = "ingest/*/file-*"
"""The private files that a fetch writes what it receives into."""


USES = ("read", "write", "fsync")


def since_failure(calls: list[Call]) -> list[Call]:
    """Return the calls from the first one on that was answered with an error of the disk."""
    return calls[[call.code for call in calls].index(errno.EIO) :]


def blob_inode(ground: Ground) -> int:
    """Return the inode under the digest name of the weights."""
    return (ground.volume.below / BLOB).stat().st_ino


def test_f51_eio_on_read_of_a_published_blob(ground: Ground) -> None:
    """What cannot be read any more is set aside and fetched again, for whoever asks next; readers keep their file."""
    assert ground.fetch().ok
    before, sent = blob_inode(ground), ground.sent()
    ground.volume.break_down(Rule("read", BLOB, errno=errno.EIO))
    report = ground.fetch("again", "model")

    assert (True, sent + len(WEIGHTS)) == (report.ok, ground.sent()), report.message
    assert before != blob_inode(ground)
    assert MODEL == published_files(ground.volume.below, "model") == published_files(ground.volume.below, "again")
    ground.require_good_end("model")
    assert (ground.volume.below / BLOB).samefile(ground.volume.below / "models/tests/model/current/model.safetensors")


def test_f51_eio_on_read_of_a_manifest(ground: Ground) -> None:
    """A document of the store that cannot be read is told as the disk's error; nothing is taken for missing."""
    assert ground.fetch().ok
    ground.volume.break_down(Rule("read", "manifests/*", errno=errno.EIO))
    report = ground.fetch()

    assert Reason.STORAGE_IO_ERROR is report.reason
    assert (MODEL, []) == (published_files(ground.volume.below), ground.wrong())
    ground.require_good_end()


@pytest.mark.parametrize("nth", [1, 2])
def test_f52_eio_on_write(ground: Ground, nth: int) -> None:
    """A file of which a write was lost is never synced, never published, and never gone on with."""
    ground.volume.break_down(Rule("write", FILES, nth=nth, errno=errno.EIO))
    report = ground.fetch()
    calls = ground.volume.calls()
    broken = {call.inode for call in calls if call.op == "write" and call.code == errno.EIO}

    ground.require_refused(report, Reason.STORAGE_IO_ERROR)
    later = [*calls, *ground.volume.calls()]
    assert set() == broken & {call.inode for call in later if call.op == "fsync"}
    assert set() == broken & {call.inode for call in ground.volume.calls() if call.op == "write"}


def test_f52_eio_on_fsync(ground: Ground) -> None:
    """The kernel forgets what it could not write and calls it clean: the file is discarded and never synced again."""
    ground.volume.break_down(Rule("fsync", FILES, errno=errno.EIO, times=1, lie="lost"))
    report = ground.fetch()
    ground.require_refused(report, Reason.STORAGE_IO_ERROR)
    calls = ground.volume.calls()
    failed = next(call.inode for call in calls if call.code == errno.EIO)

    assert ["fsync"] == [call.op for call in since_failure(calls) if call.inode == failed and call.op in USES]


def test_f52_eio_on_fsync_in_the_midst_of_a_file(ground: Ground) -> None:
    """The same where the bytes received so far are made durable while more are coming: the next attempt begins anew."""
    ground.volume.break_down(Rule("fsync", FILES, errno=errno.EIO, times=1, lie="lost"))
    report = ground.fetch("large", transfer=OrderTransfer(bandwidth_bytes_per_s=4_000_000))
    ground.require_refused(report, Reason.STORAGE_IO_ERROR, "large")
    calls = ground.volume.calls()
    failed = next(call.inode for call in calls if call.code == errno.EIO)

    assert "'file.checkpoint'" in (report.message or "")
    assert 1 == sum(call.op == "fsync" and call.inode == failed for call in calls)


def test_f52_eio_on_fsync_of_a_folder(ground: Ground) -> None:
    """A name that may not be durable is not called published; the next fetch makes it so."""
    ground.volume.break_down(Rule("fsyncdir", "blobs/*", errno=errno.EIO))

    ground.require_refused(ground.fetch(), Reason.STORAGE_IO_ERROR)


def test_f53_short_writes(ground: Ground) -> None:
    """A volume that takes a part of each write gets the rest in further ones."""
    ground.volume.break_down(Rule("write", FILES, short=100_001))

    assert ground.fetch().ok
    assert len(WEIGHTS) // 100_001 < len(ground.volume.calls("write", FILES))
    ground.require_good_end()


@pytest.mark.parametrize("op", ["write", "fsync", "open", "create", "fsyncdir"])
def test_f53_eintr(ground: Ground, op: str) -> None:
    """A call that a signal interrupted is asked again."""
    ground.volume.break_down(Rule(op, "ingest*" if op != "fsyncdir" else "blobs/*", times=2, errno=errno.EINTR))

    assert ground.fetch().ok
    assert 2 == sum(call.code == errno.EINTR for call in ground.volume.calls(op))
    ground.require_good_end()


def test_f53_eagain(ground: Ground) -> None:
    """A write that the volume cannot take at the moment is asked again, and again."""
    ground.volume.break_down(Rule("write", FILES, times=3, errno=errno.EAGAIN))

    assert ground.fetch().ok
    assert 3 == sum(call.code == errno.EAGAIN for call in ground.volume.calls("write"))
    ground.require_good_end()


def test_f53_eagain_for_ever(ground: Ground) -> None:
    """A volume that never takes a write is told as the disk's error; nobody waits for ever."""
    ground.volume.break_down(Rule("write", FILES, errno=errno.EAGAIN))

    ground.require_refused(ground.fetch(), Reason.STORAGE_IO_ERROR)


@pytest.mark.parametrize("code", [errno.ESTALE, errno.ETIMEDOUT], ids=errno.errorcode.get)
@pytest.mark.parametrize("op", ["lookup", "write", "fsync", "rename", "readdir"])
def test_f56_server_of_the_volume_is_gone(ground: Ground, op: str, code: int) -> None:
    """A volume whose server answers no more is told as unavailable, in few calls: nothing is asked in a loop."""
    ground.volume.break_down(
        Rule(op, "ingest*" if op != "lookup" else "blobs/*", errno=code), Rule("unlink,rmdir", errno=code)
    )
    report = ground.fetch()

    assert 60 > len([call for call in ground.volume.calls() if call.code == code])
    ground.require_refused(report, Reason.STORAGE_UNAVAILABLE, can_tidy=False)


@pytest.mark.parametrize("op", ["rename", "link", "mkdir"])
def test_f56_answer_is_lost_though_the_call_was_carried_out(ground: Ground, op: str) -> None:
    """A call whose answer was lost is taken for failed; that it was carried out harms nobody."""
    ground.volume.break_down(Rule(op, "[!i]*", errno=errno.ETIMEDOUT, after=True))

    ground.require_refused(ground.fetch("large"), Reason.STORAGE_UNAVAILABLE, "large")
    assert LARGE == published_files(ground.volume.below, "large")
