"""A volume that is not the one it was: another's, a newer one's, an empty one, or itself of yesterday."""

import json
import shutil
from pathlib import Path

import pytest

from modelfetch.api.order import RemovalTarget, RemoveOrder
from modelfetch.reasons import Reason
from modelfetch.report import Report
from tests.loopback import fetch, published_files
from tests.storage.ground import KEPT, MODEL, Ground

TARGET = RemovalTarget(namespace="tests", name="kept", owner="uid-1")


def content(root: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def empty(root: Path) -> None:
    """Remove everything from a folder."""
    for path in root.iterdir():
        path.unlink() if path.is_symlink() or path.is_file() else shutil.rmtree(path)


def remove(ground: Ground) -> Report:
    """Remove a model whose owner is gone."""
    return fetch(RemoveOrder(targets=(TARGET,)), ground.volume.path)


def make_foreign(root: Path) -> None:
    """Put other people's files in the store's place."""
    empty(root)
    (root / "photographs").mkdir()
    (root / "photographs" / "cat.jpg").write_bytes(b"irreplaceable")


def make_newer(root: Path) -> None:
    """Let the store be one of a newer layout."""
    path = root / "store.json"
    known = json.loads(path.read_bytes())
    path.chmod(0o644)
    path.write_text(json.dumps({**known, "layoutVersion": 2}))


@pytest.mark.parametrize(
    ("swap", "reason"), [(make_foreign, Reason.STORAGE_UNSUITABLE), (make_newer, Reason.VERSION_SKEW)]
)
def test_f62_a_volume_that_is_none_of_ours(ground: Ground, swap, reason: Reason) -> None:
    """Neither a fetch nor a removal writes to it or takes anything away."""
    swap(ground.volume.below)
    before = content(ground.volume.below)

    assert [reason, reason] == [ground.fetch().reason, remove(ground).reason]
    assert before == content(ground.volume.below)


def test_f62_an_empty_volume_in_place_of_the_store(ground: Ground) -> None:
    """It becomes a store of its own: nothing is taken for published on it, and each fetch brings what it needs."""
    empty(ground.volume.below)

    assert ground.fetch().ok
    assert (MODEL, {}) == (published_files(ground.volume.below), published_files(ground.volume.below, "kept"))
    assert remove(ground).ok
    assert ground.fetch("kept").ok
    ground.require_good_end()


def test_f63_a_snapshot_of_yesterday(ground: Ground, tmp_path: Path) -> None:
    """What came since is missing, and the next fetch brings it; what was there already is not fetched again."""
    snapshot = tmp_path / "snapshot"
    shutil.copytree(ground.volume.below, snapshot, symlinks=True)
    assert ground.fetch().ok
    empty(ground.volume.below)
    shutil.copytree(snapshot, ground.volume.below, symlinks=True, dirs_exist_ok=True)
    assert {} == published_files(ground.volume.below)
    sent = ground.sent()

    assert ground.fetch("kept").ok
    assert (sent, KEPT) == (ground.sent(), published_files(ground.volume.below, "kept"))
    ground.require_good_end()
