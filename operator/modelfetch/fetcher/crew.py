"""Brings the missing files of a plan: what others left, what others bring just now, the rest from the source.

Comes in: missing files. Goes out: blobs. Several attempts that want the same content at once agree by their journals
who fetches it: whoever claimed it first. The others wait for as long as that one gets on, then go on alone. Nothing
but bandwidth depends on it.
"""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

from modelfetch.api.order import FetchOrder
from modelfetch.errors import FetchError
from modelfetch.fetcher import describe, verify
from modelfetch.fetcher.landing import Berth, Landing
from modelfetch.fetcher.plan import Plan, PlannedFile
from modelfetch.fetcher.progress import Progress
from modelfetch.fetcher.reuse import Blobs, Shelf
from modelfetch.fetcher.sized import SizedReader
from modelfetch.reasons import Reason
from modelfetch.sources.base import Listing, Source
from modelfetch.store import layout
from modelfetch.store.adoption import Adoption
from modelfetch.store.attempts import LIVING_S, Neighbour, neighbour, neighbours
from modelfetch.store.journal import Claim, Granted, Settled
from modelfetch.store.manifest import canonical
from modelfetch.store.partial import RecordedPartial
from modelfetch.store.store import Store
from modelfetch.transfer.engine import Engine, Item, Moved

BLOCK_BYTES = 4096
"""What a name, a folder or the end of a file takes on a volume beside its bytes."""

LOOK_S = 0.5
"""Seconds between two looks at what others bring."""

LOOKS = int(LIVING_S / LOOK_S)
"""Looks without any progress of another attempt after which it is not waited for any more."""


@dataclass(frozen=True)
class Parts:
    """What carries an order out; `check` raises FetchError when the attempt shall end, so does `pause` after a wait.

    The store is opened when the source has answered: a typing error makes no folder.
    """

    source: Source
    open_store: Callable[[], AbstractContextManager[Store]]
    make_engine: Callable[[Store], Engine]
    progress: Progress
    check: Callable[[], None]
    pause: Callable[[float], None]


@dataclass(frozen=True)
class Crew:
    """Brings what `order` misses of `listing` to the place of `berth`."""

    order: FetchOrder
    listing: Listing
    parts: Parts
    shelf: Shelf
    berth: Berth

    def bring(self, missing: list[PlannedFile]) -> Blobs:
        """Return all files as blobs, each received once, by this attempt or by another; raises FetchError."""
        mine, theirs = self._divide(missing)
        blobs = self._fetch(mine)
        if theirs:
            self._wait(theirs)
            files = tuple(theirs)
            blobs |= self.shelf.take(Plan(files), self.parts.progress, self.order.transfer.parallel_files)
            left = [file for file in files if verify.content_key(file) not in blobs]
            self._claim(left)
            blobs |= self._fetch(left)
        return blobs

    # Who fetches what

    def _divide(self, missing: list[PlannedFile]) -> tuple[list[PlannedFile], dict[PlannedFile, Neighbour]]:
        """Return what is ours to fetch, and what others do; claims first, looks afterwards, so that one always sees."""
        stamp = self._claim(missing)
        own, others = self.berth.ingest.folder, self._neighbours()
        theirs: dict[PlannedFile, Neighbour] = {}
        for file in missing:
            key = self._key(file)
            first = [one for one in others if one.is_living and one.goes_first(key, stamp, own)]
            if first and (file.sha256 or file.git_blob):
                theirs[file] = first[0]
        self.berth.ingest.journal.append(Settled(self._key(file)) for file in theirs)
        return [file for file in missing if file not in theirs], theirs

    def _claim(self, files: list[PlannedFile]) -> float:
        stamp = self._store.volume.clock_s(layout.INGEST)
        self.berth.ingest.journal.append(Claim(self._key(file), file.size, stamp) for file in files)
        return stamp

    def _wait(self, theirs: Mapping[PlannedFile, Neighbour]) -> None:
        """Return when the others have brought each of these files, or get on no more."""
        waiting, looks = dict(theirs), dict.fromkeys(theirs, 0)
        while waiting:
            self.parts.pause(LOOK_S)
            now_s = self._store.volume.clock_s(layout.INGEST)
            for file, before in tuple(waiting.items()):
                after = neighbour(self._store.volume, before.folder, now_s)
                got_on = after is not None and after.journal_bytes > before.journal_bytes
                looks[file] = 0 if got_on else looks[file] + 1
                if after is None or not self._is_at_it(after, file) or looks[file] > LOOKS:
                    del waiting[file]
                else:
                    waiting[file] = after

    def _is_at_it(self, other: Neighbour, file: PlannedFile) -> bool:
        return other.is_living and self._key(file) in other.log.claims

    # Fetching

    def _fetch(self, files: list[PlannedFile]) -> Blobs:
        """Return the files' content as blobs: received, compared, committed one by one as they come."""
        if not files:
            return Blobs()
        numbers = {self._key(file): self.berth.number() for file in files}
        others, ended = self._neighbours(), frozenset(self.order.ended)
        adoption = Adoption(self.berth.ingest, tuple(others), ended, self.parts.check)
        adopted = adoption.take(numbers)
        self._store.sweep(adoption.leftovers(numbers))
        self._require_room(files, adopted, others)
        self.berth.ingest.journal.append([Granted()])
        landings = {file.path: self._landing(file, numbers, adopted) for file in files}
        blobs = Blobs()

        def commit(moved: Moved) -> None:
            landing = landings[moved.item.path]
            blobs[verify.content_key(landing.file)] = landing.commit(self._store, moved)

        self.parts.make_engine(self._store).run([self._item(landing) for landing in landings.values()], commit)
        return blobs

    def _landing(
        self, file: PlannedFile, numbers: Mapping[str, int], adopted: Mapping[int, RecordedPartial]
    ) -> Landing:
        key = self._key(file)
        return Landing(file, numbers[key], key, self.berth, adopted.get(numbers[key]))

    def _item(self, landing: Landing) -> Item:
        file = landing.file
        reader = self.parts.source.reader(file.remote, self.listing.commit)
        sized = SizedReader(reader, partial(self.parts.progress.learn_size, file.path))
        return Item(file.path, sized, landing, verify.expected(file))

    def _require_room(
        self, files: list[PlannedFile], adopted: Mapping[int, RecordedPartial], others: list[Neighbour]
    ) -> None:
        """Return when the volume has room for what is listed and not here, beside what others have still to write.

        Raises FetchError(InsufficientStorage).
        """
        stamp, own = self._store.volume.clock_s(layout.INGEST), self.berth.ingest.folder
        reserved = [size for other in others if (size := other.reserved_bytes(stamp, own))]
        here = sum(partial.size_bytes for partial in adopted.values())
        content = sum(file.size or 0 for file in files) - here
        needed, free = content + BLOCK_BYTES * (2 * len(files) + 32), self._store.free_bytes() - sum(reserved)
        if needed > free:
            taken = f" beside {sum(reserved)} that {len(reserved)} other fetches still need" if reserved else ""
            raise FetchError(
                Reason.INSUFFICIENT_STORAGE,
                f"expected {needed} bytes free for {len(files)} files of {content} bytes, got {max(0, free)}{taken}",
            )
        names, inodes = 2 * len(files) + 32, self._store.free_inodes()
        if inodes is not None and names > inodes:
            raise FetchError(Reason.INSUFFICIENT_STORAGE, f"expected {names} inodes free for the files, got {inodes}")

    # Names

    @property
    def _store(self) -> Store:
        return self.shelf.store

    def _neighbours(self) -> list[Neighbour]:
        volume = self._store.volume
        return neighbours(volume, self.berth.ingest.folder, volume.clock_s(layout.INGEST))

    def _key(self, file: PlannedFile) -> str:
        """Return what names the file's content to other attempts: its digest, else where it comes from."""
        if file.sha256 or file.git_blob:
            return verify.content_key(file)
        source = canonical(describe.recorded(self.order.source)) + (self.listing.commit or "").encode()
        return f"{hashlib.sha256(source).hexdigest()[:16]}:{file.path}"
