"""What earlier attempts have of the files that this one needs: taken over with proof, copied without.

Comes in: the keys of the files to fetch. Goes out: private files of this attempt with what was there. A file is renamed
into this attempt's folder only where it is proven that its writer has ended; from all others the segments are read,
each compared with its BLAKE3, and written into a file of our own: no inode is ever published that somebody else may
hold open.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property

from modelfetch.errors import FetchError
from modelfetch.store import layout
from modelfetch.store.attempts import Neighbour
from modelfetch.store.ingest import Ingest, Sweep
from modelfetch.store.intact import intact
from modelfetch.store.journal import FileLog
from modelfetch.store.partial import RecordedPartial


@dataclass(frozen=True)
class _Find:
    neighbour: Neighbour
    log: FileLog
    size: int
    """Bytes of the whole file."""


_Have = Callable[[_Find, int], RecordedPartial | None]


@dataclass(frozen=True)
class Adoption:
    """Goes through what `others` left; `ended` are attempts that were seen to end; `check` may raise to stop."""

    ingest: Ingest
    others: tuple[Neighbour, ...]
    ended: frozenset[str]
    check: Callable[[], None]

    def take(self, wanted: Mapping[str, int]) -> dict[int, RecordedPartial]:
        """Return by number what ended attempts have of the `wanted` keys: it is ours now, and takes no more room."""
        return self._first_of_each(wanted, self._over, self._take_over)

    def copy(self, wanted: Mapping[str, int]) -> dict[int, RecordedPartial]:
        """Return by number copies of what others have of the `wanted` keys."""
        return self._first_of_each(wanted, self.others, self._copy)

    def leftovers(self, wanted: Mapping[str, int]) -> Sweep:
        """Return the folders of ended attempts in which nothing is left that another fetch could go on from.

        Those of this fetch's own attempts go in any case.
        """
        return Sweep(tuple(other.folder for other in self.others if self._is_useless(other, wanted)))

    def _is_useless(self, other: Neighbour, wanted: Mapping[str, int]) -> bool:
        if other.log.head.attempt in self.ended:
            return True
        if other not in self._over:
            return False
        left = {log.key for log in other.log.files.values() if log.segments}
        return left <= wanted.keys() and (other.log.head.owner == self.ingest.owner or not self._has_pins(other))

    def _has_pins(self, other: Neighbour) -> bool:
        """True where it keeps verified blobs for the next attempt of its own fetch, also if that cannot be told."""
        try:
            return any(layout.pinned(name) for name in self.ingest.volume.names(other.folder))
        except FetchError:
            return True

    @cached_property
    def _over(self) -> list[Neighbour]:
        """Those that have ended; found out once, so that one that ends meanwhile is not swept before it was copied."""
        return [other for other in self.others if other.has_ended(self.ended)]

    def _first_of_each(
        self, wanted: Mapping[str, int], others: Iterable[Neighbour], have: _Have
    ) -> dict[int, RecordedPartial]:
        """Return what could be had; what cannot, for whatever reason, is as good as not there."""
        finds = [find for other in others for find in _finds(other, wanted)]
        had: dict[int, RecordedPartial] = {}
        for find in sorted(finds, key=lambda one: one.log.size_bytes, reverse=True):
            self.check()
            number = wanted[find.log.key]
            partial = None if number in had else have(find, number)
            if partial is not None:
                had[number] = partial
        return had

    def _take_over(self, find: _Find, number: int) -> RecordedPartial | None:
        return self.ingest.take_over(_path(find), find.log, number)

    def _copy(self, find: _Find, number: int) -> RecordedPartial | None:
        mine: RecordedPartial | None = None
        for start, data in self._intact(find):
            mine = mine or self._begun(find, number)
            mine.write_segment(start, data)
        return mine

    def _intact(self, find: _Find) -> Iterator[tuple[int, memoryview]]:
        with ExitStack() as stack:
            try:
                read_at = stack.enter_context(self.ingest.volume.reading(_path(find)))
            except FetchError:
                return  # committed, taken by somebody else, or damaged
            yield from intact(read_at, find.log.segments_of(find.size), self.check)

    def _begun(self, find: _Find, number: int) -> RecordedPartial:
        mine = self.ingest.receive(number, find.log.key)
        mine.opened(find.log.identity)
        return mine


def _finds(other: Neighbour, wanted: Mapping[str, int]) -> Iterator[_Find]:
    for log in other.log.files.values():
        if log.key in wanted and log.segments and log.identity.size is not None:
            yield _Find(other, log, log.identity.size)


def _path(find: _Find) -> layout.Steps:
    return layout.partial(find.neighbour.folder, str(find.log.number))
