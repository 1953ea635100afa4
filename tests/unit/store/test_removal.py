"""Taking models away: only what is its owner's, and only what nobody else needs."""

import os
from pathlib import Path

import pytest

from modelfetch.api.order import RemovalTarget
from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store.manifest import Owner
from modelfetch.store.removal import ABANDONED_S, RemovalPlan, execute_removal, plan_removal, survey
from modelfetch.store.store import Store
from tests.unit.store import samples
from tests.unit.store.samples import LLAMA, LLAMA_2, PHI

LLAMA_GOES = RemovalTarget(namespace="ml", name="llama", owner="uid-1")
CONFIG = samples.sha256(LLAMA["config.json"])


def remove(store: Store, *targets: RemovalTarget, abandoned_s: float = ABANDONED_S) -> RemovalPlan:
    plan = plan_removal(store, targets, abandoned_s)
    execute_removal(store, plan)
    return plan


def test_a_plan_changes_nothing_and_can_be_read(store: Store, root: Path) -> None:
    """The plan says what goes, what stays and why, before anything is touched."""
    samples.publish(store, LLAMA)
    samples.publish(store, PHI, samples.owner("phi"))
    before = sorted(str(path) for path in root.rglob("*"))
    targets = [LLAMA_GOES, RemovalTarget(namespace="ml", name="phi", owner="other")]

    lines = plan_removal(store, targets).lines()

    assert [
        "keep ml/phi: it belongs to 'uid-1', not to 'other'",
        "remove model ml/llama of uid-1",
        f"remove manifest {samples.manifest(LLAMA).digest}",
        f"remove blob {CONFIG}",
        f"free {len(LLAMA['config.json'])} bytes",
    ] == lines
    assert before == sorted(str(path) for path in root.rglob("*"))


def test_what_others_use_stays(store: Store, root: Path) -> None:
    """A blob of two models goes with the last of them."""
    samples.publish(store, LLAMA)
    samples.publish(store, PHI, samples.owner("phi"))
    remove(store, LLAMA_GOES)
    after_one = set(samples.blob_files(root))
    wrong = samples.violations(root)
    remove(store, RemovalTarget(namespace="ml", name="phi", owner="uid-1"))

    assert {samples.sha256(data) for data in PHI.values()} == after_one
    assert [] == wrong
    assert {} == samples.blob_files(root)
    assert [] == samples.leftovers(root) + list(root.glob("manifests/sha256/*")) + list(root.glob("models/ml/*"))
    assert [] == list(root.glob("blobs/git/*/*"))


def test_all_revisions_go_with_their_owner(store: Store, root: Path) -> None:
    """Every tree of the model, and what only they used, is removed."""
    samples.publish(store, LLAMA)
    samples.publish(store, LLAMA_2)
    remove(store, LLAMA_GOES)

    assert {} == samples.blob_files(root)
    assert not (root / "models/ml/llama").exists()


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (samples.owner(uid="uid-2"), "it belongs to 'uid-2', not to 'uid-1'"),
        (samples.owner(deletion_policy="Retain"), "its deletion policy is Retain"),
    ],
)
def test_what_is_kept(store: Store, root: Path, record: Owner, why: str) -> None:
    """A model of another owner, or one that its owner wanted to keep, stays whole."""
    samples.publish(store, LLAMA, record)
    plan = remove(store, LLAMA_GOES)

    assert [why] == [kept.why for kept in plan.kept]
    assert LLAMA == samples.tree_content(root / "models/ml/llama/current")
    assert [] == samples.violations(root) + samples.leftovers(root)


def test_what_was_never_published(store: Store) -> None:
    """Removing nothing is no error; it is said."""
    plan = remove(store, LLAMA_GOES)

    assert ((), ["nothing is published under this name"]) == (plan.models, [kept.why for kept in plan.kept])


def test_again(store: Store, root: Path) -> None:
    """An old plan carried out once more does nothing."""
    samples.publish(store, LLAMA)
    plan = remove(store, LLAMA_GOES)
    execute_removal(store, plan)

    assert {} == samples.blob_files(root)
    assert [] == samples.leftovers(root)


def test_an_old_plan_takes_nothing_new(store: Store, root: Path) -> None:
    """What was published, by whomever, after the plan was made stays."""
    samples.publish(store, LLAMA)
    plan = plan_removal(store, [LLAMA_GOES])
    samples.publish(store, LLAMA, samples.owner(uid="uid-2"))
    samples.publish(store, LLAMA, samples.owner("phi"))
    execute_removal(store, plan)

    assert LLAMA == samples.tree_content(root / "models/ml/llama/current")
    assert [] == samples.violations(root) + samples.leftovers(root)


def make_old(path: Path) -> None:
    then = path.stat().st_mtime - ABANDONED_S - 60
    os.utime(path, (then, then))


def test_what_a_failed_fetch_left(store: Store, root: Path) -> None:
    """Verified bytes wait for the next attempt; after a week without any, the next removal takes them."""
    with store.ingest("failed") as ingest:
        samples.fill(store, ingest, LLAMA)
    remove(store)
    while_young = len(samples.blob_files(root))
    for path in samples.blob_files(root).values():
        make_old(path)
    remove(store)

    assert (2, 0) == (while_young, len(samples.blob_files(root)))


def test_what_an_attempt_keeps_stays(store: Store, root: Path) -> None:
    """Old blobs that an attempt has pinned are not taken from it."""
    with store.ingest("first") as ingest:
        samples.fill(store, ingest, LLAMA)
    for path in samples.blob_files(root).values():
        make_old(path)
    with store.ingest("second") as ingest:
        store.blobs.pin(ingest, CONFIG, len(LLAMA["config.json"]))
        remove(store)

        assert {CONFIG} == set(samples.blob_files(root))


def test_a_manifest_that_cannot_be_read_stops_a_removal(store: Store, root: Path) -> None:
    """While one manifest is broken, nothing is called unused."""
    samples.publish(store, LLAMA)
    (root / "manifests" / "sha256" / ("0" * 64 + ".json")).write_bytes(b"broken")
    before = set(samples.blob_files(root))

    with pytest.raises(FetchError) as refused:
        plan_removal(store, [LLAMA_GOES])

    assert Reason.STORE_CORRUPT == refused.value.reason
    assert before == set(samples.blob_files(root))


def test_a_broken_owner_s_record_stops_a_removal(store: Store, root: Path) -> None:
    """A model is not removed while nobody can tell whose it is."""
    samples.publish(store, LLAMA)
    record = root / "models/ml/llama/owner.json"
    record.chmod(0o600)
    record.write_bytes(b"{}")

    with pytest.raises(FetchError) as refused:
        plan_removal(store, [LLAMA_GOES])

    assert Reason.STORE_CORRUPT == refused.value.reason


def test_a_model_trashed_by_mistake_is_put_back(store: Store, root: Path) -> None:
    """A removal was killed after it had moved a model that a new owner took over in that moment: the next undoes it."""
    samples.publish(store, LLAMA, samples.owner(uid="uid-2"))
    short = samples.owner(uid="uid-1").short
    (root / "models/ml/llama").rename(root / "trash" / f"model.{short}.0000")
    remove(store)

    assert LLAMA == samples.tree_content(root / "models/ml/llama/current")
    assert [] == samples.violations(root) + samples.leftovers(root)


def test_a_blob_trashed_by_mistake_is_put_back(store: Store, root: Path) -> None:
    """A removal was killed after it had moved a blob that a manifest now names: the next one gives it back."""
    samples.publish(store, LLAMA)
    samples.blob_files(root)[CONFIG].rename(root / "trash" / f"blob.{CONFIG}.0000")
    remove(store)

    assert [] == samples.violations(root) + samples.leftovers(root)


def test_unknown_things_in_the_trash_go(store: Store, root: Path, tmp_path: Path) -> None:
    """The trash is emptied, and a link in it is removed without being followed."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_bytes(b"x")
    (root / "trash" / "link").symlink_to(tmp_path / "outside")
    (root / "trash" / "folder").mkdir()
    remove(store)

    assert [] == samples.leftovers(root)
    assert ["file"] == os.listdir(tmp_path / "outside")


def test_a_survey(store: Store) -> None:
    """Models whose owners are not among the living are told, with what their owners wanted; nothing changes."""
    dead, kept = samples.owner("dead", "uid-dead"), samples.owner("kept", "uid-kept", deletion_policy="Retain")
    for record in (samples.owner(), dead, kept):
        samples.publish(store, LLAMA, record)

    assert (dead, kept) == survey(store, "ml", [samples.owner().short])
    assert () == survey(store, "other", [])
