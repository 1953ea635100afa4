"""A collection takes what nothing needs, after its grace, and nothing else: also when it is killed or mistaken."""

import errno
import os
from pathlib import Path

import pytest

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store.collection import GRACE_S, CollectionPlan, execute_collection, plan_collection
from modelfetch.store.fs import Filesystem
from modelfetch.store.manifest import Manifest
from modelfetch.store.records import write_manifest
from modelfetch.store.store import Store, look
from modelfetch.store.sums import write_sums
from modelfetch.transfer.segments import SEGMENT_BYTES
from tests.unit.store import samples
from tests.unit.store.samples import LLAMA, LLAMA_2, PHI

LONG_AGO_S = GRACE_S + 3600
LEFT = b"left by a failed fetch"


def age(*paths: Path, by_s: float = LONG_AGO_S) -> None:
    for path in paths:
        then = path.lstat().st_mtime - by_s
        os.utime(path, (then, then), follow_symlinks=False)


def collect(store: Store, grace_s: float = GRACE_S) -> CollectionPlan:
    plan = plan_collection(store.volume, grace_s)
    execute_collection(store, plan)
    return plan


def kinds(plan: CollectionPlan) -> list[str]:
    return [kind for kind, _path in plan.removed()]


def leave_rubbish(store: Store, root: Path) -> None:
    """Leave one old thing of each kind that a collection takes."""
    with store.ingest("attempt-7") as ingest:
        samples.write(store, ingest, LEFT)
        write_sums(ingest, samples.sha256(LEFT), SEGMENT_BYTES + 1, [b"\0" * 32, b"\1" * 32])
        write_manifest(ingest, lone_manifest())
    dead = root / "ingest" / "attempt-6.0000"
    dead.mkdir()
    (dead / "file-1").write_bytes(b"12345")
    (root / "trash" / "damaged.thing").write_bytes(b"123")
    age(*root.glob("manifests/sha256/*"), *samples.blob_files(root).values(), dead / "file-1", dead)


def lone_manifest() -> Manifest:
    return samples.manifest({"left.bin": LEFT})


def everything(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def test_what_is_published_stays_however_old(store: Store, root: Path) -> None:
    """All revisions that have a tree are kept, and there is nothing to do."""
    samples.publish(store, LLAMA)
    samples.publish(store, LLAMA_2, commit="d" * 40)
    samples.publish(store, PHI, samples.owner("phi"))
    age(*(path for path in root.rglob("*")))
    before = everything(root)
    plan = collect(store)

    assert ([], True, 2, 3) == (kinds(plan), plan.is_empty, plan.kept_models, plan.kept_revisions)
    assert before == everything(root)
    assert [] == samples.violations(root)


def test_old_rubbish_goes(store: Store, root: Path) -> None:
    """Private files of dead attempts, lone manifests and blobs, hints and trash are planned, then gone."""
    samples.publish(store, LLAMA)
    before = everything(root)
    leave_rubbish(store, root)
    plan = collect(store)

    assert ["attempt", "manifest", "blob", "hint", "hint", "trash"] == kinds(plan)
    assert len(LEFT) + 5 + 3 == plan.freed_bytes
    assert set() == {
        path for path in everything(root) - before if (root / path).is_file() or (root / path).is_symlink()
    }
    assert LLAMA == samples.tree_content(root / "models/ml/llama/current")
    assert [] == samples.violations(root) + samples.leftovers(root)


def test_young_rubbish_stays(store: Store, root: Path) -> None:
    """Within the grace, what a failed fetch has verified waits for the next attempt."""
    samples.publish(store, LLAMA)
    with store.ingest("attempt-7") as ingest:
        samples.write(store, ingest, LEFT)
    (root / "ingest" / "attempt-6.0000").mkdir()
    before = everything(root)
    plan = collect(store)

    assert [] == kinds(plan)
    assert before == everything(root)


def test_a_plan_changes_nothing(store: Store, root: Path) -> None:
    """Planning leaves every file as it was."""
    samples.publish(store, LLAMA)
    leave_rubbish(store, root)
    before = everything(root)
    plan_collection(store.volume)

    assert before == everything(root)


def test_what_an_attempt_keeps_stays(store: Store, root: Path) -> None:
    """A pinned blob is kept, and the folder of an attempt at work is not swept, however short the grace."""
    with store.ingest("attempt-1") as first:
        samples.write(store, first, LEFT)
    age(*samples.blob_files(root).values())
    with store.ingest("attempt-2") as ingest:
        assert store.blobs.pin(ingest, samples.sha256(LEFT), len(LEFT)) is not None
        plan = collect(store, grace_s=0.0)

        assert [] == kinds(plan)
        assert {samples.sha256(LEFT)} == set(samples.blob_files(root))


def test_pins_of_dead_attempts_keep_nothing(store: Store, root: Path) -> None:
    """What only an abandoned folder keeps goes with it, in the same collection."""
    with store.ingest("attempt-1") as ingest:
        samples.write(store, ingest, LEFT)
        copy = root / "ingest" / "attempt-0.0000"
        copy.mkdir()
        (copy / f"pin-{samples.sha256(LEFT)}").write_bytes(b"")
    age(*samples.blob_files(root).values(), *copy.iterdir(), copy)
    plan = collect(store)

    assert ["attempt", "blob", "hint"] == kinds(plan)
    assert {} == samples.blob_files(root)


def test_what_finds_a_use_after_the_plan_stays(store: Store, root: Path) -> None:
    """A model that is published between plan and execution keeps all it needs."""
    leave_rubbish(store, root)
    plan = plan_collection(store.volume)
    samples.publish(store, {"left.bin": LEFT}, samples.owner("late"))
    execute_collection(store, plan)

    assert {"left.bin": LEFT} == samples.tree_content(root / "models/ml/late/current")
    assert [] == samples.violations(root)


@pytest.mark.parametrize("grace_s", [0.0, GRACE_S])
def test_a_broken_manifest_stops_it(store: Store, root: Path, grace_s: float) -> None:
    """While a manifest cannot be read, nothing is called unused and nothing is touched."""
    samples.publish(store, LLAMA)
    leave_rubbish(store, root)
    (path,) = (path for path in root.glob("manifests/sha256/*") if lone_manifest().digest[7:] not in path.name)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-5])
    before = everything(root)
    with pytest.raises(FetchError) as refused:
        plan_collection(store.volume, grace_s)

    assert Reason.STORE_CORRUPT == refused.value.reason
    assert before == everything(root)


def test_a_lost_manifest_stops_it(store: Store, root: Path) -> None:
    """A tree whose manifest is gone keeps everything, as nobody knows what it needs."""
    samples.publish(store, LLAMA)
    for path in root.glob("manifests/sha256/*"):
        path.unlink()
    age(*samples.blob_files(root).values())
    before = everything(root)
    with pytest.raises(FetchError) as refused:
        plan_collection(store.volume)

    assert Reason.STORE_CORRUPT == refused.value.reason
    assert before == everything(root)


def test_a_newer_manifest_stops_it(store: Store, root: Path) -> None:
    """What a newer modelfetch has published is not called unused by an older one."""
    data = b'{"schemaVersion":2}\n'
    (root / "manifests" / "sha256" / f"{samples.sha256(data)}.json").write_bytes(data)
    with pytest.raises(FetchError) as refused:
        plan_collection(store.volume)

    assert Reason.VERSION_SKEW == refused.value.reason


def steps_of(root: Path, links: str) -> list[str]:
    steps: list[str] = []
    with Store.open(str(root), samples.filesystem(links)) as store:
        samples.publish(store, LLAMA)
        leave_rubbish(store, root)
        with look(str(root), samples.filesystem(links, steps.append)) as volume:
            plan = plan_collection(volume)
            execute_collection(Store(volume, store.id, store.capabilities), plan)
    return steps


def failing(number: int) -> Filesystem:
    def fail() -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    return Filesystem(samples.nth(number, fail))


def test_a_collection_that_fails_at_any_step(links: str, tmp_path: Path) -> None:
    """Whatever step fails, nothing that is needed is hurt, and later collections take the rest."""
    steps = steps_of(tmp_path / "steps", links)
    wrong = []
    for number, step in enumerate(steps):
        root = tmp_path / str(number)
        with Store.open(str(root), samples.filesystem(links)) as store:
            samples.publish(store, LLAMA)
            before = len(samples.blob_files(root))
            leave_rubbish(store, root)
            plan = plan_collection(store.volume)
            try:
                with look(str(root), failing(number)) as volume:
                    execute_collection(Store(volume, store.id, store.capabilities), plan)
            except FetchError:
                pass
            found = samples.violations(root)
            age(*root.glob("ingest/*"))  # half removed, a folder is young again
            collect(store)
            found += samples.violations(root) + samples.leftovers(root)
            if found or before != len(samples.blob_files(root)):
                wrong.append((step, found))

    assert [] == wrong
    assert {"before sweep.remove", "before manifest.trash", "before blob.delete", "before hint.remove"} <= set(steps)
