"""The small documents of a store on the volume: manifests and owners' records.

Comes in: documents of manifest.py. Goes out: the same, read back and checked. A document is there whole or not at all.
"""

from modelfetch.store import layout
from modelfetch.store.ingest import Ingest
from modelfetch.store.manifest import DOCUMENT_LIMIT, Manifest, Owner, canonical, parse_manifest, parse_owner
from modelfetch.store.readable import ReadableVolume

_OWNER_LIMIT = 1024 * 1024


def manifest_digests(volume: ReadableVolume) -> frozenset[str]:
    """Return the digests of all manifests; names that are none are left alone."""
    names = volume.names(layout.MANIFESTS)
    return frozenset(digest for name in names if (digest := layout.manifest_digest(name)))


def read_manifest(volume: ReadableVolume, digest: str) -> Manifest | None:
    """Return a manifest, None if it is missing; raises FetchError(StoreCorrupt) if its bytes are not its digest's."""
    data = volume.read(layout.manifest(digest), DOCUMENT_LIMIT)
    return None if data is None else parse_manifest(data, digest)


def read_trashed_manifest(volume: ReadableVolume, digest: str) -> Manifest | None:
    """Return a manifest that is on its way out, None if it is gone."""
    data = volume.read(layout.trashed_manifest(digest), DOCUMENT_LIMIT)
    return None if data is None else parse_manifest(data, digest)


def write_manifest(ingest: Ingest, manifest: Manifest) -> None:
    """Put a manifest under its digest, durable; one that is there with the same bytes stays."""
    data, path = manifest.text, layout.manifest(manifest.digest)
    if ingest.volume.read(path, DOCUMENT_LIMIT) == data:
        # Whoever renamed it may have been killed before this.
        ingest.volume.sync_folder(path[:-1], step="manifest")
        return
    ingest.volume.put(data, ingest.staged("manifest"), path, step="manifest")


def read_owner(volume: ReadableVolume, namespace: str, name: str) -> Owner | None:
    """Return whose a model is, None if it has no record."""
    path = layout.owner(namespace, name)
    data = volume.read(path, _OWNER_LIMIT)
    return None if data is None else parse_owner(data, "/".join(path))


def read_owner_at(volume: ReadableVolume, folder: layout.Steps) -> Owner | None:
    """Return the owner's record in a model's folder that was moved elsewhere."""
    path = (*folder, "owner.json")
    data = volume.read(path, _OWNER_LIMIT)
    return None if data is None else parse_owner(data, "/".join(path))


def write_owner(ingest: Ingest, owner: Owner) -> None:
    """Put the record beside the model's trees, durable; the same content stays."""
    data, path = canonical(owner), layout.owner(owner.namespace, owner.name)
    if ingest.volume.read(path, _OWNER_LIMIT) == data:
        ingest.volume.sync_folder(path[:-1], step="owner")
        return
    ingest.volume.put(data, ingest.staged("owner"), path, step="owner")
