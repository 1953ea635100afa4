"""What a store holds and what takes its room: for `modelfetch store ls` and `du`.

Comes in: `Contents`, and for `du` the volume. Goes out: rows, sizes in bytes, times in seconds of the volume's clock.
A blob is counted once, however many names it has.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from modelfetch.store import layout
from modelfetch.store.contents import Contents, Model, Tree
from modelfetch.store.judge import expected_sizes
from modelfetch.store.layout import Steps
from modelfetch.store.readable import ReadableVolume


@dataclass(frozen=True)
class Revision:
    """A published revision; what its manifest or its owner's record would say is None where that cannot be read."""

    namespace: str
    name: str
    revision: str
    is_current: bool
    published_s: float
    digest: str | None
    commit: str | None
    source: str | None
    license: str | None
    files: int | None
    size: int | None
    owner: str | None
    deletion_policy: str | None


@dataclass(frozen=True)
class ModelUsage:
    """What one model takes: `apparent` counts each file of each revision, `unique` blobs go when only it goes."""

    namespace: str
    name: str
    revisions: int
    apparent: int
    unique: int
    shared: int


@dataclass(frozen=True)
class Usage:
    """What takes the room of a store; `unreferenced` blobs wait for the next attempt or a collection."""

    models: tuple[ModelUsage, ...]
    blobs: int
    blob_bytes: int
    unreferenced: int
    unreferenced_bytes: int
    ingest_bytes: int
    trash_bytes: int
    free_bytes: int
    free_inodes: int | None


def revisions(contents: Contents) -> list[Revision]:
    """Return all published revisions, by model, the newest last."""
    found = [_revision(contents, model, tree) for model in contents.models for tree in model.trees]
    return sorted(found, key=lambda row: (row.namespace, row.name, row.published_s, row.revision))


def measure(volume: ReadableVolume, contents: Contents) -> Usage:
    """Return what takes the room, now."""
    uses = Counter(sha256 for model in contents.models for sha256 in _digests(contents, model))
    needed = uses.keys() | expected_sizes(contents).keys()
    sizes = {sha256: facts.size for sha256, facts in contents.blobs.items()}
    unreferenced = sizes.keys() - needed
    counted = {facts.inode for facts in contents.blobs.values()}
    room = volume.room()
    return Usage(
        models=tuple(_model_usage(contents, model, uses) for model in contents.models),
        blobs=len(sizes),
        blob_bytes=sum(sizes.values()),
        unreferenced=len(unreferenced),
        unreferenced_bytes=sum(sizes[sha256] for sha256 in unreferenced),
        ingest_bytes=bytes_below(volume, layout.INGEST, counted),
        trash_bytes=bytes_below(volume, layout.TRASH, counted),
        free_bytes=room.size_bytes,
        free_inodes=room.inodes,
    )


def bytes_below(volume: ReadableVolume, root: Steps, counted: set[tuple[int, int]]) -> int:
    """Return the bytes of all files below a folder, each inode once; those in `counted` are known, new ones join it."""
    total, waiting = 0, [root]
    while waiting:
        folder = waiting.pop()
        for name, facts in volume.entries(folder).items():
            if facts.is_folder:
                waiting.append((*folder, name))
            elif facts.is_file and facts.inode not in counted:
                counted.add(facts.inode)
                total += facts.size
    return total


def _revision(contents: Contents, model: Model, tree: Tree) -> Revision:
    manifest, owner = contents.manifest_of(tree), model.owner
    return Revision(
        namespace=model.path[1],
        name=model.path[2],
        revision=tree.path[-1],
        is_current=model.current == tree.path[-1],
        published_s=tree.facts.modified_s,
        digest=contents.digest_of(tree),
        commit=manifest.commit if manifest else None,
        source=_source(manifest.source.model_dump()) if manifest else None,
        license=manifest.license if manifest else None,
        files=len(manifest.files) if manifest else None,
        size=manifest.total_bytes if manifest else None,
        owner=owner.owner if owner else None,
        deletion_policy=owner.deletion_policy if owner else None,
    )


def _source(source: dict[str, object]) -> str:
    kind = "datasets/" if source["repo_type"] == "dataset" else ""
    return f"hf://{kind}{source['repo']}" if source["repo"] else f"https://{source['host'] or '...'}"


def _digests(contents: Contents, model: Model) -> set[str]:
    manifests = [contents.manifest_of(tree) for tree in model.trees]
    return {file.sha256 for manifest in manifests if manifest for file in manifest.files}


def _model_usage(contents: Contents, model: Model, uses: Counter[str]) -> ModelUsage:
    manifests = [manifest for tree in model.trees if (manifest := contents.manifest_of(tree))]
    digests = _digests(contents, model)
    return ModelUsage(
        namespace=model.path[1],
        name=model.path[2],
        revisions=len(model.trees),
        apparent=sum(manifest.total_bytes for manifest in manifests),
        unique=_size(contents, (sha256 for sha256 in digests if uses[sha256] == 1)),
        shared=_size(contents, (sha256 for sha256 in digests if uses[sha256] > 1)),
    )


def _size(contents: Contents, digests: Iterable[str]) -> int:
    return sum(contents.blobs[sha256].size for sha256 in digests if sha256 in contents.blobs)
