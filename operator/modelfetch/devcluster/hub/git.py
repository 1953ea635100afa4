"""The ids git and git-lfs would give: blobs, pointers, trees and commits.

In: names and ids. Out: the same hex ids that git computes, so listings of the fixture hub can be checked with git
itself. Used by repository.py; knows nothing else.
"""

import hashlib
from collections.abc import Iterable


def lfs_pointer(sha256: str, size: int) -> bytes:
    """Return the pointer file that stands in git for an LFS file."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def blob_id(data: bytes) -> str:
    """Return the git id of a file with these bytes."""
    return _object_id("blob", data)


def tree_ids(files: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return folder path to tree id for (path, blob id) pairs; the root is the empty path.

    Paths are taken as they are, hostile ones too: the fixture hub must be able to list them.
    """
    folders: dict[str, dict[bytes, tuple[str, str]]] = {"": {}}
    for path, oid in files:
        parent, _, name = path.rpartition("/")
        _folder(folders, parent)[name.encode(errors="surrogatepass")] = ("100644", oid)
    ids: dict[str, str] = {}
    for folder in sorted(folders, key=lambda path: -path.count("/") if path else 1):
        ids[folder] = _tree_id(folders[folder])
        parent, _, name = folder.rpartition("/")
        if folder:
            folders[parent][name.encode(errors="surrogatepass") + b"/"] = ("40000", ids[folder])
    return ids


def commit_id(tree: str, parent: str | None, title: str, epoch_s: int) -> str:
    """Return the id of a commit of `tree`, made by the fixture at `epoch_s`."""
    who = f"Fixture Hub <fixture@hub.invalid> {epoch_s} +0000"
    above = f"parent {parent}\n" if parent else ""
    return _object_id("commit", f"tree {tree}\n{above}author {who}\ncommitter {who}\n\n{title}\n".encode())


def _folder(folders: dict[str, dict[bytes, tuple[str, str]]], path: str) -> dict[bytes, tuple[str, str]]:
    if path not in folders:
        folders[path] = {}
        _folder(folders, path.rpartition("/")[0])
    return folders[path]


def _tree_id(members: dict[bytes, tuple[str, str]]) -> str:
    # Git sorts a folder as if its name ended in a slash; the keys of folders carry that slash already.
    rows = (
        f"{mode} ".encode() + name.removesuffix(b"/") + b"\0" + bytes.fromhex(oid)
        for name, (mode, oid) in sorted(members.items())
    )
    return _object_id("tree", b"".join(rows))


def _object_id(kind: str, data: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()
