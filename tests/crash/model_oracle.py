"""Whether a store is right, asked after each of very many steps: files that did not change are not read again.

Comes in: a store's folder, and what was damaged on purpose. Goes out: what else is wrong. None of the code under test
is used.
"""

import hashlib
import json
import os
import stat
from pathlib import Path

Mark = tuple[int, int, int]


class Oracle:
    """Looks at one store again and again."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._digests: dict[Mark, str] = {}
        self._listed: dict[str, dict[str, str]] = {}

    def wrong(self, damaged: set[str]) -> list[str]:
        """Return what is wrong but for the blobs in `damaged`, which may have any content or be gone."""
        blobs = self._blobs()
        manifests = self._manifests()
        found = [
            f"blob {name} is not what it says" for name in blobs if name not in damaged and not self._fits(blobs, name)
        ]
        for model in self._folders(self._root / "models", 2):
            found += self._wrong_model(model, blobs, manifests, damaged)
        return found

    def is_changed(self, name: str) -> bool:
        """True if something lies under the blob's name that is not what it says."""
        blobs = self._blobs()
        return name in blobs and not self._fits(blobs, name)

    def is_mended(self, name: str) -> bool:
        """True if the blob is right again, or gone and in no manifest; no tree and no attempt has another.

        What a removal that was killed has moved to trash/ may be put back.
        """
        if any(self._root.glob(f"ingest/*/pin-{name}")) or any(self._root.glob(f"trash/blob.{name}.*")):
            return False
        blobs, manifests = self._blobs(), self._manifests()
        users = [files for files in manifests.values() if name in files.values()]
        if self.is_changed(name) or (users and name not in blobs):
            return False
        models = self._folders(self._root / "models", 2)
        return not any(self._wrong_model(model, blobs, manifests, set()) for model in models)

    def read_again(self) -> None:
        """Believe nothing of what was read before."""
        self._digests.clear()
        self._listed.clear()

    def _blobs(self) -> dict[str, os.DirEntry[str]]:
        folders = self._folders(self._root / "blobs" / "sha256", 1)
        return {entry.name: entry for folder in folders for entry in os.scandir(folder)}

    def _fits(self, blobs: dict[str, os.DirEntry[str]], name: str) -> bool:
        entry = blobs[name]
        found = os.stat(entry.path, follow_symlinks=False)
        mode_is_right = stat.S_ISREG(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o444
        return mode_is_right and self._digest(entry.path, found) == name

    def _digest(self, path: str, found: os.stat_result) -> str:
        mark = (found.st_ino, found.st_ctime_ns, found.st_size)
        if mark not in self._digests:
            self._digests[mark] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        return self._digests[mark]

    def _manifests(self) -> dict[str, dict[str, str]]:
        """Return the files of each manifest by the short form of its digest."""
        found = {}
        for entry in os.scandir(self._root / "manifests" / "sha256"):
            if entry.name not in self._listed:
                data = Path(entry.path).read_bytes()
                if hashlib.sha256(data).hexdigest() + ".json" != entry.name:
                    return {}
                self._listed[entry.name] = {file["path"]: file["sha256"] for file in json.loads(data)["files"]}
            found[entry.name[:12]] = self._listed[entry.name]
        return found

    def _wrong_model(
        self, model: str, blobs: dict[str, os.DirEntry[str]], manifests: dict[str, dict[str, str]], damaged: set[str]
    ) -> list[str]:
        found = []
        for entry in os.scandir(model):
            if entry.is_symlink() and not os.path.isdir(entry.path):
                found.append(f"{entry.path} leads nowhere")
            elif entry.is_dir(follow_symlinks=False):
                listed = manifests.get(entry.name.rpartition("-")[2])
                if listed is None:
                    found.append(f"{entry.path} has no manifest")
                elif not set(listed.values()) & damaged:
                    found += self._wrong_tree(entry.path, listed, blobs)
        return found

    def _wrong_tree(self, tree: str, listed: dict[str, str], blobs: dict[str, os.DirEntry[str]]) -> list[str]:
        there = {f"{top}/{name}"[len(tree) + 1 :] for top, _, names in os.walk(tree) for name in names}
        if there != listed.keys():
            return [f"{tree} has {sorted(there)}, expected {sorted(listed)}"]
        return [
            f"{tree}/{path} is not its blob"
            for path, sha256 in listed.items()
            if sha256 not in blobs
            or not os.path.exists(f"{tree}/{path}")
            or not _is_same(f"{tree}/{path}", blobs[sha256])
        ]

    def _folders(self, top: Path, depth: int) -> list[str]:
        found = [str(top)] if top.is_dir() else []
        for _ in range(depth):
            found = [
                entry.path for folder in found for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)
            ]
        return found


def _is_same(path: str, blob: os.DirEntry[str]) -> bool:
    return os.path.samestat(os.stat(path), os.stat(blob.path, follow_symlinks=False))
