"""A look at a store finds all that is wrong with it, calls it by its kind, and changes nothing unasked."""

import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelfetch.store.checkpoint import Checkpoint
from modelfetch.store.findings import Kind
from modelfetch.store.fs import Filesystem
from modelfetch.store.store import Store, look
from modelfetch.store.verify import Outcome, Request, Watch, verify
from modelfetch.transfer.segments import SEGMENT_BYTES
from tests.unit.store import samples
from tests.unit.store.damage import DAMAGES, Place
from tests.unit.store.samples import LLAMA, LLAMA_2, PHI

BIG = bytes(random.Random(1).randbytes(SEGMENT_BYTES + 1000))
BIG_2 = bytes(random.Random(2).randbytes(SEGMENT_BYTES + 77_777))
BIGS: samples.Content = {"one.safetensors": BIG, "two.safetensors": BIG_2, "config.json": LLAMA["config.json"]}
ROUNDS = 2
"""How often each kind of damage is done to each kind of store."""


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    """Return a folder in memory where there is one."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="modelfetch-") as folder:
        yield Path(folder)


def publish_all(store: Store) -> None:
    samples.publish(store, LLAMA)
    samples.publish(store, LLAMA_2, commit="d" * 40)
    samples.publish(store, PHI, samples.owner("phi"))
    samples.publish(store, BIGS, samples.owner("big"))


def run(root: Path, watch: Watch | None = None, checkpoint: Checkpoint | None = None, **request: object) -> Outcome:
    with look(str(root), Filesystem()) as volume:
        return verify(volume, Request(**request), watch or Watch(), checkpoint)  # type: ignore[arg-type]


def found(outcome: Outcome) -> set[tuple[str, Kind]]:
    return {(finding.path, finding.kind) for finding in outcome.findings}


def copied(source: Path, target: Path) -> Path:
    """Return a copy that keeps hard links, modes and links."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)
    return target


def everything(root: Path) -> dict[str, tuple[int, int, int]]:
    paths = [root, *root.rglob("*")]
    return {str(path): (path.lstat().st_ino, path.lstat().st_mtime_ns, path.lstat().st_mode) for path in paths}


@pytest.mark.parametrize("is_full", [False, True])
def test_a_sound_store_has_no_findings(store: Store, root: Path, is_full: bool) -> None:
    """Every blob is read once, and large ones get the sums that they lack."""
    publish_all(store)
    outcome = run(root, is_full=is_full, threads=2)
    contents = {samples.sha256(data): len(data) for content in (LLAMA, LLAMA_2, PHI, BIGS) for data in content.values()}

    assert () == outcome.findings
    assert (3, 4, len(contents), len(contents), sum(contents.values())) == (
        outcome.models,
        outcome.revisions,
        outcome.blobs,
        outcome.blobs_read,
        outcome.bytes_read,
    )
    assert 2 == outcome.sums_written == len(list(root.glob("blobs/blake3/*/*")))
    assert [] == samples.leftovers(root)


@pytest.mark.parametrize("is_full", [False, True])
def test_a_second_look_writes_nothing(store: Store, root: Path, is_full: bool) -> None:
    """Once sums are there, no byte, mode or time of the store changes."""
    publish_all(store)
    run(root)
    before = everything(root)
    outcome = run(root, is_full=is_full, threads=2)

    assert ((), 0) == (outcome.findings, outcome.sums_written)
    assert before == everything(root)


@pytest.mark.parametrize("has_sums", [True, False])
@pytest.mark.parametrize("is_full", [False, True])
def test_all_seeded_damage_is_found(store: Store, root: Path, quick: Path, is_full: bool, has_sums: bool) -> None:
    """Each of some hundred damages is found and called by its kind, by BLAKE3 and SHA-256, on both kinds of links."""
    publish_all(store)
    run(root)
    missed = []
    for seed in range(ROUNDS):
        for name, damage in DAMAGES.items():
            place = Place(copied(root, quick / "copy"), random.Random(f"{seed} {name}"))
            expected = damage(place)
            if not has_sums and "sums" not in name:
                shutil.rmtree(place.root / "blobs" / "blake3")
            actual = found(run(place.root, is_full=is_full, threads=2))
            if not expected <= actual:
                missed.append((seed, name, expected - actual, actual))

    assert [] == missed
