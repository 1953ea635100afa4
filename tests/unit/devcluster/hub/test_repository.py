"""Commits, names and entries of a repository."""

import hashlib
from pathlib import Path

import pytest

from modelfetch.devcluster.hub import Corrupt, File, LfsPolicy, Repository, RepoSpec
from modelfetch.devcluster.hub.git import blob_id, lfs_pointer
from modelfetch.devcluster.hub.repository import Entry, files_of


def entry(tmp_path: Path, file: File | str, path: str = "model.bin") -> Entry:
    commit = Repository.create(RepoSpec("acme/tiny", {path: file}), tmp_path).resolve("main")
    assert commit is not None
    return commit.entries[path]


def test_lfs_entry(tmp_path: Path) -> None:
    """An LFS file is listed by sha256 and size, and its git id is that of its pointer."""
    listed, sha256 = entry(tmp_path, "hello"), hashlib.sha256(b"hello").hexdigest()
    pointer = lfs_pointer(sha256, 5)

    assert listed.lfs is not None
    assert (sha256, 5, len(pointer)) == (listed.lfs.sha256, listed.lfs.size, listed.lfs.pointer_size)
    assert blob_id(pointer) == listed.oid


def test_small_entry(tmp_path: Path) -> None:
    """A small file is listed by its git id alone, which is also its ETag."""
    listed = entry(tmp_path, "hello", "note.txt")

    assert (None, blob_id(b"hello"), blob_id(b"hello")) == (listed.lfs, listed.oid, listed.etag)


@pytest.mark.parametrize(
    ("path", "size", "lfs"),
    [("a.safetensors", 1, True), ("sub/a.onnx", 1, True), ("a.json", 99, False), ("a.json", 100, True)],
)
def test_policy(path: str, size: int, lfs: bool) -> None:
    """Globs and the threshold decide which files are LFS files."""
    assert lfs == LfsPolicy(threshold_bytes=100).takes(path, size)


def test_damage(tmp_path: Path) -> None:
    """A damaged file is listed as the undamaged one and served with other bytes of the same size."""
    listed = entry(tmp_path, File("hello", damage=Corrupt(offset=1)))

    assert listed.lfs is not None
    assert (hashlib.sha256(b"hello").hexdigest(), b"hdllo") == (listed.lfs.sha256, listed.content.read())


def test_claims(tmp_path: Path) -> None:
    """Claims replace what the listing says and leave the bytes."""
    listed = entry(tmp_path, File("hello", claimed_size=10**18, claimed_sha256="../x", claimed_blob="z"))

    assert listed.lfs is not None
    assert ("../x", 10**18, "z", b"hello") == (listed.lfs.sha256, listed.size, listed.oid, listed.content.read())


def test_commits_stay(tmp_path: Path) -> None:
    """A second commit moves the branch; the first one keeps its files."""
    repository = Repository.create(RepoSpec("acme/tiny", {"a": "1", "b": "1"}, tags=("v1",)), tmp_path)
    second = repository.commit({"a": "2"})
    old, new = repository.resolve("v1"), repository.resolve("main")

    assert old is not None
    assert new is not None
    assert (b"1", b"2", b"1") == tuple(
        file.content.read() for file in (old.entries["a"], new.entries["a"], new.entries["b"])
    )
    assert second == new.sha


@pytest.mark.parametrize("revision", ["main", "v1", "{sha}", "{short}"])
def test_resolve(tmp_path: Path, revision: str) -> None:
    """Branches, tags, commit ids and their first characters name a commit."""
    repository = Repository.create(RepoSpec("acme/tiny", {"a": "1"}, tags=("v1",)), tmp_path)
    sha = repository.branches["main"]
    found = repository.resolve(revision.format(sha=sha, short=sha[:8]))

    assert found is not None
    assert sha == found.sha


@pytest.mark.parametrize("revision", ["dev", "", "0000000", "v2"])
def test_resolve_unknown(tmp_path: Path, revision: str) -> None:
    """What names nothing resolves to None."""
    assert None is Repository.create(RepoSpec("acme/tiny", {"a": "1"}), tmp_path).resolve(revision)


def test_replace(tmp_path: Path) -> None:
    """A replacing commit keeps nothing of the branch's tip."""
    repository = Repository.create(RepoSpec("acme/tiny", {"a": "1"}), tmp_path)
    repository.commit({"b": "2"}, replace=True)
    tip = repository.resolve("main")

    assert tip is not None
    assert ["b"] == list(tip.entries)


def test_tag(tmp_path: Path) -> None:
    """A tag stays where it was put; an unknown revision cannot be tagged."""
    repository = Repository.create(RepoSpec("acme/tiny", {"a": "1"}), tmp_path)
    first = repository.tag("v1")
    repository.commit({"a": "2"})

    assert first == repository.tags["v1"]
    with pytest.raises(KeyError, match="nowhere"):
        repository.tag("v2", "nowhere")


def test_ids_depend_on_files_alone(tmp_path: Path) -> None:
    """The same files give the same commit id at any time."""
    first, second = (Repository.create(RepoSpec("acme/tiny", {"a": "1"}), tmp_path) for _ in range(2))

    assert first.branches == second.branches


def test_files_of(tmp_path: Path) -> None:
    """A folder gives its regular files by relative name; links and .git are left out."""
    (tmp_path / "sub").mkdir()
    (tmp_path / ".git").mkdir()
    for name in ("a.txt", "sub/b.txt", ".git/config"):
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to("a.txt")

    assert {"a.txt": tmp_path / "a.txt", "sub/b.txt": tmp_path / "sub" / "b.txt"} == files_of(tmp_path)
