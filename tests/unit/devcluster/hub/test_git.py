"""Git ids of the fixture hub, held against ids that git itself printed."""

import pytest

from modelfetch.devcluster.hub import git

BLOBS = {"config.json": b"{}", "sub.txt": b"a", "sub/dir/x.txt": b"hello"}


@pytest.mark.parametrize(
    ("data", "oid"),
    [
        (b"", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),
        (b"{}", "9e26dfeeb6e641a33dae4961196235bdb965b21b"),
        (b"hello", "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0"),
    ],
)
def test_blob_id(data: bytes, oid: str) -> None:
    """A file has the id that `git hash-object` prints."""
    assert oid == git.blob_id(data)


def test_tree_ids() -> None:
    """Folders have the ids that `git rev-parse HEAD:folder` prints; `sub.txt` sorts before the folder `sub`."""
    ids = git.tree_ids((path, git.blob_id(data)) for path, data in BLOBS.items())

    assert {
        "": "54823e4c7bac48a993cfa932465ba173fc38f3ee",
        "sub": "47db3ffb110b129f847b29cc8135dd41bee64e29",
        "sub/dir": "e838c50af5371ee4f46ca215d8ef5e67e4e49fa1",
    } == ids


def test_commit_id() -> None:
    """A commit has the id that git gives to the same tree, author, date and message."""
    tree = "54823e4c7bac48a993cfa932465ba173fc38f3ee"

    assert "3015c89f7c6d26019160a0ce41324d6bd82e4bd4" == git.commit_id(tree, None, "Initial commit", 1_704_067_200)


def test_commit_id_of_second_commit() -> None:
    """The parent is part of a commit's id."""
    tree = "54823e4c7bac48a993cfa932465ba173fc38f3ee"

    assert git.commit_id(tree, None, "x", 0) != git.commit_id(tree, "3015c89f7c6d26019160a0ce41324d6bd82e4bd4", "x", 0)


@pytest.mark.parametrize(
    "paths", [("../../etc/passwd",), ("a", "a/b"), ("/absolute",), ("a//b",), ("new\nline", "nul\0")]
)
def test_tree_ids_of_hostile_names(paths: tuple[str, ...]) -> None:
    """Names that no git would accept can be listed all the same."""
    ids = git.tree_ids((path, git.blob_id(b"")) for path in paths)

    assert 40 == len(ids[""])


def test_lfs_pointer() -> None:
    """A pointer is the three lines that git-lfs writes."""
    pointer = git.lfs_pointer("ab" * 32, 5)

    assert b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"ab" * 32 + b"\nsize 5\n" == pointer
