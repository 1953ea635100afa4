"""The private folder of one attempt: files being written, their journal, and pins on blobs that it needs.

Comes in: bytes at offsets. Goes out: a `Partial`, which blobs.py commits. Nothing in here is visible to consumers, and
no other program opens these files for writing: a late writer can only ever hurt its own attempt. What a failed attempt
has verified stays for the next one (adoption.py) until it is swept.

A pin keeps a blob for the attempt: a second hard link, or, where the volume has none, an empty file with the blob's
name. A removal looks at the pins of all attempts before it deletes anything, so the order is always: pin first, then
look whether the blob is (still) there.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store import layout
from modelfetch.store.facts import Facts
from modelfetch.store.faults import Vanished
from modelfetch.store.fs import PRIVATE_FOLDER, Volume
from modelfetch.store.journal import Closed, FileLog, Forgotten, Head
from modelfetch.store.journal_file import JournalFile
from modelfetch.store.layout import Steps
from modelfetch.store.partial import Partial, RecordedPartial
from modelfetch.store.private_file import PrivateFile
from modelfetch.store.probe import Capabilities, Links
from modelfetch.store.processes import Process
from modelfetch.transfer.reader import Identity


class Ingest:
    """The folder of one run of an attempt; made by `Store.ingest`."""

    def __init__(
        self, volume: Volume, head: Head, folder: Steps, capabilities: Capabilities, journal: JournalFile
    ) -> None:
        self.volume = volume
        self.owner = head.owner
        self.folder = folder
        self.capabilities = capabilities
        self.journal = journal
        self._open: list[Partial] = []
        self._recorded: list[RecordedPartial] = []
        self._unsynced: set[Steps] = set()
        self._lock = Lock()

    def create(self, name: str) -> Partial:
        """Return a new private file; `name` is one step, unique in this ingest (such as the file's number)."""
        return self._opened(self.volume.create(layout.partial(self.folder, name), step="file.create"))

    def receive(self, number: int, key: str) -> RecordedPartial:
        """Return a new private file for the content with this key, from which another attempt can go on."""
        return self._record(self.create(str(number)), FileLog(number, key, Identity()))

    def take_over(self, path: Steps, log: FileLog, number: int) -> RecordedPartial | None:
        """Make a private file of an ended attempt this one's own; None where it is gone, or good for nothing.

        Written down first: a kill in between leaves the file to its old journal.
        """
        self.journal.append(log.records(number))
        self.journal.sync()
        file = self._moved_here(path, layout.partial(self.folder, str(number)))
        if file is None:
            self.journal.append([Forgotten(number)])
            return None
        return self._record(self._opened(file), log.renumbered(number))

    def checkpoint(self) -> None:
        """What was written before this call is durable, with what the journal says of it."""
        with self._lock:
            recorded = [file for file in self._recorded if file.partial.is_open]
            self._recorded = recorded
            folders, self._unsynced = self._unsynced, set()
        for file in recorded:
            file.checkpoint()
        for folder in sorted(folders):
            self.volume.sync_folder(folder, step="blob")
        self.journal.sync()

    def sync_later(self, folder: Steps) -> None:
        """Make the names in `folder` durable with the next checkpoint."""
        with self._lock:
            self._unsynced.add(folder)

    def close(self) -> None:
        """Close what is still being written."""
        self._close_files()
        self.journal.close()

    def _close_files(self) -> None:
        for partial in self._open:
            partial.close_after_failure()

    def leave(self) -> bool:
        """Make durable what another attempt may go on from and close everything; False where there is nothing."""
        try:
            self.checkpoint()
        except FetchError:
            pass  # what is not durable is found out when it is read again
        worth = {file.partial.path for file in self._recorded if file.is_worth_keeping}
        self._close_files()
        self.journal.append([Closed()])
        self.close()
        inside = {(*self.folder, name): layout.pinned(name) is not None for name in self.volume.names(self.folder)}
        for path, is_pin in inside.items():
            if not is_pin and path not in worth and path != layout.journal(self.folder):
                self.volume.remove_tree(path, step="ingest.remove")
        return bool(worth) or any(inside.values())

    def _moved_here(self, path: Steps, mine: Steps) -> PrivateFile | None:
        try:
            self.volume.rename(path, mine, step="file.adopt")
            return self.volume.reopen(mine, step="file.reopen")
        except FetchError:
            # Gone, or planted, or not readable: whatever came of it must not stand where our own file is to be.
            self.volume.remove_tree(mine, step="file.discard")
            return None

    def _opened(self, file: PrivateFile) -> Partial:
        partial = Partial(file, self.volume)
        with self._lock:
            self._open = [*(other for other in self._open if other.is_open), partial]
        return partial

    def _record(self, partial: Partial, log: FileLog) -> RecordedPartial:
        recorded = RecordedPartial(partial, self.journal, log)
        with self._lock:
            self._recorded.append(recorded)
        return recorded

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
def ingesting(volume: Volume, attempt: str, capabilities: Capabilities, owner: str = "") -> Iterator[Ingest]:
    """Hold a new private folder. It is removed at the end; after an error what is of use stays for the next attempt."""
    folder = layout.ingest(attempt, secrets.token_hex(4))
    volume.make_folder(folder, PRIVATE_FOLDER, step="ingest.create")
    volume.hold(folder)
    head = Head(attempt, owner, Process.current())
    ingest = Ingest(volume, head, folder, capabilities, _new_journal(volume, folder, head))
    is_left = False
    try:
        yield ingest
    except BaseException:
        is_left = _leave(ingest)
        raise
    finally:
        ingest.close()
        volume.release(folder)
        if not is_left:
            _remove_leftover(volume, folder, step="ingest.remove")


def _new_journal(volume: Volume, folder: Steps, head: Head) -> JournalFile:
    """Return a journal that says whose the folder is; without one, the folder is removed."""
    journal: JournalFile | None = None
    try:
        journal = JournalFile(volume.create(layout.journal(folder), step="journal.create"))
        journal.append([head])
    except BaseException:
        if journal is not None:
            journal.close()
        _remove_leftover(volume, folder, step="ingest.remove")
        raise
    return journal


def _leave(ingest: Ingest) -> bool:
    try:
        return ingest.leave()
    except FetchError:
        return True  # better a folder too many than verified bytes lost; a sweep takes it


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


def pinned_digests(volume: Volume, without: frozenset[Steps] = frozenset()) -> frozenset[str]:
    """Return the SHA-256 of every blob that some attempt keeps, but for the attempts with these folders."""
    found: set[str] = set()
    for attempt in volume.names(layout.INGEST):
        folder = (*layout.INGEST, attempt)
        facts = volume.facts(folder)
        if facts is not None and facts.is_folder and folder not in without:
            found.update(sha256 for name in volume.names(folder) if (sha256 := layout.pinned(name)))
    return frozenset(found)
