"""Brings the missing files of a plan: what others left, what others bring just now, the rest from the source.

Comes in: missing files. Goes out: blobs. Several attempts that want the same content at once agree by their journals
who fetches it: whoever claimed it first. The others wait for as long as that one gets on, then go on alone. Nothing
but bandwidth depends on it.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping
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
from modelfetch.fetcher.watch import LOOK_S, Watch
from modelfetch.reasons import Reason
from modelfetch.sources.base import Listing, Source
from modelfetch.store import layout
from modelfetch.store.adoption import Adoption
from modelfetch.store.attempts import Neighbour, Rank, neighbours
from modelfetch.store.journal import Claim, Granted, Settled
from modelfetch.store.layout import Steps
from modelfetch.store.manifest import canonical
from modelfetch.store.partial import RecordedPartial
from modelfetch.store.store import Store
from modelfetch.transfer.engine import Engine, Item, Moved

BLOCK_BYTES = 4096
"""What a name, a folder or the end of a file takes on a volume beside its bytes."""


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
class _Share:
    """What of the missing files is `mine` to fetch, and who fetches the others; `stamp` is that of our claim."""

    mine: list[PlannedFile]
    theirs: dict[PlannedFile, Neighbour]
    stamp: float


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
        blobs, vain, is_granted = Blobs(), set[Steps](), False
        while True:
            share = self._divide(missing, vain, is_granted)
            blobs |= self._fetch(share)
            is_granted = is_granted or bool(share.mine)
            if not share.theirs:
                return blobs
            self._wait(share.theirs)
            plan = Plan(tuple(share.theirs))
            blobs |= self.shelf.take(plan, self.parts.progress, self.order.transfer.parallel_files)
            missing = [file for file in plan.files if verify.content_key(file) not in blobs]
            vain |= {share.theirs[file].folder for file in missing}

    # Who fetches what

    def _divide(self, missing: list[PlannedFile], vain: Container[Steps], is_granted: bool) -> _Share:
        """Return what is ours to fetch, and what others do; nobody is waited for who was waited for in `vain`.

        Claims first, looks afterwards, so that of two that come at once one sees the other.
        """
        stamp = self._claim(missing)
        rank = Rank(not is_granted, stamp, self.berth.ingest.folder)
        others = [one for one in self._living() if one.folder not in vain] if missing else []
        theirs: dict[PlannedFile, Neighbour] = {}
        for file in missing:
            first = [one for one in others if one.goes_first(self._key(file), rank)]
            if first and (file.sha256 or file.git_blob):
                theirs[file] = first[0]
        self.berth.ingest.journal.append(Settled(self._key(file)) for file in theirs)
        return _Share([file for file in missing if file not in theirs], theirs, stamp)

    def _claim(self, files: list[PlannedFile]) -> float:
        stamp = self._store.volume.clock_s(layout.INGEST)
        self.berth.ingest.journal.append(Claim(self._key(file), file.size, stamp) for file in files)
        return stamp

    def _wait(self, theirs: Mapping[PlannedFile, Neighbour]) -> None:
        """Return when the others have brought each of these files, or get on no more."""
        keys: dict[Steps, set[str]] = defaultdict(set)
        for file, other in theirs.items():
            keys[other.folder].add(self._key(file))
        watched = {other.folder: Watch(other) for other in theirs.values()}
        while watched:
            self.parts.pause(LOOK_S)
            now_s = self._store.volume.clock_s(layout.INGEST)
            looks = [watch.look(self._store.volume, keys[folder], now_s) for folder, watch in watched.items()]
            watched = {watch.other.folder: watch for watch in looks if watch is not None}

    # Fetching

    def _fetch(self, share: _Share) -> Blobs:
        """Return the content of our files as blobs: received, compared, committed one by one as they come."""
        landings = self._prepare(share)
        blobs = Blobs()

        def commit(moved: Moved) -> None:
            landing = landings[moved.item.path]
            blobs[verify.content_key(landing.file)] = landing.commit(self._store, moved)

        if landings:
            self.parts.make_engine(self._store).run([self._item(landing) for landing in landings.values()], commit)
        return blobs

    def _prepare(self, share: _Share) -> dict[str, Landing]:
        """Return by path where the files go: there is room for them, and what others left of them is there."""
        numbers = {self._key(file): self.berth.number() for file in share.mine}
        adoption = Adoption(self.berth.ingest, tuple(self._neighbours()), frozenset(self.order.ended), self.parts.check)
        adopted = adoption.take(numbers)
        self._store.sweep(adoption.leftovers(numbers))
        if share.mine:
            self._reserve(share, sum(partial.size_bytes for partial in adopted.values()))
        adopted |= adoption.copy({key: number for key, number in numbers.items() if number not in adopted})
        return {file.path: self._landing(file, numbers, adopted) for file in share.mine}

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

    # Room

    def _reserve(self, share: _Share, here_bytes: int) -> None:
        """Return when the volume has room for our files beside what others have still to write.

        Looks once more after it was granted, since of two that come at once both may have been; who has to give way
        to one that comes after it looks again later, since that one may give way, too. Of two that do not fit together
        at most one passes. Raises FetchError(InsufficientStorage).
        """
        others = self._living()
        try:
            self._require_room(share, here_bytes, others)
        except FetchError:
            if not any(one.reserved_bytes(self._rank(share)) for one in others):
                raise
            self.parts.pause(LOOK_S)
            self._require_room(share, here_bytes, self._living())
        self.berth.ingest.journal.append([Granted()])
        self._require_room(share, here_bytes, self._living())

    def _rank(self, share: _Share) -> Rank:
        """Return the rank in which room is asked for: behind all that it was granted to."""
        return Rank(True, share.stamp, self.berth.ingest.folder)

    def _require_room(self, share: _Share, here_bytes: int, others: Iterable[Neighbour]) -> None:
        free, count = self._store.free_bytes(), len(share.mine)
        wants = [other.reserved_bytes(self._rank(share)) for other in others]
        reserved = [want for want in wants if 0 < want <= free]  # what cannot come true keeps nobody waiting
        content = max(0, sum(file.size or 0 for file in share.mine) - here_bytes)
        needed = content + BLOCK_BYTES * (2 * count + 32)
        if needed > free - sum(reserved):
            taken = f" beside {sum(reserved)} that {len(reserved)} other fetches still need" if reserved else ""
            raise FetchError(
                Reason.INSUFFICIENT_STORAGE,
                f"expected {needed} bytes free for {count} files of {content} bytes, got "
                f"{max(0, free - sum(reserved))}{taken}",
            )
        names, inodes = 2 * count + 32, self._store.free_inodes()
        if inodes is not None and names > inodes:
            raise FetchError(Reason.INSUFFICIENT_STORAGE, f"expected {names} inodes free for the files, got {inodes}")

    # Names

    @property
    def _store(self) -> Store:
        return self.shelf.store

    def _neighbours(self) -> list[Neighbour]:
        volume = self._store.volume
        return neighbours(volume, self.berth.ingest.folder, volume.clock_s(layout.INGEST))

    def _living(self) -> list[Neighbour]:
        ended = frozenset(self.order.ended)
        return [one for one in self._neighbours() if one.is_living and not one.has_ended(ended)]

    def _key(self, file: PlannedFile) -> str:
        """Return what names the file's content to other attempts: its digest, else where it comes from."""
        if file.sha256 or file.git_blob:
            return verify.content_key(file)
        source = canonical(describe.recorded(self.order.source)) + (self.listing.commit or "").encode()
        return f"{hashlib.sha256(source).hexdigest()[:16]}:{file.path}"
