"""Stores changed by a hand, a cosmic ray or an administrator: each damage is found, and mended from the source."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from modelfetch.api.order import RemovalTarget, RemoveOrder
from modelfetch.reasons import Reason
from tests.loopback import fetch, published_files
from tests.storage.ground import BLOB, MODEL, WEIGHTS, Ground
from tests.unit.store import samples

TREE = "models/tests/model"


def the_manifest(root: Path) -> Path:
    """Return the manifest of the model."""
    key = os.readlink(root / TREE / "current").rpartition("-")[2]
    return next(root.glob(f"manifests/sha256/{key}*"))


def flip(path: Path, chance: random.Random) -> None:
    """Flip one bit of a file, as a disk does: mode and times stay."""
    found, data = path.stat(), bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(found.st_mode & 0o777)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


@pytest.mark.parametrize("seed", range(5))
def test_f60_a_flipped_bit_in_a_blob(ground: Ground, seed: int) -> None:
    """The next fetch of the content reads it again, finds the damage, and brings fresh bytes for all who link to it."""
    assert ground.fetch().ok
    sent = ground.sent()
    flip(ground.volume.below / BLOB, random.Random(seed))
    report = ground.fetch()

    assert (True, sent + len(WEIGHTS)) == (report.ok, ground.sent())
    ground.require_good_end()


@pytest.mark.parametrize("seed", range(5))
def test_f60_a_flipped_bit_in_a_manifest(ground: Ground, seed: int) -> None:
    """A removal, which must know what is needed, refuses to go on; the next fetch writes the manifest again."""
    assert ground.fetch().ok
    flip(the_manifest(ground.volume.below), random.Random(seed))
    target = RemovalTarget(namespace="tests", name="kept", owner="uid-1")
    report = fetch(RemoveOrder(targets=(target,)), ground.volume.path)

    assert (Reason.STORE_CORRUPT, False) == (report.reason, report.ok)
    assert ground.fetch().ok
    ground.require_good_end()


@pytest.mark.parametrize("name", ["store.json", f"{TREE}/owner.json"])
@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"{", b"[]", b'{"id":"\xff"}'])
def test_f60_documents_that_are_none(ground: Ground, name: str, content: bytes) -> None:
    """A store's own record is never made anew, as nobody knows what it said; a model's is, by the next fetch."""
    assert ground.fetch().ok
    path = ground.volume.below / name
    path.chmod(0o644)
    path.write_bytes(content)
    report = ground.fetch()

    assert MODEL == published_files(ground.volume.below)
    assert (None if "owner" in name else Reason.STORE_CORRUPT) is report.reason
    assert report.ok is True or "store.json" in (report.message or "")


def test_f60_an_alias_that_leads_to_other_content(ground: Ground) -> None:
    """git's id of a small file is only a hint: what it leads to is hashed before it is used."""
    assert ground.fetch().ok
    alias = ground.volume.below.joinpath("blobs", "git").glob("*/*")
    for path in alias:
        path.unlink()
        path.symlink_to(f"../../../{BLOB}")
    report = ground.fetch()

    assert report.ok, report.message
    assert ground.fetch("kept").ok
    ground.require_good_end()


DELETED: dict[str, Callable[[Path], object]] = {
    "blob": lambda root: (root / BLOB).unlink(),
    "blobs": lambda root: shutil.rmtree(root / "blobs"),
    "manifest": lambda root: the_manifest(root).unlink(),
    "manifests": lambda root: shutil.rmtree(root / "manifests"),
    "file of the tree": lambda root: (root / TREE / "current" / "config.json").unlink(),
    "tree": lambda root: shutil.rmtree((root / TREE / "current").resolve()),
    "current": lambda root: (root / TREE / "current").unlink(),
    "owner": lambda root: (root / TREE / "owner.json").unlink(),
    "model": lambda root: shutil.rmtree(root / TREE),
    "ingest": lambda root: shutil.rmtree(root / "ingest"),
    "trash": lambda root: shutil.rmtree(root / "trash"),
    "store.json": lambda root: (root / "store.json").unlink(),
    "claim": lambda root: (root / ".store-id").unlink(),
}


@pytest.mark.parametrize("what", DELETED)
def test_f61_deleted_by_hand(ground: Ground, what: str) -> None:
    """Whatever was taken away, the next fetch puts the model back whole, and no blob is fetched that is still there."""
    assert ground.fetch().ok
    sent = ground.sent()
    DELETED[what](ground.volume.below)
    report = ground.fetch()

    assert report.ok, report.message
    assert MODEL == published_files(ground.volume.below)
    assert sent + (len(WEIGHTS) if what in ("blob", "blobs") else 0) == ground.sent()
    assert [] == samples.leftovers(ground.volume.below)
    assert ground.fetch("kept").ok
    ground.require_good_end()


def test_f61_everything_deleted_by_hand(ground: Ground) -> None:
    """An empty folder is a new store."""
    assert ground.fetch().ok
    for path in ground.volume.below.iterdir():
        path.unlink() if path.is_symlink() or path.is_file() else shutil.rmtree(path)

    assert ground.fetch().ok
    assert ground.fetch("kept").ok
    ground.require_good_end()
