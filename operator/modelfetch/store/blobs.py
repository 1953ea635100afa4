"""Content under its digest: committed once, never changed, linked from everywhere.

Comes in: a `Partial` whose bytes the caller has hashed while writing. Goes out: a `Blob`. The order of a commit is
the promise of the store: size compared ▶ read-only and fsync ▶ close ▶ pin ▶ link or rename to the digest name ▶
fsync folder, for many files at once and before a manifest. Every inode under a digest name was closed by its only
writer before it got that name.
"""

from dataclasses import dataclass

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store import layout
from modelfetch.store.facts import Facts
from modelfetch.store.faults import Vanished
from modelfetch.store.fs import Volume
from modelfetch.store.ingest import Ingest, is_sound
from modelfetch.store.layout import Steps
from modelfetch.store.manifest import ManifestFile
from modelfetch.store.partial import Partial
from modelfetch.store.probe import Capabilities, Links

_ROUNDS = 8
"""How often a blob may be removed or replaced by others while it is being settled; by gut."""


@dataclass(frozen=True)
class Blob:
    """Content that lies in the store; size in bytes."""

    sha256: str
    size: int


class Blobs:
    """The blobs of one store."""

    def __init__(self, volume: Volume, capabilities: Capabilities) -> None:
        self._volume = volume
        self._capabilities = capabilities
        self._folders: set[Steps] = set()

    def find(self, sha256: str, size: int) -> Blob | None:
        """Return the blob if it lies here with this size; pin it before you rely on it.

        Raises FetchError(StoreCorrupt) when something else than a file stands under the name.
        """
        sound = is_sound(self._volume.facts(layout.blob(sha256)), size, self._capabilities)
        return Blob(sha256, size) if sound else None

    def find_git_blob(self, oid: str) -> Blob | None:
        """Return the blob that git's id was remembered for; pin it and read it again before you rely on it."""
        sha256 = layout.linked_blob(self._volume.link_text(layout.alias(oid)) or "")
        found = None if sha256 is None else self.facts(sha256)
        return None if sha256 is None or found is None else self.find(sha256, found.size)

    def remember_git_blob(self, ingest: Ingest, oid: str, blob: Blob) -> None:
        """Let `find_git_blob` lead to the blob. Not synced: a lost hint costs one download of a small file."""
        path = layout.alias(oid)
        text = layout.blob_link(path, blob.sha256)
        if self._volume.link_text(path) != text:
            private = ingest.staged("alias")
            self._volume.symlink(text, private, step="alias.symlink")
            self._make_hint_folder(path[:-1], step="alias.folder")
            self._volume.rename(private, path, step="alias.rename")

    def pin(self, ingest: Ingest, sha256: str, size: int) -> Blob | None:
        """Keep a blob for this attempt, so that no removal can take it; None if it is not (or no longer) here."""
        return Blob(sha256, size) if ingest.pin(sha256, size) else None

    def commit(self, ingest: Ingest, partial: Partial, sha256: str, size: int) -> Blob:
        """Publish a written file under its digest and keep it for this attempt.

        Its bytes are durable before it has the name; the name is with the ingest's next checkpoint, or by `sync`
        before a manifest refers to it. `sha256` is what the caller computed of the bytes that it wrote. The partial is
        closed and gone afterwards, also after an error. Content that is here already stays, unless its size or mode is
        wrong.
        Raises FetchError(SizeMismatch) when the file has not `size` bytes.
        """
        try:
            self._close_durably(partial, size)
            self._make_folder(layout.blob(sha256)[:-1], step="blob.folder")
            if self._capabilities.links is Links.HARD:
                ingest.pin_partial(partial.path, sha256)
                self._settle(ingest, sha256, size)
            else:
                ingest.pin_by_name(sha256)
                self._rename_into_place(partial, sha256, size)
            ingest.sync_later(layout.blob(sha256)[:-1])
        except FetchError:
            partial.discard_after_failure()
            raise
        return Blob(sha256, size)

    def ensure(self, ingest: Ingest, file: ManifestFile) -> None:
        """Make sure that a blob of this attempt has its digest name, now that a manifest refers to it.

        A removal may have taken the name while nothing referred to it; the pin gives it back. The folder's fsync is
        the caller's: `sync` once for all.
        """
        if not ingest.has_pin(file.sha256) and self.pin(ingest, file.sha256, file.size) is None:
            raise _gone(file)
        if self._capabilities.links is Links.HARD:
            self._make_folder(layout.blob(file.sha256)[:-1], step="blob.folder")
            self._settle(ingest, file.sha256, file.size)
        elif self.find(file.sha256, file.size) is None:
            raise _gone(file)

    def sync(self, files: tuple[ManifestFile, ...]) -> None:
        """Make the digest names of these files durable, whoever made them."""
        for folder in sorted({layout.blob(file.sha256)[:-1] for file in files}):
            self._volume.sync_folder(folder, step="blob")

    def facts(self, sha256: str) -> Facts | None:
        """Return what lies under a digest name."""
        return self._volume.facts(layout.blob(sha256))

    def _close_durably(self, partial: Partial, size: int) -> None:
        written = partial.size_bytes()
        if written != size:
            raise FetchError(
                Reason.SIZE_MISMATCH, f"expected {size} bytes, got {written} at '{'/'.join(partial.path)}'"
            )
        closed, named = partial.finish(), self._volume.facts(partial.path)
        if named is None or (named.inode, named.size) != (closed.inode, size):
            raise FetchError(
                Reason.STORE_CORRUPT, f"expected the file just written, got another at '{'/'.join(partial.path)}'"
            )

    def _make_folder(self, folder: Steps, *, step: str) -> None:
        if folder not in self._folders:  # never removed, so once is enough
            self._volume.make_folders(folder, step=step, known=len(layout.BLOBS))
            self._volume.hold(folder)
            self._folders.add(folder)

    def _make_hint_folder(self, folder: Steps, *, step: str) -> None:
        """Make a folder for what may be lost in a power cut."""
        for path in (folder[:-1], folder):
            if path not in self._folders:
                self._volume.make_folder(path, step=step)
                self._folders.add(path)
        self._volume.hold(folder[:-1])

    def _settle(self, ingest: Ingest, sha256: str, size: int) -> None:
        """Make the pin and the digest name one sound file."""
        path, pin = layout.blob(sha256), ingest.pin_path(sha256)
        for _ in range(_ROUNDS):
            if self._volume.link(pin, path, step="blob.link"):
                return
            existing, kept = self._volume.facts(path), self._volume.facts(pin)
            if existing is None:
                continue
            is_good = is_sound(existing, size, self._capabilities)
            if kept is not None and existing.inode == kept.inode and is_good:
                return
            if is_good and ingest.pin(sha256, size):
                continue
            self._replace(ingest, sha256)
        raise FetchError(Reason.STORAGE_IO_ERROR, f"expected '{'/'.join(path)}' to stay, others keep changing it")

    def _replace(self, ingest: Ingest, sha256: str) -> None:
        """Put the pinned, verified file under the digest name in place of a broken one."""
        second = ingest.staged("blob")
        self._volume.link(ingest.pin_path(sha256), second, step="blob.second")
        self._volume.rename(second, layout.blob(sha256), step="blob.replace")

    def _rename_into_place(self, partial: Partial, sha256: str, size: int) -> None:
        if self.find(sha256, size) is None:
            self._volume.rename(partial.path, layout.blob(sha256), step="blob.rename")
        else:
            partial.discard()


def _gone(file: ManifestFile) -> FetchError:
    return Vanished(
        Reason.STORAGE_IO_ERROR, f"expected the blob '{file.sha256}' in the store, it is gone", file=file.path
    )
