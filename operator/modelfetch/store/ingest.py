"""The private folder of one attempt: files being written, and pins on blobs that it needs.

Comes in: bytes at offsets. Goes out: a `Partial`, which blobs.py commits. Nothing in here is visible to consumers, and
no other program opens these files for writing: a late writer can only ever hurt its own attempt.

A pin keeps a blob for the attempt: a second hard link, or, where the volume has none, an empty file with the blob's
name. A removal looks at the pins of all attempts before it deletes anything, so the order is always: pin first, then
look whether the blob is (still) there.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store import layout
from modelfetch.store.facts import Facts
from modelfetch.store.faults import Vanished
from modelfetch.store.fs import PRIVATE_FOLDER, Volume
from modelfetch.store.layout import Steps
from modelfetch.store.private_file import PrivateFile
from modelfetch.store.probe import Capabilities, Links


class Partial:
    """A file being written. Offsets and sizes are bytes; several threads may write at once."""

    def __init__(self, file: PrivateFile, volume: Volume) -> None:
        self._file = file
        self._volume = volume

    @property
    def is_open(self) -> bool:
        """True until the file was committed, closed or discarded."""
        return self._file.is_open

    @property
    def path(self) -> Steps:
        """Where the file is, for messages and for the commit."""
        return self._file.path

    def write_at(self, offset: int, data: memoryview) -> None:
        """Write all of `data` at `offset`; raises FetchError as the volume answers."""
        self._file.write_at(offset, data, step="file.write")

    def truncate(self, size_bytes: int) -> None:
        """Cut or extend the file."""
        self._file.truncate(size_bytes, step="file.truncate")

    def size_bytes(self) -> int:
        """Return the size as written so far."""
        return self._file.size_bytes()

    def close(self) -> None:
        """Stop writing for good, without a promise about the content; a commit closes by itself."""
        self._file.close()

    def finish(self) -> Facts:
        """Make the content durable and read-only and close it; on an error the file is discarded."""
        try:
            return self._file.finish(step="file.finish")
        except FetchError:
            self._file.close_after_failure()
            self.discard_after_failure()
            raise

    def discard(self) -> None:
        """Close and remove the file. A second call does nothing."""
        self._file.close_after_failure()
        self._volume.remove(self.path, step="file.discard")

    def close_after_failure(self) -> None:
        """Stop writing while another error is on its way."""
        self._file.close_after_failure()

    def discard_after_failure(self) -> None:
        """Discard the file while another error is on its way."""
        try:
            self.discard()
        except FetchError:
            return  # the volume fails as a whole; the file never gets another name


class Ingest:
    """The folder of one run of an attempt; made by `Store.ingest`."""

    def __init__(self, volume: Volume, folder: Steps, capabilities: Capabilities) -> None:
        self.volume = volume
        self.folder = folder
        self.capabilities = capabilities
        self._open: list[Partial] = []

    def create(self, name: str) -> Partial:
        """Return a new private file; `name` is one step, unique in this ingest (such as the file's number)."""
        file = self.volume.create(layout.partial(self.folder, name), step="file.create")
        partial = Partial(file, self.volume)
        self._open = [*(other for other in self._open if other.is_open), partial]
        return partial

    def close(self) -> None:
        """Close what is still being written; it is lost with the folder."""
        for partial in self._open:
            partial.close_after_failure()

    def staged(self, name: str) -> Steps:
        """Return a private name that is free, for something that is renamed into its place."""
        return layout.staged(self.folder, f"{name}.{secrets.token_hex(4)}")

    def pin_path(self, sha256: str) -> Steps:
        """Return the name of the pin on a blob."""
        return layout.pin(self.folder, sha256)

    def has_pin(self, sha256: str) -> bool:
        """True if this attempt keeps the blob."""
        return self.volume.facts(self.pin_path(sha256)) is not None

    def pin(self, sha256: str, size_bytes: int) -> bool:
        """Keep the sound blob that lies under its digest name; False if there is none that can be kept."""
        if self.capabilities.links is Links.HARD:
            return self._pin_by_link(sha256, size_bytes)
        self.pin_by_name(sha256)
        return is_sound(self.volume.facts(layout.blob(sha256)), size_bytes, self.capabilities)

    def pin_by_name(self, sha256: str) -> None:
        """Keep whatever has or gets this digest name, where the volume has no hard links."""
        if not self.has_pin(sha256):
            self.volume.create(self.pin_path(sha256), step="pin.name").close()

    def pin_partial(self, partial: Steps, sha256: str) -> None:
        """Turn a finished private file into the pin on the blob that it is going to be."""
        self.volume.rename(partial, self.pin_path(sha256), step="pin.rename")

    def _pin_by_link(self, sha256: str, size_bytes: int) -> bool:
        # By way of a second name: until the blob has proved sound, a pin that is there already must stay.
        second = self.staged("pin")
        if not self._link_blob(sha256, second):
            return False
        if not is_sound(self.volume.facts(second), size_bytes, self.capabilities):
            self.volume.remove(second, step="pin.remove")
            return False
        self.volume.rename(second, self.pin_path(sha256), step="pin.rename")
        return True

    def _link_blob(self, sha256: str, second: Steps) -> bool:
        try:
            return self.volume.link(layout.blob(sha256), second, step="pin.link")
        except Vanished:
            return False
        except FetchError as error:
            # One more link is refused (another user's file, the limit of links): as good as absent, since a commit
            # then replaces the blob by a file that can be linked.
            if error.reason is Reason.STORAGE_UNSUITABLE:
                return False
            raise


def is_sound(facts: Facts | None, size_bytes: int, capabilities: Capabilities) -> bool:
    """True for a regular file of this size that nobody can open for writing; raises StoreCorrupt for a planted link."""
    if facts is None:
        return False
    if not facts.is_file:
        raise FetchError(Reason.STORE_CORRUPT, "expected a regular file under a digest name, got a link or folder")
    may_change = capabilities.keeps_modes and facts.is_writable
    return facts.size == size_bytes and not may_change


@contextmanager
def ingesting(volume: Volume, attempt: str, capabilities: Capabilities) -> Iterator[Ingest]:
    """Hold a new private folder; it is removed at the end, whatever happened."""
    folder = layout.ingest(attempt, secrets.token_hex(4))
    volume.make_folder(folder, PRIVATE_FOLDER, step="ingest.create")
    ingest = Ingest(volume, folder, capabilities)
    try:
        yield ingest
    finally:
        ingest.close()
        _remove_leftover(volume, folder, step="ingest.remove")


def _remove_leftover(volume: Volume, folder: Steps, *, step: str) -> None:
    try:
        volume.remove_tree(folder, step=step)
    except FetchError:
        return  # what is published stands, and a later sweep tries again


@dataclass(frozen=True)
class Sweep:
    """Folders of dead attempts, to be removed."""

    folders: tuple[Steps, ...]

    def lines(self) -> list[str]:
        """Return the plan for people."""
        return [f"remove {'/'.join(folder)}" for folder in self.folders]


def plan_sweep(volume: Volume, older_than_s: float, keep: frozenset[str]) -> Sweep:
    """Return the folders of attempts not in `keep` to which nothing was written for `older_than_s` seconds.

    By the volume's own clock. A living attempt writes to its files all the time, however long it takes.
    """
    before_s = volume.clock_s(layout.INGEST) - older_than_s
    others = [name for name in volume.names(layout.INGEST) if layout.ingest_attempt(name) not in keep]
    return Sweep(tuple(path for name in others if _is_old(volume, path := (*layout.INGEST, name), before_s)))


def _is_old(volume: Volume, folder: Steps, before_s: float) -> bool:
    found = volume.facts(folder)
    if found is None or found.modified_s > before_s:
        return False
    inside = [volume.facts((*folder, name)) for name in volume.names(folder)] if found.is_folder else []
    return all(facts.modified_s <= before_s for facts in inside if facts is not None)


def execute_sweep(volume: Volume, sweep: Sweep) -> None:
    """Remove what the plan says; what is gone already is fine, and what cannot be removed is in nobody's way."""
    for folder in sweep.folders:
        _remove_leftover(volume, folder, step="sweep.remove")


def pinned_digests(volume: Volume) -> frozenset[str]:
    """Return the SHA-256 of every blob that some attempt keeps."""
    found: set[str] = set()
    for attempt in volume.names(layout.INGEST):
        folder = (*layout.INGEST, attempt)
        facts = volume.facts(folder)
        if facts is not None and facts.is_folder:
            found.update(sha256 for name in volume.names(folder) if (sha256 := layout.pinned(name)))
    return frozenset(found)
