"""What is wrong with a store by the names, sizes, modes and links in it; pure.

Comes in: `Contents`. Goes out: findings, those of the walk among them. What the blobs contain is verify.py's question.
Some of this may be true for a moment while somebody publishes or removes: whoever asks looks twice.
"""

import stat
from collections.abc import Iterator

from modelfetch.store import layout
from modelfetch.store.contents import Contents, Model, Tree
from modelfetch.store.facts import Facts
from modelfetch.store.findings import Finding, Kind
from modelfetch.store.layout import Steps
from modelfetch.store.manifest import Manifest, ManifestFile

_READABLE_FILE = 0o444
_READABLE_FOLDER = 0o555


def judge(contents: Contents) -> list[Finding]:
    """Return what is wrong, sorted by path, each thing once."""
    found = {
        *contents.problems,
        *(finding for model in contents.models for finding in _of_model(contents, model)),
        *_of_blobs(contents),
        *_of_passed_folders(contents),
        *_of_hints(contents),
    }
    return sorted(found)


def expected_sizes(contents: Contents) -> dict[str, int]:
    """Return the size in bytes of each blob that a manifest lists."""
    return {file.sha256: file.size for manifest in contents.manifests.values() for file in manifest.files}


def _of_model(contents: Contents, model: Model) -> Iterator[Finding]:
    if not model.has_record and (model.trees or model.current is not None):
        yield _finding((*model.path, layout.OWNER_NAME), Kind.MISSING, "expected the record of the model's owner")
    revisions = {tree.path[-1] for tree in model.trees}
    current = (*model.path, layout.CURRENT_NAME)
    if model.current is None and revisions:
        yield _finding(current, Kind.MISSING, "expected a link to one of the model's revisions")
    if model.current is not None and model.current not in revisions:
        yield from _of_dangling(contents, model, current)
    for tree in model.trees:
        yield from _of_tree(contents, tree)


def _of_dangling(contents: Contents, model: Model, current: Steps) -> Iterator[Finding]:
    if model.current is not None and contents.has_manifest_for(model.current):
        yield _finding((*model.path, model.current), Kind.MISSING, "expected the revision that 'current' leads to")
    else:
        yield _finding(current, Kind.WRONG_LINK, f"expected one of the model's revisions, got '{model.current}'")


def _of_tree(contents: Contents, tree: Tree) -> Iterator[Finding]:
    manifest = contents.manifest_of(tree)
    if manifest is None:
        yield from _of_unlisted(contents, tree)
        return
    wanted = {file.path: file for file in manifest.files}
    for path, file in wanted.items():
        yield from _of_file(contents, tree, path, file)
    for path in tree.entries.keys() - wanted.keys():
        yield _finding(_below(tree, path), Kind.EXTRA, "expected only files of the manifest")
    yield from _of_folders(contents, tree, manifest)


def _of_unlisted(contents: Contents, tree: Tree) -> Iterator[Finding]:
    key = layout.revision_key(tree.path[-1])
    if not any(layout.manifest_key(digest) == key for digest in contents.broken_manifests):
        yield _finding((*layout.MANIFESTS, f"{key}*.json"), Kind.MISSING, f"'{'/'.join(tree.path)}' refers to it")


def _of_file(contents: Contents, tree: Tree, path: str, file: ManifestFile) -> Iterator[Finding]:
    steps, found, blob = _below(tree, path), tree.entries.get(path), contents.blobs.get(file.sha256)
    if found is None:
        yield _finding(steps, Kind.MISSING, f"expected the file of {file.size} bytes that the manifest lists")
    elif found.is_link:
        expected = layout.blob_link(steps, file.sha256)
        if tree.texts.get(path) != expected:
            yield _finding(steps, Kind.WRONG_LINK, f"expected '{expected}', got '{tree.texts.get(path)}'")
    elif not found.is_file or (blob is not None and found.inode != blob.inode):
        yield _finding(steps, Kind.WRONG_LINK, f"expected the blob '{file.sha256}', got something else")
    if blob is None:
        yield _finding(layout.blob(file.sha256), Kind.MISSING, f"'{'/'.join(tree.path)}' refers to it")


def _of_folders(contents: Contents, tree: Tree, manifest: Manifest) -> Iterator[Finding]:
    wanted = {path for file in manifest.files for path in _folders_of(file.path)}
    for path in tree.folders.keys() - wanted:
        yield _finding(_below(tree, path), Kind.EXTRA, "expected only folders with files of the manifest")
    for path, facts in [("", tree.facts), *tree.folders.items()]:
        if contents.keeps_modes and not _has(facts, _READABLE_FOLDER):
            yield _finding(_below(tree, path), Kind.WRONG_MODE, f"expected 0755, got {_mode(facts)}")


def _folders_of(path: str) -> list[str]:
    steps = path.split("/")
    return ["/".join(steps[:depth]) for depth in range(1, len(steps))]


def _of_passed_folders(contents: Contents) -> Iterator[Finding]:
    """A folder that only its maker may pass hides all below it from consumers."""
    for path, facts in contents.folders.items():
        if contents.keeps_modes and not _has(facts, _READABLE_FOLDER):
            yield Finding(path, Kind.WRONG_MODE, f"expected 0755, got {_mode(facts)}")


def _of_blobs(contents: Contents) -> Iterator[Finding]:
    sizes = expected_sizes(contents)
    for sha256, facts in contents.blobs.items():
        path, size = layout.blob(sha256), sizes.get(sha256, facts.size)
        if not facts.is_file:
            yield _finding(path, Kind.WRONG_LINK, "expected a regular file, got a link or folder")
            continue
        if facts.size != size:
            yield _finding(path, Kind.WRONG_SIZE, f"expected {size} bytes, got {facts.size}")
        if contents.keeps_modes and (facts.is_writable or not _has(facts, _READABLE_FILE)):
            yield _finding(path, Kind.WRONG_MODE, f"expected 0444, got {_mode(facts)}")


def _of_hints(contents: Contents) -> Iterator[Finding]:
    known = {
        file.git_blob: file.sha256
        for manifest in contents.manifests.values()
        for file in manifest.files
        if file.git_blob is not None
    }
    for oid, text in contents.aliases.items():
        path = layout.alias(oid)
        sha256 = layout.linked_blob(text or "")
        if sha256 is None or text != layout.blob_link(path, sha256):
            yield _finding(path, Kind.WRONG_HINT, f"expected a link to a blob, got '{text or 'none'}'")
        elif known.get(oid, sha256) != sha256:
            yield _finding(path, Kind.WRONG_HINT, f"expected a link to '{known[oid]}', got one to '{sha256}'")


def _finding(path: Steps, kind: Kind, detail: str) -> Finding:
    return Finding("/".join(path), kind, detail)


def _below(tree: Tree, path: str) -> Steps:
    return (*tree.path, *path.split("/")) if path else tree.path


def _has(facts: Facts, bits: int) -> bool:
    return stat.S_IMODE(facts.mode) & bits == bits


def _mode(facts: Facts) -> str:
    return f"{stat.S_IMODE(facts.mode):04o}"
