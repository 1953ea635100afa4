"""Volumes that lack something, or say so: hard links, renames between folders, locks."""

import errno
import random
from pathlib import Path

import pytest

from modelfetch.reasons import Reason
from modelfetch.store.fs import Filesystem
from modelfetch.store.store import Store
from tests.loopback import fetch, from_hub, published_files
from tests.storage.ground import MODEL, Ground
from tests.storage.mounts import Volume, mounted
from tests.storage.rules import Rule
from tests.unit.store import samples

ROUNDS = 1000


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.EXDEV, errno.EMLINK], ids=errno.errorcode.get)
def test_f58_no_hard_links(ground: Ground, code: int) -> None:
    """Where the volume refuses hard links, trees are made of relative symlinks, with the same guarantees."""
    ground.volume.break_down(Rule("link", errno=code))
    report = ground.fetch()
    file = ground.volume.below / "models/tests/model/current/model.safetensors"

    assert report.ok, report.message
    assert (True, MODEL) == (file.is_symlink(), published_files(ground.volume.below))
    ground.require_good_end()


def test_f58_rename_across_volumes(ground: Ground) -> None:
    """A store that is made of several volumes cannot publish whole files: it is refused, and says which step failed."""
    ground.volume.break_down(Rule("rename", "manifests/*", errno=errno.EXDEV))
    report = ground.fetch()

    assert "EXDEV" in (report.message or "")
    ground.require_refused(report, Reason.STORAGE_UNSUITABLE)


def test_f58_a_folder_of_the_store_on_another_volume(ground: Ground, tmp_path: Path) -> None:
    """A store one of whose folders somebody has moved to another disk is refused before any byte is fetched."""
    root, sent = tmp_path / "store", ground.sent()
    with Store.open(str(root), Filesystem()):
        (root / "blobs").rename(tmp_path / "disk")
    with mounted(tmp_path / "disk", root / "blobs") as disk:
        report = fetch(from_hub(ground.hub, "org/model"), disk.path.parent)

    assert (Reason.STORAGE_UNSUITABLE, sent) == (report.reason, ground.sent())
    assert "'blobs/sha256'" in (report.message or "")


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, 0], ids=["ENOLCK", "ENOSYS", "granted"])
def test_f57_locks(ground: Ground, code: int) -> None:
    """No lock is asked for, so none that is refused, or given to everybody, can make anything wrong."""
    ground.volume.break_down(Rule("flock", errno=code, lie="" if code else "granted"))

    assert ground.fetch().ok
    assert [] == ground.volume.calls("flock")
    ground.require_good_end()


def go_on_after_the_other(root: Path, store: Store, number: int, chance: random.Random) -> None:
    """Two attempts write one content; the slow one goes on, with rubbish too, after the other has published."""
    data = number.to_bytes(4, "little") * chance.randrange(1, 2000)
    digest, middle = samples.sha256(data), chance.randrange(len(data))
    with store.ingest("slow", "uid") as one, store.ingest("fast", "uid") as other:
        slow, fast = one.create("0"), other.create("0")
        slow.write_at(0, memoryview(data)[:middle])
        fast.write_at(0, memoryview(data))
        store.blobs.commit(other, fast, digest, len(data))
        path = root / "blobs" / "sha256" / digest[:2] / digest
        slow.write_at(0, memoryview(b"rubbish of somebody who lost his lock"))
        assert data == path.read_bytes()
        if chance.random() < 0.5:
            slow.write_at(0, memoryview(data))
            slow.truncate(len(data))
            store.blobs.commit(one, slow, digest, len(data))
    assert data == path.read_bytes()
    path.unlink()


def test_f57_a_slow_writer_goes_on_after_the_other_has_published(memory: Path) -> None:
    """A thousand times, no byte of a late writer gets under a digest name: every writer has a file of its own."""
    chance = random.Random(57)
    with Store.open(str(memory), Filesystem()) as store:
        for number in range(ROUNDS):
            go_on_after_the_other(memory, store, number, chance)


def test_f57_a_slow_writer_on_a_volume_that_grants_every_lock(volume: Volume) -> None:
    """The same on two nodes' volume, where a lock would be given to both."""
    volume.break_down(Rule("flock", lie="granted"))
    chance = random.Random(58)
    with Store.open(str(volume.path), Filesystem()) as store:
        for number in range(20):
            go_on_after_the_other(volume.below, store, number, chance)
