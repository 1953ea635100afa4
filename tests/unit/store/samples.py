"""Small models put into real stores, and a check of a store that uses none of the code under test."""

import errno
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from modelfetch.store.fs import Filesystem
from modelfetch.store.ingest import Ingest
from modelfetch.store.manifest import Manifest, ManifestFile, ManifestSource, Owner
from modelfetch.store.private_file import Hook
from modelfetch.store.store import Store
from modelfetch.store.views import Published

Content = dict[str, bytes]

SHARED = b"weights that both models use" * 50
LLAMA: Content = {"config.json": b'{"a":1}', "sub/weights.bin": SHARED, "sub/deep/copy.bin": SHARED}
LLAMA_2: Content = {"config.json": b'{"a":2}', "sub/weights.bin": SHARED, "empty.txt": b""}
PHI: Content = {"weights.bin": SHARED, "phi.json": b"{}"}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def git_blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def owner(name: str = "llama", uid: str = "uid-1", **changes: str) -> Owner:
    return Owner.model_validate({"namespace": "ml", "name": name, "owner": uid, **changes})


def manifest(content: Content, commit: str | None = "c" * 40) -> Manifest:
    files = [
        ManifestFile(path=path, size=len(data), sha256=sha256(data), git_blob=git_blob(data), verified_by="source")
        for path, data in content.items()
    ]
    return Manifest.of(ManifestSource(type="huggingFace", host="hub.example", repo="ml/x"), "main", commit, None, files)


def fill(store: Store, ingest: Ingest, content: Content) -> None:
    """Commit every file, or keep it where the store has it."""
    for number, data in enumerate(content.values()):
        if store.blobs.pin(ingest, sha256(data), len(data)) is None:
            write(store, ingest, data, str(number))


def write(store: Store, ingest: Ingest, data: bytes, name: str = "0") -> None:
    """Commit one file, written in two pieces, the later one first."""
    partial = ingest.create(name)
    middle = len(data) // 2
    partial.write_at(middle, memoryview(data)[middle:])
    partial.write_at(0, memoryview(data)[:middle])
    store.blobs.remember_git_blob(ingest, git_blob(data), store.blobs.commit(ingest, partial, sha256(data), len(data)))


def publish(store: Store, content: Content, record: Owner | None = None, commit: str | None = "c" * 40) -> Published:
    with store.ingest("attempt-1") as ingest:
        fill(store, ingest, content)
        return store.views.publish(ingest, record or owner(), manifest(content, commit))


def without_hard_links(then: Hook, refusal: int = errno.EPERM) -> Hook:
    """Return a hook of a volume that refuses hard links."""

    def hook(step: str) -> None:
        if step.startswith("before ") and step.endswith("link") and "symlink" not in step:
            raise OSError(refusal, os.strerror(refusal))
        then(step)

    return hook


def filesystem(links: str, then: Hook = lambda _step: None) -> Filesystem:
    """Return a file system with hard links or one without, that calls `then` at each step."""
    return Filesystem(then if links == "hard" else without_hard_links(then))


def nth(number: int, act: Callable[[], None]) -> Hook:
    """Return a hook that acts at the step with this number, counted from 0, and never again."""
    steps = iter(range(10**9))

    def hook(_step: str) -> None:
        if next(steps) == number:
            act()

    return hook


def violations(root: Path) -> list[str]:
    """Return what is wrong with a store for those who read it; [] at every instant, whoever was killed where."""
    found = _wrong_blobs(root) + _wrong_aliases(root) + _wrong_manifests(root)
    for model in root.glob("models/*/*"):
        found += _wrong_model(root, model)
    return found


def leftovers(root: Path) -> list[str]:
    """Return what lies in ingest/ and trash/."""
    return [str(path.relative_to(root)) for name in ("ingest", "trash") for path in sorted((root / name).glob("*"))]


def blob_files(root: Path) -> dict[str, Path]:
    return {path.name: path for path in root.glob("blobs/sha256/*/*")}


def tree_content(tree: Path) -> Content:
    files = (Path(folder) / name for folder, _, names in os.walk(tree) for name in names)
    return {str(file.relative_to(tree)): file.read_bytes() for file in files}


def _wrong_blobs(root: Path) -> list[str]:
    found = []
    for name, path in blob_files(root).items():
        if path.is_symlink() or sha256(path.read_bytes()) != name or path.parent.name != name[:2]:
            found.append(f"{path} is not what its name says")
        if path.stat().st_mode & 0o777 != 0o444:
            found.append(f"{path} has mode {path.stat().st_mode:o}")
    return found


def _wrong_aliases(root: Path) -> list[str]:
    """A hint may lead nowhere, to a blob that is gone, but never to other content."""
    paths = [path for path in root.glob("blobs/git/*/*") if path.exists()]
    return [f"{path} leads to other content" for path in paths if git_blob(path.read_bytes()) != path.name]


def _wrong_manifests(root: Path) -> list[str]:
    paths = root.glob("manifests/sha256/*")
    return [f"{path} is not its digest's" for path in paths if sha256(path.read_bytes()) + ".json" != path.name]


def _wrong_model(root: Path, model: Path) -> list[str]:
    found = []
    current = model / "current"
    if current.is_symlink() and not current.is_dir():
        found.append(f"{current} leads nowhere")
    for tree in model.iterdir():
        if tree.is_dir() and not tree.is_symlink():
            found += _wrong_tree(root, tree)
    if model.stat().st_mode & 0o777 != 0o755 and any(model.iterdir()):
        found.append(f"{model} has mode {model.stat().st_mode:o}")
    return found


def _wrong_tree(root: Path, tree: Path) -> list[str]:
    named = list(root.glob(f"manifests/sha256/{tree.name.rpartition('-')[2]}*.json"))
    if not named:
        return [f"{tree} has no manifest"]
    try:
        listed = json.loads(named[0].read_bytes())["files"]
    except ValueError:
        return [f"{tree} has a manifest that is none"]
    wanted = {file["path"]: file["sha256"] for file in listed}
    actual = {path: sha256(data) for path, data in tree_content(tree).items()}
    found = [] if wanted == actual else [f"{tree} is not its manifest: {sorted(wanted)}, {sorted(actual)}"]
    blobs = blob_files(root)
    for path, digest in wanted.items():
        if digest not in blobs:
            found.append(f"{tree}/{path} has no blob")
        elif (tree / path).exists() and not blobs[digest].samefile(tree / path):
            found.append(f"{tree}/{path} is another file than its blob")
    return found
