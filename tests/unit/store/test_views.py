"""The trees that consumers mount: complete when they appear, switched in one step, and looked at afterwards."""

import os
import stat
from pathlib import Path

import pytest

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store.store import Store
from tests.unit.store import samples
from tests.unit.store.samples import LLAMA, LLAMA_2

MODEL = Path("models/ml/llama")


def test_a_published_model(store: Store, root: Path) -> None:
    """The tree has exactly the listed files, readable for everybody, and `current` leads to it."""
    published = samples.publish(store, LLAMA)
    tree = root / published.path
    folders = {stat.S_IMODE(Path(folder).stat().st_mode) for folder, _, _ in os.walk(root / MODEL)}

    assert LLAMA == samples.tree_content(tree)
    assert LLAMA == samples.tree_content(root / MODEL / "current")
    assert os.readlink(root / MODEL / "current") == tree.name == samples.manifest(LLAMA).revision_name
    assert samples.manifest(LLAMA).digest == published.digest
    assert {0o755} == folders
    assert [] == samples.violations(root)
    assert store.views.is_published(samples.owner(), samples.manifest(LLAMA))


def test_a_model_without_commit(store: Store, root: Path) -> None:
    """Where the source has no commits, the manifest alone names the revision."""
    published = samples.publish(store, LLAMA, commit=None)

    assert published.digest.removeprefix("sha256:")[:12] == Path(published.path).name
    assert [] == samples.violations(root)


def test_hard_links_share_one_file(hard_store: Store, root: Path) -> None:
    """The same content in two paths and two models takes room once."""
    samples.publish(hard_store, LLAMA)
    samples.publish(hard_store, samples.PHI, samples.owner("phi"))
    shared = samples.blob_files(root)[samples.sha256(samples.SHARED)]

    assert 4 == shared.stat().st_nlink  # blob, two files of one model, one of the other


def test_symlinks_stay_inside_the_store(store: Store, root: Path, tmp_path: Path) -> None:
    """A store that is mounted elsewhere still works: no link says an absolute path."""
    samples.publish(store, LLAMA)
    root.rename(tmp_path / "elsewhere")

    assert LLAMA == samples.tree_content(tmp_path / "elsewhere" / MODEL / "current")


def test_publishing_again_changes_nothing(store: Store, root: Path) -> None:
    """The same content keeps its tree, so that a running consumer notices nothing."""
    published = samples.publish(store, LLAMA)
    before = (root / published.path).stat().st_ino
    again = samples.publish(store, LLAMA)

    assert published == again
    assert before == (root / published.path).stat().st_ino


def test_the_next_revision(store: Store, root: Path) -> None:
    """`current` moves to the new tree; the old one stays for those who have mounted it."""
    old = samples.publish(store, LLAMA)
    new = samples.publish(store, LLAMA_2)

    assert LLAMA == samples.tree_content(root / old.path)
    assert LLAMA_2 == samples.tree_content(root / MODEL / "current")
    assert store.views.is_published(samples.owner(), samples.manifest(LLAMA_2))
    assert not store.views.is_published(samples.owner(), samples.manifest(LLAMA))
    assert old != new


def test_back_to_an_older_revision(store: Store, root: Path) -> None:
    """A revision that is still there is made current again without a new tree."""
    samples.publish(store, LLAMA)
    samples.publish(store, LLAMA_2)
    samples.publish(store, LLAMA)

    assert LLAMA == samples.tree_content(root / MODEL / "current")
    assert 2 == len([tree for tree in (root / MODEL).iterdir() if tree.is_dir() and not tree.is_symlink()])


def test_the_owner_s_record_follows(store: Store) -> None:
    """A changed policy is written although the content is the same; the old record no longer counts as published."""
    keep = samples.owner(deletion_policy="Retain")
    samples.publish(store, LLAMA)
    samples.publish(store, LLAMA, keep)

    assert store.views.is_published(keep, samples.manifest(LLAMA))
    assert not store.views.is_published(samples.owner(), samples.manifest(LLAMA))


def remove_file(root: Path, tree: Path) -> None:
    (tree / "config.json").unlink()


def add_file(root: Path, tree: Path) -> None:
    (tree / "sub" / "extra").write_bytes(b"x")


def swap_file(root: Path, tree: Path) -> None:
    (tree / "config.json").unlink()
    (tree / "config.json").write_bytes(LLAMA["config.json"])


def remove_manifest(root: Path, tree: Path) -> None:
    for path in root.glob("manifests/sha256/*"):
        path.unlink()


def remove_blob(root: Path, tree: Path) -> None:
    samples.blob_files(root)[samples.sha256(LLAMA["config.json"])].unlink()


def remove_tree(root: Path, tree: Path) -> None:
    tree.rename(root.parent / "gone")


def remove_current(root: Path, tree: Path) -> None:
    (root / MODEL / "current").unlink()


def remove_owner(root: Path, tree: Path) -> None:
    (root / MODEL / "owner.json").unlink()


def shorten_blob(root: Path, tree: Path) -> None:
    blob = samples.blob_files(root)[samples.sha256(samples.SHARED)]
    blob.chmod(0o600)
    os.truncate(blob, 10)
    blob.chmod(0o444)


DAMAGES = [
    remove_file, add_file, swap_file, remove_manifest, remove_blob, remove_tree, remove_current, remove_owner,
    shorten_blob,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_is_seen_and_repaired(store: Store, root: Path, damage: object) -> None:
    """Whatever is missing or changed, it does not count as published, and publishing again makes it whole."""
    published = samples.publish(store, LLAMA)
    assert callable(damage)
    damage(root, root / published.path)
    before = store.views.is_published(samples.owner(), samples.manifest(LLAMA))
    samples.publish(store, LLAMA)

    assert not before
    assert store.views.is_published(samples.owner(), samples.manifest(LLAMA))
    assert [] == samples.violations(root) + samples.leftovers(root)


@pytest.mark.parametrize("content", [{"a": b"x", "a/b": b"y"}, {"../a": b"x"}, {"a//b": b"x"}])
def test_paths_that_make_no_tree(store: Store, root: Path, content: samples.Content) -> None:
    """Hostile paths that no plan has refused are refused here; nothing becomes visible."""
    with pytest.raises(FetchError) as refused:
        samples.publish(store, content)

    assert refused.value.reason in (Reason.PATH_REJECTED, Reason.STORE_CORRUPT)
    assert not (root / MODEL).exists()
    # Verified blobs stay pinned for the next attempt, nothing else stays.
    assert all(name.startswith("ingest/attempt-1.") for name in samples.leftovers(root))
    assert {"journal"} == {path.name for path in root.glob("ingest/*/*") if not path.name.startswith("pin-")}


def test_a_file_that_was_not_committed(store: Store, root: Path) -> None:
    """A manifest with content that is not in the store is not published."""
    with pytest.raises(FetchError) as refused, store.ingest("a") as ingest:
        store.views.publish(ingest, samples.owner(), samples.manifest(LLAMA))

    assert Reason.STORAGE_IO_ERROR == refused.value.reason
    assert not (root / MODEL).exists()


@pytest.mark.parametrize("name", ["models/ml", "models/ml/llama", "models/ml/llama/current"])
def test_a_planted_link_in_the_models(store: Store, root: Path, tmp_path: Path, name: str) -> None:
    """A link where a folder belongs is refused; `current` itself is replaced, never followed."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).symlink_to(outside)

    if name.endswith("current"):
        samples.publish(store, LLAMA)
        assert LLAMA == samples.tree_content(root / MODEL / "current")
    else:
        with pytest.raises(FetchError) as refused:
            samples.publish(store, LLAMA)
        assert Reason.STORE_CORRUPT == refused.value.reason
    assert [] == os.listdir(outside)


def test_a_folder_that_a_kubelet_made_for_an_early_consumer(store: Store, root: Path) -> None:
    """It is empty, and `current` takes its place; one with somebody's files in it stays, and is told."""
    current = root / MODEL / "current"
    current.mkdir(parents=True)
    samples.publish(store, LLAMA)

    assert LLAMA == samples.tree_content(current)

    current.unlink()
    current.mkdir()
    (current / "theirs").touch()
    with pytest.raises(FetchError) as refused:
        samples.publish(store, LLAMA)

    assert Reason.STORE_CORRUPT == refused.value.reason
    assert ["theirs"] == os.listdir(current)


def test_an_empty_file_and_an_empty_model(store: Store, root: Path) -> None:
    """Nothing is content, too."""
    samples.publish(store, {"empty": b""})
    empty = samples.publish(store, {}, samples.owner("nothing"))

    assert {"empty": b""} == samples.tree_content(root / MODEL / "current")
    assert {} == samples.tree_content(root / empty.path)
    assert [] == samples.violations(root)
