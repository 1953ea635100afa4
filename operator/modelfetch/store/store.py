"""A store on a volume: opened, checked, and the door to everything below it.

    with Store.open("/volume", Filesystem(), path="models") as store, store.ingest("attempt-1") as ingest:
        blob = store.blobs.pin(ingest, sha256, size)             # here already?
        if blob is None:
            partial = ingest.create("0001")
            partial.write_at(0, memoryview(data))
            blob = store.blobs.commit(ingest, partial, sha256, size)
        published = store.views.publish(ingest, owner, manifest)

Correctness never depends on a lock: two programs that open an empty folder at once agree on one id, two that publish
the same content end with one file.
"""

import json
import secrets
from contextlib import AbstractContextManager
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store import ingest as ingests
from modelfetch.store import layout
from modelfetch.store.blobs import Blobs
from modelfetch.store.faults import Vanished
from modelfetch.store.fs import Filesystem, Volume
from modelfetch.store.ingest import Ingest, Sweep
from modelfetch.store.layout import Steps
from modelfetch.store.manifest import canonical
from modelfetch.store.probe import Capabilities, Links, probe
from modelfetch.store.views import Views

_FILE_LIMIT = 64 * 1024
_NESTED_LIMIT = 8
"""Folders between a root and another store below it; by gut."""


class StoreFile(BaseModel):
    """The content of store.json."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, defer_build=True)
    id: str = Field(pattern=r"^[0-9a-f]{32}$")
    layout_version: Literal[1] = 1


class Store:
    """An open store; close it, or use it as a context manager. May be shared by threads."""

    def __init__(self, volume: Volume, store_id: str, capabilities: Capabilities) -> None:
        self.volume = volume
        self.id = store_id
        self.capabilities = capabilities
        self.blobs = Blobs(volume, capabilities)
        self.views = Views(volume, capabilities, self.blobs)

    @classmethod
    def open(cls, root: str, fs: Filesystem, path: str = "") -> Self:
        """Return the store in the folder `path` below `root`; an empty or missing folder becomes a store.

        `root` is trusted and may be reached through links, `path` may not.
        Raises FetchError: StorageUnsuitable for a folder with other content or a volume that lacks something,
        VersionSkew for a store of a newer layout, StoreCorrupt for an unreadable store.json, and as the volume answers.
        """
        volume = fs.open(root, _steps(path))
        try:
            return cls(volume, _prepare(volume), probe(volume))
        except BaseException:
            volume.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the root's descriptor back."""
        self.volume.close()

    @property
    def links(self) -> Links:
        """What trees are made of: hard links to blobs, or relative symlinks where the volume has none."""
        return self.capabilities.links

    def free_bytes(self) -> int:
        """Return the bytes that an ordinary user may still write."""
        return self.volume.room().size_bytes

    def free_inodes(self) -> int | None:
        """Return how many files may still be made, None where the volume does not count."""
        return self.volume.room().inodes

    def ingest(self, attempt: str, owner: str = "") -> AbstractContextManager[Ingest]:
        """Hold a new private folder for an attempt of `owner`; after an error what was verified stays in it."""
        return ingests.ingesting(self.volume, attempt, self.capabilities, owner)

    def plan_sweep(self, older_than_s: float, keep: frozenset[str] = frozenset()) -> Sweep:
        """Return which folders of dead attempts may go: older than the longest attempt, and not in `keep`."""
        return ingests.plan_sweep(self.volume, older_than_s, keep)

    def sweep(self, plan: Sweep) -> None:
        """Remove what the plan names."""
        ingests.execute_sweep(self.volume, plan)


def _steps(path: str) -> Steps:
    return layout.file_steps(path.strip("/")) if path.strip("/") else ()


def read_id(volume: Volume) -> str | None:
    """Return the id that store.json says, None without one; raises StoreCorrupt, or VersionSkew for a newer layout."""
    data = volume.read(layout.STORE_FILE, _FILE_LIMIT)
    if data is None:
        return None
    try:
        content = json.loads(data)
        version = content.get("layoutVersion") if isinstance(content, dict) else None
        if isinstance(version, int) and version > layout.LAYOUT_VERSION:
            raise FetchError(
                Reason.VERSION_SKEW, f"expected layout version {layout.LAYOUT_VERSION}, got {version} in 'store.json'"
            )
        return StoreFile.model_validate(content).id
    except (ValueError, ValidationError):
        raise FetchError(
            Reason.STORE_CORRUPT, "expected a store's id and layout version, got something else in 'store.json'"
        ) from None


def find(root: str, fs: Filesystem, path: str = "") -> Volume | None:
    """Return the volume of the store in `path` below `root`, changed in nothing, None where there is no store.

    It may be read-only. Raises FetchError: StoreCorrupt and VersionSkew as `Store.open` does, others as it answers.
    """
    steps = _steps(path)
    try:
        volume = fs.look(root, steps)
    except Vanished:
        if not steps:
            raise
        return None
    try:
        if read_id(volume) is not None:
            return volume
    except BaseException:
        volume.close()
        raise
    volume.close()
    return None


def look(root: str, fs: Filesystem) -> Volume:
    """Return the volume of the store at `root` as `find` does; raises StorageUnsuitable where there is none."""
    volume = find(root, fs)
    if volume is None:
        raise FetchError(Reason.STORAGE_UNSUITABLE, f"expected a store, got a folder without 'store.json': '{root}'")
    return volume


def _claim_id(volume: Volume) -> str:
    """Turn an empty folder into a store in the making, and return its id: who comes first chooses it."""
    if volume.link_text(layout.ID_CLAIM) is None:
        names = set(volume.names(())) - layout.FOREIGN_BUT_FINE
        foreign = {name for name in names if not _holds_only_stores(volume, (name,))}
        # Looked at again: somebody else may have made a store of it since.
        if foreign and volume.link_text(layout.ID_CLAIM) is None:
            raise FetchError(
                Reason.STORAGE_UNSUITABLE,
                f"expected a store or an empty folder, got a folder with {len(foreign)} other names such as "
                f"'{min(foreign)}'",
            )
        volume.symlink(secrets.token_hex(16), layout.ID_CLAIM, step="store.claim")
    volume.sync_folder((), step="store.claim")
    store_id = volume.link_text(layout.ID_CLAIM) or ""
    if not layout.is_store_id(store_id):
        raise FetchError(
            Reason.STORE_CORRUPT, f"expected a link that says a store's id, got '{store_id}' at '{layout.ID_CLAIM[0]}'"
        )
    return store_id


def _holds_only_stores(volume: Volume, path: Steps) -> bool:
    """Tell whether a folder is another store, one in the making, empty, or leads to nothing but these.

    Two stores may share a claim, one of them its root; which of them comes first must not matter.
    """
    if not _is_folder(volume, path):
        return False
    if volume.link_text((*path, *layout.ID_CLAIM)) is not None or volume.facts((*path, *layout.STORE_FILE)) is not None:
        return True
    return len(path) < _NESTED_LIMIT and all(_holds_only_stores(volume, (*path, name)) for name in volume.names(path))


def _is_folder(volume: Volume, path: Steps) -> bool:
    found = volume.facts(path)
    return found is not None and found.is_folder


def _prepare(volume: Volume) -> str:
    """Make what is missing of a store and return its id; everybody who comes at once writes the same document."""
    known = read_id(volume)
    store_id = known or _claim_id(volume)
    for folder in layout.FOLDERS:
        # Who wrote store.json had made all of them durable before: only what somebody took away since is made again.
        if known is None or not _is_folder(volume, folder):
            volume.make_folders(folder, step="store.folder")
    if known is not None:
        # Whoever wrote it may have been killed before the name was durable.
        volume.sync_folder((), step="store.known")
    else:
        data, private = canonical(StoreFile(id=store_id)), layout.ingest("store", secrets.token_hex(4))
        volume.put(data, private, layout.STORE_FILE, step="store")
    return store_id
