"""The trees that consumers mount: built in private, renamed into place whole, then `current` switched.

Comes in: a manifest whose blobs this attempt has committed or pinned. Goes out: `Published`, when everything is
durable. Publishing is a loop of steps that are each safe to repeat, ended by a look at the whole: a removal that runs
at the same time may have taken manifest, blobs or tree away before it could see the rest. Both sides first write what
the other one looks for and look afterwards, so at least one of them notices.

All revisions of a model that still has its owner are kept: consumers may have mounted any of them.
"""

import time
from dataclasses import dataclass

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store import layout, records
from modelfetch.store.blobs import Blobs
from modelfetch.store.faults import Vanished
from modelfetch.store.fs import Volume
from modelfetch.store.ingest import Ingest
from modelfetch.store.layout import Steps
from modelfetch.store.manifest import Manifest, ManifestFile, Owner
from modelfetch.store.probe import Capabilities, Links

_ROUNDS = 8
"""How often removals may come between; each must be a new one, so by gut this is never reached."""

_PAUSE_S = 0.02
"""After the first of them, then twice as long each time: five seconds in all, by gut."""


@dataclass(frozen=True)
class Published:
    """A model revision on the volume; `path` is relative to the store's root, `digest` is the manifest's."""

    path: str
    digest: str


class Views:
    """The published trees of one store."""

    def __init__(self, volume: Volume, capabilities: Capabilities, blobs: Blobs) -> None:
        self._volume = volume
        self._capabilities = capabilities
        self._blobs = blobs

    def publish(self, ingest: Ingest, owner: Owner, manifest: Manifest) -> Published:
        """Publish `manifest` as the current revision of the model that `owner` names; durable when this returns.

        Raises FetchError as the volume answers; consumers then see what they saw before, or the new revision whole.
        """
        digest, revision = manifest.digest, manifest.revision_name
        tree = layout.revision(owner.namespace, owner.name, revision)
        for number in range(_ROUNDS):
            try:
                self._write(ingest, owner, manifest, tree)
                self._switch(ingest, owner, revision)
                if self._stands(owner, manifest, tree):
                    return Published("/".join(tree), digest)
            except Vanished:
                # A removal took something away under our hands, or another node put something there that is not seen
                # yet.
                time.sleep(_PAUSE_S * 2**number)
        raise FetchError(
            Reason.STORAGE_IO_ERROR, f"expected '{'/'.join(tree)}' to stay, other programs keep removing parts of it"
        )

    def is_published(self, owner: Owner, manifest: Manifest) -> bool:
        """True if the model's `current` is this manifest, complete, and the record beside it is `owner`."""
        revision = manifest.revision_name
        tree = layout.revision(owner.namespace, owner.name, revision)
        is_current = self._volume.link_text(layout.current(owner.namespace, owner.name)) == revision
        return is_current and self._stands(owner, manifest, tree)

    def _write(self, ingest: Ingest, owner: Owner, manifest: Manifest, tree: Steps) -> None:
        records.write_manifest(ingest, manifest)
        for file in manifest.files:
            self._blobs.ensure(ingest, file)
        self._blobs.sync(manifest.files)
        private = None if self._is_complete(tree, manifest) else self._mend_or_build(ingest, manifest, tree)
        self._volume.make_folders(tree[:-1], step="model.folder", known=len(layout.MODELS))
        records.write_owner(ingest, owner)
        if private is not None:
            self._place(ingest, tree, private)
        self._volume.sync_folder(tree[:-1], step="tree")

    def _stands(self, owner: Owner, manifest: Manifest, tree: Steps) -> bool:
        return (
            records.read_manifest(self._volume, manifest.digest) is not None
            and self._is_complete(tree, manifest)
            and records.read_owner(self._volume, owner.namespace, owner.name) == owner
            and self._volume.link_text(layout.current(owner.namespace, owner.name)) is not None
        )

    def _mend_or_build(self, ingest: Ingest, manifest: Manifest, tree: Steps) -> Steps | None:
        """Put a tree right file by file, so that no reader misses one; return a private tree where it takes more."""
        wanted, folders = _paths(tree, manifest)
        if not self._has_shape(wanted, folders):
            return self._build(ingest, manifest, tree)
        wrong = {path: file for path, file in wanted.items() if not self._is_blob(path, file)}
        if any(facts is not None and facts.is_folder for facts in map(self._volume.facts, wrong)):
            return self._build(ingest, manifest, tree)
        for path, file in wrong.items():
            private = ingest.staged("file")
            self._add(ingest, file, private, path)
            self._volume.rename(private, path, step="tree.mend")
        for folder in sorted(folders, key=len, reverse=True):
            self._volume.sync_folder(folder, step="tree.mend")
        return None

    def _build(self, ingest: Ingest, manifest: Manifest, tree: Steps) -> Steps:
        """Return a private tree with every file of the manifest, all of its folders durable."""
        root = ingest.staged("tree")
        folders = {root}
        self._volume.make_folder(root, step="tree.folder")
        for file in manifest.files:
            steps = layout.file_steps(file.path)
            for depth in range(1, len(steps)):
                if (folder := (*root, *steps[:depth])) not in folders:
                    self._volume.make_folder(folder, step="tree.folder")
                    folders.add(folder)
            self._add(ingest, file, (*root, *steps), (*tree, *steps))
        for folder in sorted(folders, key=len, reverse=True):
            self._volume.sync_folder(folder, step="tree.folder")
        return root

    def _add(self, ingest: Ingest, file: ManifestFile, private: Steps, final: Steps) -> None:
        if self._capabilities.links is Links.HARD:
            is_new = self._volume.link(ingest.pin_path(file.sha256), private, step="tree.link")
        else:
            is_new = self._volume.symlink(layout.blob_link(final, file.sha256), private, step="tree.symlink")
        if not is_new:
            raise FetchError(Reason.PATH_REJECTED, f"expected each path once, got '{file.path}' again", file=file.path)

    def _place(self, ingest: Ingest, tree: Steps, private: Steps) -> None:
        """Rename a private tree to its final name; what stands there is broken or not this manifest's."""
        if self._volume.facts(tree) is not None:
            self._volume.rename(tree, ingest.staged("old"), step="tree.replace")
        try:
            self._volume.rename(private, tree, step="tree.rename")
        except FetchError as error:
            if error.reason is not Reason.STORE_CORRUPT:
                raise
            # Another publisher of the same revision was faster; the look at the whole decides whose is good.
            if self._volume.facts(tree) is None:
                self._volume.refresh(tree[:-1])
                raise Vanished(Reason.STORAGE_IO_ERROR, error.message) from error

    def _switch(self, ingest: Ingest, owner: Owner, revision: str) -> None:
        path = layout.current(owner.namespace, owner.name)
        if self._volume.link_text(path) != revision:
            private = ingest.staged("current")
            self._volume.symlink(revision, private, step="current.symlink")
            if self._is_empty_folder(path):
                self._volume.remove_empty_folder(path, step="current.replace")
            self._volume.rename(private, path, step="current.rename")
        self._volume.sync_folder(path[:-1], step="current")

    def _is_empty_folder(self, path: Steps) -> bool:
        """Such a one a kubelet makes for the subPath of a consumer that starts before there is anything to mount."""
        facts = self._volume.facts(path)
        return facts is not None and facts.is_folder and not self._volume.names(path)

    def _is_complete(self, tree: Steps, manifest: Manifest) -> bool:
        """True if the tree holds exactly the manifest's files, each of them its blob."""
        wanted, folders = _paths(tree, manifest)
        return self._has_shape(wanted, folders) and all(self._is_blob(path, file) for path, file in wanted.items())

    def _has_shape(self, wanted: dict[Steps, ManifestFile], folders: set[Steps]) -> bool:
        """True if all folders are there, with nothing in them but what is wanted."""
        for folder in folders:
            facts = self._volume.facts(folder)
            if facts is None or not facts.is_folder:
                return False
            if any(
                (*folder, name) not in wanted and (*folder, name) not in folders for name in self._volume.names(folder)
            ):
                return False
        return True

    def _is_blob(self, path: Steps, file: ManifestFile) -> bool:
        blob, found = self._blobs.facts(file.sha256), self._volume.facts(path)
        if blob is None or found is None or blob.size != file.size:
            return False
        if self._capabilities.links is Links.HARD:
            return found.is_file and found.inode == blob.inode
        return self._volume.link_text(path) == layout.blob_link(path, file.sha256)


def _paths(tree: Steps, manifest: Manifest) -> tuple[dict[Steps, ManifestFile], set[Steps]]:
    """Return where the manifest's files belong, and the folders that they take."""
    wanted = {(*tree, *layout.file_steps(file.path)): file for file in manifest.files}
    return wanted, {path[:depth] for path in wanted for depth in range(len(tree), len(path))} | {tree}
