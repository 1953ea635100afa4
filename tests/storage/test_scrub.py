"""A store that is read through while disks rot and others work on it; and rot in what a broken-off fetch has left."""

import errno
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelfetch.devcluster.hub import FixtureHub
from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store.findings import Kind
from modelfetch.store.fs import Filesystem
from modelfetch.store.store import look
from modelfetch.store.verify import Outcome, Request, Watch, verify
from tests.loopback import published_files
from tests.storage.ground import BLOB, LARGE, MODEL, Ground
from tests.storage.mounts import mounted
from tests.storage.rules import Rule
from tests.storage.test_races import remove
from tests.storage.test_rot import flip

ROUNDS = 4
REPAIR = Request(is_full=True, repair=True)
ROTTEN = (
    "blobs/sha256/*/*",
    "blobs/blake3/*/*",
    "manifests/sha256/*",
    "models/*/*/owner.json",
    "store.json",
)
"""Every kind of file in a store."""


def scrub(root: Path, request: Request = Request()) -> Outcome:  # noqa: B008 - frozen
    """Return what a look at a store shows; where somebody is at work, it looks again after its two seconds."""
    with look(str(root), Filesystem()) as volume:
        return verify(volume, request, Watch(pause=threading.Event().wait))


def is_found(root: Path) -> bool:
    """Whether a look at a store shows that something is wrong."""
    try:
        return bool(scrub(root).findings)
    except FetchError as error:
        return error.reason is Reason.STORE_CORRUPT


def test_f51_a_scrub_tells_what_cannot_be_read(ground: Ground) -> None:
    """A block that the disk gives no more is a finding with its path and who uses it."""
    assert ground.fetch().ok
    ground.volume.break_down(Rule("read", BLOB, errno=errno.EIO))
    outcome = scrub(ground.volume.path)

    assert {(BLOB, Kind.UNREADABLE)} == {(finding.path, finding.kind) for finding in outcome.findings}
    ground.volume.lift()
    assert () == scrub(ground.volume.path).findings


@pytest.mark.parametrize("pattern", ROTTEN)
def test_f60_a_scrub_finds_every_flipped_bit(ground: Ground, pattern: str) -> None:
    """One bit anywhere in any file of the store is found, and nothing is found once it is as it was."""
    assert ground.fetch("large").ok
    chance, files = random.Random(60), list(ground.volume.below.glob(pattern))
    assert files
    for path in files * 3:
        before = path.read_bytes()
        flip(path, chance)
        assert is_found(ground.volume.path), path
        mode = path.stat().st_mode & 0o777
        path.chmod(0o644)
        path.write_bytes(before)
        path.chmod(mode)
    assert () == scrub(ground.volume.path).findings


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["journal", "file-*"])
def test_f60_a_flipped_bit_in_what_a_fetch_has_left(ground: Ground, name: str, seed: int) -> None:
    """Neither journal nor bytes of an earlier attempt are believed: what does not fit is fetched again."""
    ground.volume.break_down(Rule("write", "ingest/*/file-*", nth=9, errno=errno.ENOSPC))
    assert Reason.INSUFFICIENT_STORAGE is ground.fetch("large").reason
    (path,) = ground.volume.below.glob(f"ingest/*/{name}")
    flip(path, random.Random(seed))

    ground.require_good_end("large")
    assert LARGE == published_files(ground.volume.below, "large")


def test_f91_a_scrub_while_others_publish_and_remove(ground: Ground, hub: FixtureHub, tmp_path: Path) -> None:
    """On another node models come and go: nothing of that is taken for damage, and nothing published is touched."""
    assert ground.fetch().ok
    over = threading.Event()
    with mounted(ground.volume.below, tmp_path / "other") as volume, ThreadPoolExecutor(1) as pool:
        other = Ground(volume, hub)
        try:
            looks = pool.submit(lambda: [scrub(volume.path, REPAIR).findings for _ in iter(over.is_set, True)])
            for number in range(ROUNDS):
                assert ground.fetch(f"round-{number}", "large").ok
                assert other.fetch(f"again-{number}", "model").ok
                assert remove(ground, f"round-{number}").ok
                assert remove(other, f"again-{number}").ok
        finally:
            over.set()

    assert {()} == set(looks.result())
    assert (MODEL, []) == (published_files(ground.volume.below), ground.wrong())
