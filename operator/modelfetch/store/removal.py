"""Taking published models away again: a plan first, then the plan carried out, and nothing that somebody needs.

Comes in: who is gone (namespace, name, owner). Goes out: `RemovalPlan`, then an empty place. Each thing is first moved
to trash/, then everything that could refer to it is looked at once more, then it is moved back or deleted. A publisher
does the opposite: it writes the reference first and looks afterwards whether the thing is still there. So whichever way
the two interleave, at least one of them sees the other. Locks play no part.

    owner gone ▶ model's folder ▶ manifests that no tree refers to ▶ blobs that no manifest and no pin refers to

A program killed in the middle leaves its trash; the next removal of anything finishes it.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from modelfetch.api.order import RemovalTarget
from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store import ingest, layout, records
from modelfetch.store.faults import Vanished
from modelfetch.store.fs import Volume
from modelfetch.store.layout import Steps
from modelfetch.store.manifest import Owner, owner_short
from modelfetch.store.probe import Links
from modelfetch.store.store import Store

ABANDONED_S = 7 * 86_400.0
"""Seconds after which a blob that nothing refers to was left by a failed fetch; longer than the longest attempt."""


@dataclass(frozen=True)
class Kept:
    """A model that stays, and why."""

    namespace: str
    name: str
    why: str


@dataclass(frozen=True)
class RemovalPlan:
    """What goes: models, then the manifests and blobs that nothing else refers to; `freed_bytes` of content."""

    models: tuple[RemovalTarget, ...]
    manifests: tuple[str, ...]
    blobs: tuple[str, ...]
    freed_bytes: int
    kept: tuple[Kept, ...]

    def lines(self) -> list[str]:
        """Return the plan for people, in the order in which it is carried out."""
        return [
            *(f"keep {kept.namespace}/{kept.name}: {kept.why}" for kept in self.kept),
            *(f"remove model {target.namespace}/{target.name} of {target.owner}" for target in self.models),
            *(f"remove manifest {digest}" for digest in self.manifests),
            *(f"remove blob {sha256}" for sha256 in self.blobs),
            f"free {self.freed_bytes} bytes",
        ]


def survey(store: Store, namespace: str, live: Iterable[str]) -> tuple[Owner, ...]:
    """Return the records of the models in `namespace` whose owner's short form is not in `live`; changes nothing."""
    living = frozenset(live)
    found = []
    for name in store.volume.names((*layout.MODELS, layout.check_step(namespace))):
        owner = records.read_owner(store.volume, namespace, name)
        if owner is not None and owner.short not in living:
            found.append(owner)
    return tuple(found)


def plan_removal(store: Store, targets: Iterable[RemovalTarget], abandoned_s: float = ABANDONED_S) -> RemovalPlan:
    """Return what may go once these owners are gone, with what killed removals have left half done.

    Beside what they alone used, it takes manifests and blobs that nothing refers to and that are older than
    `abandoned_s`: a failed fetch left them.
    Raises FetchError(StoreCorrupt) when a manifest cannot be read: nothing may then be called unused.
    """
    return _plan(store.volume, targets, abandoned_s, frozenset())


def plan_unused(volume: Volume, abandoned_s: float, dead_attempts: frozenset[Steps]) -> RemovalPlan:
    """Return what nothing refers to, as `plan_removal` does, but for the pins of attempts that are dead."""
    return _plan(volume, (), abandoned_s, dead_attempts)


def _plan(
    volume: Volume, targets: Iterable[RemovalTarget], abandoned_s: float, dead_attempts: frozenset[Steps]
) -> RemovalPlan:
    models, kept = _judge(volume, targets)
    leaving = {layout.model(target.namespace, target.name) for target in models}
    staying = _keys(volume, set(_models(volume)) - leaving)
    leaving_keys = _keys(volume, leaving | _trashed_models(volume))
    old = _Age(volume, abandoned_s)
    dead = {
        digest
        for digest in records.manifest_digests(volume)
        if layout.manifest_key(digest) not in staying
        # Another one without a tree may belong to a publisher at work.
        and (layout.manifest_key(digest) in leaving_keys or old(layout.manifest(digest)))
    }
    needed = _needed(volume, without=dead, dead_attempts=dead_attempts)
    abandoned = {sha256 for sha256 in _all_blobs(volume) if old(layout.blob(sha256))}
    half_done = _files_of_trashed(volume, volume.names(layout.TRASH))
    unused = (_files_of(volume, dead) | half_done | abandoned) - needed
    blobs = tuple(sorted(sha256 for sha256 in unused if volume.facts(layout.blob(sha256)) is not None))
    return RemovalPlan(models, tuple(sorted(dead)), blobs, _size_bytes(volume, blobs), kept)


def execute_removal(store: Store, plan: RemovalPlan) -> None:
    """Carry the plan out, and finish what killed removals have left in trash/.

    What has found a new owner or a new reference since the plan was made stays. May be repeated, also after it was
    killed at any point.
    """
    volume = store.volume
    for target in plan.models:
        _trash_model(volume, target)
    models = _settle_models(volume)
    manifests = _settle_manifests(volume, plan.manifests)
    _settle_blobs(store, set(plan.blobs) | _files_of_trashed(volume, manifests))
    _forget_hints(volume)
    # Last what tells a next run where a killed one stopped.
    for name in (*manifests, *models, *_unknown(volume)):
        volume.remove_tree((*layout.TRASH, name), step="trash.remove")
    volume.sync_folder(layout.TRASH, step="trash")


def _look_afresh(volume: Volume) -> None:
    """What other nodes published before is seen from now on, as far as the volume's caches can be told so."""
    for folder in (layout.TRASH, layout.INGEST, layout.MANIFESTS, layout.MODELS):
        volume.refresh(folder)
    for namespace in _folders(volume, layout.MODELS):
        volume.refresh(namespace)
    for model in _models(volume):
        volume.refresh(model)


def _judge(volume: Volume, targets: Iterable[RemovalTarget]) -> tuple[tuple[RemovalTarget, ...], tuple[Kept, ...]]:
    leaving, kept = [], []
    for target in targets:
        why = _why_kept(records.read_owner(volume, target.namespace, target.name), target)
        if why is None:
            leaving.append(target)
        else:
            kept.append(Kept(target.namespace, target.name, why))
    return tuple(leaving), tuple(kept)


def _why_kept(owner: Owner | None, target: RemovalTarget) -> str | None:
    if owner is None:
        return "nothing is published under this name"
    if owner.owner != target.owner:
        return f"it belongs to '{owner.owner}', not to '{target.owner}'"
    if owner.deletion_policy == "Retain":
        return "its deletion policy is Retain"
    return None


# Models


def _models(volume: Volume) -> list[Steps]:
    namespaces = _folders(volume, layout.MODELS)
    return [model for namespace in namespaces for model in _folders(volume, namespace)]


def _trashed_models(volume: Volume) -> set[Steps]:
    return {(*layout.TRASH, name) for name in volume.names(layout.TRASH) if layout.trash_kind(name)[0] == "model"}


def _folders(volume: Volume, parent: Steps) -> list[Steps]:
    paths = [(*parent, name) for name in volume.names(parent)]
    return [path for path in paths if (facts := volume.facts(path)) is not None and facts.is_folder]


def _keys(volume: Volume, models: Iterable[Steps]) -> set[str]:
    """Return the short forms of the manifests that trees in these folders refer to."""
    return {layout.revision_key(tree[-1]) for model in models for tree in _folders(volume, model)}


def _trash_model(volume: Volume, target: RemovalTarget) -> None:
    """Move a model's folder to trash/ in one step: record, trees and `current`."""
    if _why_kept(records.read_owner(volume, target.namespace, target.name), target) is None:
        source = layout.model(target.namespace, target.name)
        trashed = layout.trashed_model(owner_short(target.owner), secrets.token_hex(4))
        _move(volume, source, trashed, step="model.trash")
        volume.sync_folder(source[:-1], step="model.trash")
        volume.sync_folder(layout.TRASH, step="model.trash")


def _settle_models(volume: Volume) -> list[str]:
    """Put back what a new owner had taken over just before it was moved; return the names in trash/ that may go."""
    doomed = []
    for name in volume.names(layout.TRASH):
        kind, owner = layout.trash_kind(name)
        if kind == "model" and not _put_model_back(volume, (*layout.TRASH, name), owner):
            doomed.append(name)
    return doomed


def _put_model_back(volume: Volume, trashed: Steps, removed_owner: str) -> bool:
    found = records.read_owner_at(volume, trashed)
    if found is None or found.short == removed_owner:
        return False
    place = layout.model(found.namespace, found.name)
    try:
        volume.rename(trashed, place, step="model.restore")
    except FetchError as error:
        if error.reason is Reason.STORE_CORRUPT and volume.facts(place) is not None:
            return False  # the new owner has noticed and published again
        raise
    volume.sync_folder(place[:-1], step="model.restore")
    return True


# Manifests


def _settle_manifests(volume: Volume, digests: Iterable[str]) -> list[str]:
    """Move manifests to trash/, put back what a tree refers to; return the names in trash/ that may go."""
    for digest in digests:
        _move(volume, layout.manifest(digest), layout.trashed_manifest(digest), step="manifest.trash")
    volume.sync_folder(layout.TRASH, step="manifest.trash")
    volume.sync_folder(layout.MANIFESTS, step="manifest.trash")
    _look_afresh(volume)
    trashed = [name for name in volume.names(layout.TRASH) if layout.trash_kind(name)[0] == "manifest"]
    keys = _keys(volume, _models(volume))  # after the move: a publisher that is not seen here sees the gap
    doomed = []
    for name in trashed:
        digest = layout.trash_kind(name)[1]
        if layout.manifest_key(digest) in keys:
            _move(volume, (*layout.TRASH, name), layout.manifest(digest), step="manifest.restore")
            volume.sync_folder(layout.MANIFESTS, step="manifest.restore")
        else:
            doomed.append(name)
    return doomed


def _files_of(volume: Volume, digests: Iterable[str]) -> set[str]:
    manifests = [records.read_manifest(volume, digest) for digest in digests]
    return {file.sha256 for manifest in manifests if manifest is not None for file in manifest.files}


def _files_of_trashed(volume: Volume, names: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for name in names:
        kind, digest = layout.trash_kind(name)
        manifest = records.read_trashed_manifest(volume, digest) if kind == "manifest" else None
        if manifest is not None:
            found.update(file.sha256 for file in manifest.files)
    return found


# Blobs


def _needed(
    volume: Volume, without: Iterable[str] = (), dead_attempts: frozenset[Steps] = frozenset()
) -> frozenset[str]:
    """Return the SHA-256 of all that a pin, a manifest or a tree without a manifest refers to.

    Pins first: a publisher writes its manifest before it lets go of its pins, so one of them is seen.
    """
    pinned = ingest.pinned_digests(volume, dead_attempts)
    listed = records.manifest_digests(volume)
    return pinned | _files_of(volume, listed - set(without)) | _linked_by(volume, unlisted_trees(volume, listed))


def unlisted_trees(volume: Volume, listed: Iterable[str]) -> list[Steps]:
    """Return the trees of models whose manifest is not among the digests `listed`: something has destroyed it."""
    keys = {layout.manifest_key(digest) for digest in listed}
    trees = [tree for model in _models(volume) for tree in _folders(volume, model)]
    return [tree for tree in trees if layout.revision_key(tree[-1]) not in keys]


def _linked_by(volume: Volume, trees: Iterable[Steps]) -> set[str]:
    """Return the blobs that trees lead to by symlinks; those of hard links hold their content by themselves."""
    found, waiting = set(), list(trees)
    while waiting:
        folder = waiting.pop()
        for name, facts in volume.entries(folder).items():
            if facts.is_folder:
                waiting.append((*folder, name))
            elif sha256 := layout.linked_blob(volume.link_text((*folder, name)) or ""):
                found.add(sha256)
    return found


def _settle_blobs(store: Store, candidates: set[str]) -> None:
    """Move unused blobs to trash/, put back what is needed after all, delete the others."""
    volume = store.volume
    for sha256 in sorted(candidates - _needed(volume)):
        _move(volume, layout.blob(sha256), layout.trashed_blob(sha256, secrets.token_hex(4)), step="blob.trash")
    volume.sync_folder(layout.TRASH, step="blob.trash")
    _look_afresh(volume)
    trashed = [name for name in volume.names(layout.TRASH) if layout.trash_kind(name)[0] == "blob"]
    needed = _needed(volume)  # after the move: a publisher that is not seen here sees the gap
    for name in trashed:
        if layout.trash_kind(name)[1] in needed:
            _put_blob_back(store, (*layout.TRASH, name), layout.trash_kind(name)[1])
        else:
            volume.remove((*layout.TRASH, name), step="blob.delete")


def hints_without(volume: Volume, blobs: frozenset[str] = frozenset()) -> list[Steps]:
    """Return git's ids and sums of blobs that are not here, or are among `blobs`."""
    hints = [(*folder, name) for folder in _folders(volume, layout.ALIASES) for name in volume.names(folder)]
    found = [(path, layout.linked_blob(volume.link_text(path) or "")) for path in hints]
    sums = [(*folder, name) for folder in _folders(volume, layout.SUMS) for name in volume.names(folder)]
    found += [(path, path[-1] if layout.is_blob_name(path[-1]) else None) for path in sums]
    return [
        path
        for path, sha256 in found
        if sha256 is not None and (sha256 in blobs or volume.facts(layout.blob(sha256)) is None)
    ]


def _forget_hints(volume: Volume) -> None:
    """Remove hints of blobs that are gone; one whose blob comes this moment costs a download or a slow look at most."""
    for path in hints_without(volume):
        volume.remove(path, step="hint.remove")


def _put_blob_back(store: Store, trashed: Steps, sha256: str) -> None:
    volume, place = store.volume, layout.blob(sha256)
    if store.links is Links.HARD:
        _link(volume, trashed, place)
        volume.remove(trashed, step="blob.forget")
    elif volume.facts(place) is None:
        _move(volume, trashed, place, step="blob.restore")
    else:
        volume.remove(trashed, step="blob.forget")
    volume.sync_folder(place[:-1], step="blob.restore")


def _all_blobs(volume: Volume) -> list[str]:
    folders = _folders(volume, layout.BLOBS)
    return [name for folder in folders for name in volume.names(folder) if layout.is_blob_name(name)]


def _size_bytes(volume: Volume, blobs: Iterable[str]) -> int:
    found = [volume.facts(layout.blob(sha256)) for sha256 in blobs]
    return sum(facts.size for facts in found if facts is not None)


# Steps


class _Age:
    """Whether something is older than a time by the volume's own clock."""

    def __init__(self, volume: Volume, limit_s: float) -> None:
        self._volume = volume
        self._limit_s = limit_s
        self._now_s = volume.clock_s(layout.TRASH)

    def __call__(self, path: Steps) -> bool:
        facts = self._volume.facts(path)
        return facts is not None and self._now_s - facts.modified_s >= self._limit_s


def _unknown(volume: Volume) -> list[str]:
    return [name for name in volume.names(layout.TRASH) if not layout.trash_kind(name)[0]]


def _move(volume: Volume, source: Steps, target: Steps, *, step: str) -> None:
    try:
        volume.rename(source, target, step=step)
    except Vanished:
        return  # another removal was faster


def _link(volume: Volume, source: Steps, target: Steps) -> None:
    try:
        volume.link(source, target, step="blob.restore")
    except Vanished:
        return  # another removal has put it back, or its publisher has
