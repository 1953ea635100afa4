"""What earlier attempts have of the files that this one needs: taken over with proof, copied without.

Comes in: the keys of the files to fetch. Goes out: private files of this attempt with what was there. A file is renamed
into this attempt's folder only where it is proven that its writer has ended; from all others the segments are read,
each compared with its BLAKE3, and written into a file of our own: no inode is ever published that somebody else may
hold open.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from modelfetch.errors import FetchError
from modelfetch.hashing import blake3_digest
from modelfetch.reasons import Reason
from modelfetch.store import layout
from modelfetch.store.attempts import Neighbour
from modelfetch.store.faults import Vanished
from modelfetch.store.ingest import Ingest, Sweep
from modelfetch.store.journal import FileLog
from modelfetch.store.partial import RecordedPartial
from modelfetch.transfer.segments import SEGMENT_BYTES


@dataclass(frozen=True)
class _Find:
    neighbour: Neighbour
    log: FileLog


@dataclass(frozen=True)
class Adoption:
    """Goes through what `others` left; `ended` are attempts that were seen to end; `check` may raise to stop."""

    ingest: Ingest
    others: tuple[Neighbour, ...]
    ended: frozenset[str]
    check: Callable[[], None]

    def take(self, wanted: Mapping[str, int]) -> dict[int, RecordedPartial]:
        """Return by number what there is of the `wanted` keys; of several the one with the most bytes."""
        finds: dict[str, list[_Find]] = {key: [] for key in wanted}
        for other in self.others:
            for log in other.log.files.values():
                if log.key in finds and log.segments:
                    finds[log.key].append(_Find(other, log))
        taken = {wanted[key]: self._best(found, wanted[key]) for key, found in finds.items()}
        return {number: partial for number, partial in taken.items() if partial is not None}

    def leftovers(self, wanted: Mapping[str, int]) -> Sweep:
        """Return the folders of ended attempts in which nothing is left that another fetch could go on from.

        Those of this fetch's own attempts go in any case.
        """
        return Sweep(tuple(other.folder for other in self.others if self._is_useless(other, wanted)))

    def _is_useless(self, other: Neighbour, wanted: Mapping[str, int]) -> bool:
        if other.log.head.attempt in self.ended:
            return True
        left = {log.key for log in other.log.files.values() if log.segments}
        return other.has_ended(self.ended) and left <= wanted.keys()

    def _best(self, found: list[_Find], number: int) -> RecordedPartial | None:
        for find in sorted(found, key=lambda one: one.log.size_bytes, reverse=True):
            try:
                if find.neighbour.has_ended(self.ended):
                    return self.ingest.take_over(_path(find), find.log, number)
                return self._copy(find, number)
            except FetchError as error:
                # Vanished: its owner has committed it, or somebody else has taken it. Else: as good as not there.
                if not isinstance(error, Vanished) and error.reason is not Reason.STORE_CORRUPT:
                    raise
        return None

    def _copy(self, find: _Find, number: int) -> RecordedPartial | None:
        mine = self.ingest.receive(number, find.log.key)
        mine.opened(find.log.identity)
        room = memoryview(bytearray(SEGMENT_BYTES))
        with self.ingest.volume.reading(_path(find)) as read_at:
            for start, (length, digest) in sorted(find.log.segments.items()):
                self.check()
                piece = room[:length]
                if read_at(start, piece) == length and blake3_digest(piece) == digest:
                    mine.write_segment(start, piece)
        return mine


def _path(find: _Find) -> layout.Steps:
    return layout.partial(find.neighbour.folder, str(find.log.number))
