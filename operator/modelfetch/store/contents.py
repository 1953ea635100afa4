"""All that a store holds, gathered in one walk without reading any blob: what verify, ls, du and gc decide on.

Comes in: a volume, which may be read-only and in use. Goes out: `Contents`. What cannot be read becomes a finding and
the walk goes on; what goes away meanwhile is left out.
"""

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from modelfetch.errors import FetchError
from modelfetch.hashing import sha256_digest
from modelfetch.reasons import Reason
from modelfetch.store import layout, records
from modelfetch.store.facts import Facts
from modelfetch.store.faults import Vanished
from modelfetch.store.findings import Finding, Kind
from modelfetch.store.layout import Steps
from modelfetch.store.manifest import DOCUMENT_LIMIT, Manifest, Owner, canonical, parse_manifest
from modelfetch.store.readable import ReadableVolume

Value = TypeVar("Value")

KNOWN_NAMES = frozenset({"store.json", "blobs", "manifests", "models", "ingest", "trash"}) | layout.FOREIGN_BUT_FINE
_BLOB_FOLDERS = frozenset({layout.BLOBS[-1], layout.ALIASES[-1], layout.SUMS[-1]})


@dataclass(frozen=True)
class Tree:
    """One revision: files and links by their paths below it, the texts of the links, and the folders."""

    path: Steps
    facts: Facts
    entries: Mapping[str, Facts]
    texts: Mapping[str, str]
    folders: Mapping[str, Facts]


@dataclass(frozen=True)
class Model:
    """A model's folder; `owner` is None where there is no readable record, `current` where there is no link."""

    path: Steps
    owner: Owner | None
    has_record: bool
    current: str | None
    trees: tuple[Tree, ...]

    @property
    def name(self) -> str:
        """`<namespace>/<name>`."""
        return "/".join(self.path[-2:])


@dataclass(frozen=True)
class Contents:
    """A store as it was found.

    `manifests` are by digest, `blobs` and `sums` by SHA-256, `aliases` by git's id, `folders` above trees and files by
    their paths.
    """

    manifests: Mapping[str, Manifest]
    broken_manifests: frozenset[str]
    blobs: Mapping[str, Facts]
    sums: Mapping[str, Facts]
    aliases: Mapping[str, str | None]
    models: tuple[Model, ...]
    folders: Mapping[str, Facts]
    keeps_modes: bool
    problems: tuple[Finding, ...]

    def digest_of(self, tree: Tree) -> str | None:
        """Return the digest of the manifest that a tree's name refers to, None where there is none that can be read."""
        return self._by_revision.get(tree.path[-1])

    def manifest_of(self, tree: Tree) -> Manifest | None:
        """Return the manifest that a tree's name refers to."""
        digest = self.digest_of(tree)
        return None if digest is None else self.manifests[digest]

    def has_manifest_for(self, revision: str) -> bool:
        """True if a tree with this name would have a manifest."""
        return revision in self._by_revision

    @cached_property
    def _by_revision(self) -> dict[str, str]:
        return {layout.revision_name(found.commit, digest): digest for digest, found in self.manifests.items()}


@dataclass
class _Walk:
    """A walk under way: what it has met that is wrong."""

    volume: ReadableVolume
    problems: list[Finding] = field(default_factory=list)
    passed: dict[str, Facts] = field(default_factory=dict)

    def note(self, path: Steps, kind: Kind, detail: str) -> None:
        self.problems.append(Finding("/".join(path), kind, detail))

    def read(self, path: Steps, act: Callable[[], Value]) -> Value | None:
        """Return what `act` returns; None, and a finding, where the volume does not answer. Newer formats raise."""
        try:
            return act()
        except Vanished:
            return None
        except FetchError as error:
            if error.reason is Reason.VERSION_SKEW:
                raise
            self.note(path, Kind.CORRUPT if error.reason is Reason.STORE_CORRUPT else Kind.UNREADABLE, error.message)
            return None

    def text(self, path: Steps) -> str | None:
        return self.read(path, lambda: self.volume.link_text(path))

    def entries(self, path: Steps) -> dict[str, Facts]:
        return self.read(path, lambda: self.volume.entries(path)) or {}

    def folders(self, path: Steps, what: str) -> dict[str, Facts]:
        """Return the folders in a folder; anything else is extra."""
        found = self.entries(path)
        for name, facts in found.items():
            if not facts.is_folder:
                self.note((*path, name), Kind.EXTRA, f"expected only {what} here")
        folders = {name: facts for name, facts in found.items() if facts.is_folder}
        self.passed.update({"/".join((*path, name)): facts for name, facts in folders.items()})
        return folders

    def digested(self, root: Steps, expected: Callable[[str], Steps | None], what: str) -> dict[str, Facts]:
        """Return what has a digest's name in `root`; a name that is none, or in a wrong folder, is extra."""
        found: dict[str, Facts] = {}
        for folder in self.folders(root, "folders of two digits"):
            for name, facts in self.entries((*root, folder)).items():
                if expected(name) == (*root, folder, name):
                    found[name] = facts
                else:
                    self.note((*root, folder, name), Kind.EXTRA, f"expected only {what} here")
        return found


def gather(volume: ReadableVolume) -> Contents:
    """Return what the store holds. Raises FetchError(VersionSkew) where a newer modelfetch has written documents."""
    walk = _Walk(volume)
    _note_unknown(walk, (), KNOWN_NAMES)
    _note_unknown(walk, layout.BLOBS[:1], _BLOB_FOLDERS)
    _note_unknown(walk, layout.MANIFESTS[:1], frozenset({layout.MANIFESTS[-1]}))
    _check_claim(walk)
    # Models first: a publisher writes manifest and blobs before its tree, so what a tree refers to is there later.
    models = tuple(
        _model(walk, (*layout.MODELS, namespace, name))
        for namespace in walk.folders(layout.MODELS, "namespaces")
        for name in walk.folders((*layout.MODELS, namespace), "models")
    )
    manifests, broken = _manifests(walk)
    blobs = walk.digested(layout.BLOBS, lambda name: layout.blob(name) if layout.is_blob_name(name) else None, "blobs")
    sums = walk.digested(layout.SUMS, lambda name: layout.sums(name) if layout.is_blob_name(name) else None, "sums")
    return Contents(
        manifests=manifests,
        broken_manifests=broken,
        blobs=blobs,
        sums=sums,
        aliases=_aliases(walk),
        models=models,
        folders=walk.passed,
        keeps_modes=_keeps_modes(volume, blobs),
        problems=tuple(walk.problems),
    )


def _note_unknown(walk: _Walk, path: Steps, known: frozenset[str]) -> None:
    for name in walk.entries(path):
        if name not in known:
            walk.note((*path, name), Kind.EXTRA, "expected only names of the store here")


def _check_claim(walk: _Walk) -> None:
    """The id is said twice, by store.json and by the link that its first opener made."""
    claim = walk.text(layout.ID_CLAIM)
    data = walk.read(layout.STORE_FILE, lambda: walk.volume.read(layout.STORE_FILE, DOCUMENT_LIMIT)) or b""
    if claim is not None and f'"{claim}"'.encode() not in data:
        walk.note(layout.STORE_FILE, Kind.CORRUPT, f"expected the id '{claim}', which '{layout.ID_CLAIM[0]}' says")


def _keeps_modes(volume: ReadableVolume, blobs: Mapping[str, Facts]) -> bool:
    """True unless every file is writable, as on volumes that give all files the same mode."""
    store_file = volume.facts(layout.STORE_FILE)
    return any(not facts.is_writable for facts in [*blobs.values(), *([store_file] if store_file else [])])


def _manifests(walk: _Walk) -> tuple[dict[str, Manifest], frozenset[str]]:
    found: dict[str, Manifest] = {}
    broken = set()
    names = walk.entries(layout.MANIFESTS)
    for name in names:
        path, digest = (*layout.MANIFESTS, name), layout.manifest_digest(name)
        if digest is None:
            walk.note(path, Kind.EXTRA, "expected only manifests here")
            continue
        manifest = _manifest(walk, path, digest, frozenset(names))
        if manifest is None:
            broken.add(digest)
        else:
            found[digest] = manifest
    return found, frozenset(broken)


def _manifest(walk: _Walk, path: Steps, digest: str, names: frozenset[str]) -> Manifest | None:
    data = walk.read(path, lambda: walk.volume.read(path, DOCUMENT_LIMIT))
    if data is None:
        return None
    actual = sha256_digest(data)
    if actual != digest and layout.manifest(actual)[-1] in names:
        walk.note(path, Kind.SWAPPED, f"expected '{digest}', got the content of '{actual}'")
        return None
    return walk.read(path, lambda: parse_manifest(data, digest))


def _aliases(walk: _Walk) -> dict[str, str | None]:
    found = walk.digested(layout.ALIASES, _alias_path, "git ids")
    return {oid: walk.text(layout.alias(oid)) for oid in found}


def _alias_path(name: str) -> Steps | None:
    return layout.alias(name) if layout.is_git_id(name) else None


def _model(walk: _Walk, path: Steps) -> Model:
    entries = walk.entries(path)
    record_path = (*path, layout.OWNER_NAME)
    # The record and the link before the trees: a model that is replaced meanwhile has what the new link says.
    owner = _owner(walk, record_path) if layout.OWNER_NAME in entries else None
    current = walk.text((*path, layout.CURRENT_NAME))
    for name, facts in entries.items():
        if not facts.is_folder and name not in (layout.OWNER_NAME, layout.CURRENT_NAME):
            walk.note((*path, name), Kind.EXTRA, "expected only revisions, the owner's record and 'current' here")
    trees = tuple(_tree(walk, (*path, name), facts) for name, facts in entries.items() if facts.is_folder)
    return Model(path, owner, layout.OWNER_NAME in entries, current, trees)


def _owner(walk: _Walk, path: Steps) -> Owner | None:
    owner = walk.read(path, lambda: records.read_owner(walk.volume, *path[1:3]))
    if owner is None:
        return None
    if (owner.namespace, owner.name) != path[1:3]:
        walk.note(
            path, Kind.SWAPPED, f"expected the record of this model, got that of '{owner.namespace}/{owner.name}'"
        )
        return None
    if walk.read(path, lambda: walk.volume.read(path, DOCUMENT_LIMIT)) not in (None, canonical(owner)):
        walk.note(path, Kind.CORRUPT, "expected the record in its canonical form, got another")
    return owner


def _tree(walk: _Walk, root: Steps, facts: Facts) -> Tree:
    entries: dict[str, Facts] = {}
    texts: dict[str, str] = {}
    folders: dict[str, Facts] = {}
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        for name, found in walk.entries(folder).items():
            path = (*folder, name)
            below = posixpath.join(*path[len(root) :])
            if found.is_folder:
                folders[below] = found
                waiting.append(path)
                continue
            entries[below] = found
            if found.is_link:
                texts[below] = walk.text(path) or ""
    return Tree(root, facts, entries, texts, folders)
