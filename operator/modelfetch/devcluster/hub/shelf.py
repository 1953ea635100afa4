"""All repositories of one hub, found by kind and id, with the old ids that lead to new ones.

In: specs and aliases. Out: `Repository` objects, or the id a caller should be redirected to. After: listing.py,
resolve.py and cdn.py look things up here; hub.py fills it.
"""

import threading
from pathlib import Path

from modelfetch.devcluster.hub.content import Content
from modelfetch.devcluster.hub.repository import Kind, Repository, RepoSpec


class Shelf:
    """Repositories by (kind, id); safe to use from any thread. Large generated files go to `scratch`."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._repositories: dict[tuple[Kind, str], Repository] = {}
        self._aliases: dict[tuple[Kind, str], str] = {}
        self._lock = threading.Lock()

    def add(self, spec: RepoSpec) -> Repository:
        """Make the repository of `spec`, in place of one of the same kind and id, and return it."""
        repository = Repository.create(spec, self._scratch)
        with self._lock:
            self._repositories[spec.kind, spec.repo_id] = repository
        return repository

    def alias(self, old: str, new: str, kind: Kind = "model") -> None:
        """Let the id `old` (one word, or renamed) lead to `new`."""
        with self._lock:
            self._aliases[kind, old] = new

    def find(self, kind: Kind, repo_id: str) -> Repository | None:
        """Return the repository of exactly this id."""
        with self._lock:
            return self._repositories.get((kind, repo_id))

    def moved_to(self, kind: Kind, repo_id: str) -> str | None:
        """Return the id that `repo_id` leads to, None when it is no old id."""
        with self._lock:
            return self._aliases.get((kind, repo_id))

    def stored(self, storage_key: str, sha256: str) -> Content | None:
        """Return the bytes of an LFS file by its place on the CDN."""
        for repository in self.all():
            if repository.storage_key == storage_key:
                return repository.lfs_content(sha256)
        return None

    def all(self) -> list[Repository]:
        """Return every repository, sorted by kind and id."""
        with self._lock:
            return [self._repositories[key] for key in sorted(self._repositories)]
