"""Repositories as a hub holds them: immutable commits, branches and tags that point to them, who may read them.

In: `RepoSpec` and file definitions (bytes, paths, recipes, deliberately wrong files). Out: `Repository` with entries
that carry git ids and LFS digests. Before: content.py, git.py; after: listing.py and resolve.py answer from it.
"""

import fnmatch
import hashlib
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from modelfetch.devcluster.hub import git
from modelfetch.devcluster.hub.content import Content, Weights
from modelfetch.devcluster.hub.damage import corrupted
from modelfetch.devcluster.hub.rules import Corrupt
from modelfetch.devcluster.hub.weights import materialise

Kind = Literal["model", "dataset"]
FIRST_COMMIT_EPOCH_S = 1_704_067_200
"""2024-01-01T00:00:00Z; commits follow one a day, so ids do not depend on the clock."""

_SHA = re.compile(r"[0-9a-f]{7,40}")


@dataclass(frozen=True)
class File:
    """One file of a commit, with what the listing claims about it.

    Without claims the listing tells the truth. With `damage` it tells it of the undamaged file while the damaged one is
    served; the claims override single values. `lfs` None leaves the choice to the repository's policy.
    """

    content: "bytes | str | Path | Weights | Content"
    lfs: bool | None = None
    damage: Corrupt | None = None
    claimed_size: int | None = None
    claimed_sha256: str | None = None
    claimed_blob: str | None = None
    security: Literal["safe", "unsafe", "suspicious"] = "safe"


Files = Mapping[str, "bytes | str | Path | Weights | Content | File"]


@dataclass(frozen=True)
class LfsPolicy:
    """Which files are LFS files: those that match a glob, and those of at least `threshold_bytes`."""

    globs: tuple[str, ...] = ("*.safetensors", "*.bin", "*.gguf", "*.onnx", "*.parquet", "*.pt")
    threshold_bytes: int = 10 * 1024 * 1024

    def takes(self, path: str, size: int) -> bool:
        """Return whether a file of this name and size goes to LFS."""
        return size >= self.threshold_bytes or any(fnmatch.fnmatch(path, glob) for glob in self.globs)


@dataclass(frozen=True)
class RepoSpec:
    """A repository to be made: its files at the first commit and who may read it.

    `readers` are names of tokens: with access to a private repository, or accepted by a gated one.
    """

    repo_id: str
    files: Files
    kind: Kind = "model"
    private: bool = False
    gated: Literal[False, "auto", "manual"] = False
    disabled: bool = False
    readers: tuple[str, ...] = ("reader",)
    tags: tuple[str, ...] = ()
    lfs: LfsPolicy = LfsPolicy()


@dataclass(frozen=True)
class Lfs:
    """What a listing says of an LFS file: its digest, its size, the size of its pointer in git."""

    sha256: str
    size: int
    pointer_size: int


@dataclass(frozen=True)
class Entry:
    """One file of one commit: what is listed and what is served."""

    path: str
    size: int
    oid: str
    content: Content
    lfs: Lfs | None = None
    security: str = "safe"

    @property
    def etag(self) -> str:
        """The hub's ETag value without quotes: the LFS digest, else the git blob id."""
        return self.lfs.sha256 if self.lfs else self.oid


@dataclass(frozen=True)
class Commit:
    """An immutable tree with its id; `entries` and `folders` are sorted by path."""

    sha: str
    title: str
    epoch_s: int
    entries: Mapping[str, Entry]
    folders: Mapping[str, str]


@dataclass
class Repository:
    """One repository; commits are only ever added, names move under the lock."""

    spec: RepoSpec
    scratch: Path
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def create(cls, spec: RepoSpec, scratch: Path) -> "Repository":
        """Return a repository with one commit on `main` and the tags of `spec`; big generated files go to `scratch`."""
        repository = cls(spec=spec, scratch=scratch)
        sha = repository.commit(spec.files, title="Initial commit")
        repository.tags.update(dict.fromkeys(spec.tags, sha))
        return repository

    @property
    def repo_id(self) -> str:
        """The id, such as `org/name`."""
        return self.spec.repo_id

    @property
    def storage_key(self) -> str:
        """The name of this repository's corner of the CDN."""
        return hashlib.sha256(f"{self.spec.kind}:{self.repo_id}".encode()).hexdigest()

    def commit(self, files: Files, *, branch: str = "main", title: str = "Update", replace: bool = False) -> str:
        """Add a commit on `branch` (made from `main` if new) with `files` laid over it; return its id.

        With `replace` nothing of the branch's tip is kept.
        """
        added = {path: self._entry(path, definition) for path, definition in files.items()}
        with self._lock:
            parent = self.commits.get(self.branches.get(branch, self.branches.get("main", "")))
            kept = {} if replace or parent is None else dict(parent.entries)
            commit = _commit_of({**kept, **added}, parent, title, len(self.commits))
            self.commits[commit.sha] = commit
            self.branches[branch] = commit.sha
        return commit.sha

    def tag(self, name: str, revision: str = "main") -> str:
        """Let tag `name` point to what `revision` is now; return that commit's id. Raises KeyError when unknown."""
        commit = self.resolve(revision)
        if commit is None:
            raise KeyError(revision)
        with self._lock:
            self.tags[name] = commit.sha
        return commit.sha

    def resolve(self, revision: str) -> Commit | None:
        """Return the commit that a branch, a tag, a commit id or its first characters (at least seven) name."""
        with self._lock:
            sha = self.branches.get(revision) or self.tags.get(revision) or revision
            if sha in self.commits or not _SHA.fullmatch(sha):
                return self.commits.get(sha)
            found = [commit for known, commit in self.commits.items() if known.startswith(sha)]
        return found[0] if len(found) == 1 else None

    def lfs_content(self, sha256: str) -> Content | None:
        """Return the bytes served for the LFS file that some commit lists under `sha256`."""
        for commit in list(self.commits.values())[::-1]:
            for entry in commit.entries.values():
                if entry.lfs is not None and entry.lfs.sha256 == sha256:
                    return entry.content
        return None

    def _entry(self, path: str, definition: "bytes | str | Path | Weights | Content | File") -> Entry:
        file = definition if isinstance(definition, File) else File(definition)
        listed = _content_of(file.content, self.scratch)
        served = listed if file.damage is None else corrupted(listed, file.damage)
        size = listed.size if file.claimed_size is None else file.claimed_size
        if not (self.spec.lfs.takes(path, listed.size) if file.lfs is None else file.lfs):
            return Entry(path, size, file.claimed_blob or listed.git_blob(), served, security=file.security)
        sha256 = file.claimed_sha256 or listed.sha256()
        pointer = git.lfs_pointer(sha256, size)
        lfs = Lfs(sha256, size, len(pointer))
        return Entry(path, size, file.claimed_blob or git.blob_id(pointer), served, lfs, file.security)


def _commit_of(entries: dict[str, Entry], parent: Commit | None, title: str, number: int) -> Commit:
    ordered = {path: entries[path] for path in sorted(entries)}
    folders = git.tree_ids((path, _hex40(entry.oid)) for path, entry in ordered.items())
    epoch_s = FIRST_COMMIT_EPOCH_S + 86_400 * number
    sha = git.commit_id(folders[""], parent.sha if parent else None, title, epoch_s)
    return Commit(sha, title, epoch_s, ordered, {path: folders[path] for path in sorted(folders) if path})


def _hex40(oid: str) -> str:
    # A hostile listing may claim anything as a blob id; the tree above it still needs forty hex digits.
    return oid if re.fullmatch(r"[0-9a-f]{40}", oid) else git.blob_id(oid.encode())


def _content_of(source: "bytes | str | Path | Weights | Content", scratch: Path) -> Content:
    if isinstance(source, Content):
        return source
    if isinstance(source, Weights):
        return materialise(source, scratch)
    if isinstance(source, Path):
        return Content.at(source)
    return Content.of(source.encode() if isinstance(source, str) else source)


def files_of(folder: Path) -> dict[str, Path]:
    """Return relative name to path for every regular file below `folder`, links and hidden folders left out."""
    return {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and ".git" not in path.relative_to(folder).parts
    }
