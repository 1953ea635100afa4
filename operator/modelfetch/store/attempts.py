"""The other attempts at work on a volume, as their journals tell: what they fetch, what they left, what they need.

Comes in: a volume. Goes out: `Neighbour`s. Nothing here is relied on for more than bandwidth and room: an attempt that
seems dead may still write into its own files, and one that seems alive may never come back.
"""

import re
from dataclasses import dataclass, replace

from modelfetch.errors import FetchError
from modelfetch.store import layout
from modelfetch.store.ingest import Sweep
from modelfetch.store.journal import Log, decode, extend
from modelfetch.store.layout import Steps
from modelfetch.store.readable import ReadableVolume

LIVING_S = 60.0
"""Seconds without a sign of life after which an attempt is taken for dead; a living one gives one every few seconds."""

_HOLDER = re.compile(r"([a-z0-9-]{1,63})/([a-z0-9][a-z0-9.-]{0,252})/([A-Za-z0-9-]{1,64})")
_JOURNAL_LIMIT = 64 * 1024 * 1024
"""Bytes of the longest journal that is read: enough for 2 TiB in segments; a longer one is nobody's word."""


@dataclass(frozen=True, order=True)
class Rank:
    """Who of several that claim the same goes first: the lowest rank does.

    Whoever was granted room fetches all that it claims, so it goes before those that still look around.
    """

    is_looking: bool
    stamp: float
    folder: Steps


@dataclass(frozen=True)
class Neighbour:
    """Another attempt's folder; `idle_s` seconds have passed since its last sign of life, by the volume's clock."""

    folder: Steps
    log: Log
    idle_s: float
    journal_bytes: int

    @property
    def is_living(self) -> bool:
        """Whether it seems to be at work; a time from far ahead is what a clock that was put back leaves behind."""
        return -LIVING_S < self.idle_s < LIVING_S and not self._has_said_or_shown_its_end()

    def goes_first(self, key: str, mine: Rank) -> bool:
        """Tell whether this one fetches `key`, rather than the one that has claimed it with the rank `mine`.

        Of two exactly one goes first, whoever asks: nobody waits in a circle.
        """
        claim = self.log.claims.get(key)
        return claim is not None and Rank(not self.log.is_granted, claim.stamp, self.folder) < mine

    def reserved_bytes(self, mine: Rank) -> int:
        """Return what this one has still to write, where its claim on the room goes before that of `mine`."""
        if not self.is_living:
            return 0
        first = any(self.goes_first(key, mine) for key in self.log.claims)
        return self.log.pending_bytes if first else 0

    def has_ended(self, ended: frozenset[str]) -> bool:
        """Tell whether it is proven that nobody writes here any more; `ended` are attempts that were seen to end."""
        return self.log.head.attempt in ended or self._has_said_or_shown_its_end()

    def _has_said_or_shown_its_end(self) -> bool:
        return self.log.is_closed or self.log.head.process.has_ended()


def neighbours(volume: ReadableVolume, own: Steps, now_s: float) -> list[Neighbour]:
    """Return the other attempts that have a journal; `now_s` is the volume's clock."""
    others = [(*layout.INGEST, name) for name in volume.names(layout.INGEST)]
    found = [neighbour(volume, folder, now_s) for folder in others if folder != own]
    return [one for one in found if one is not None]


def neighbour(volume: ReadableVolume, folder: Steps, now_s: float) -> Neighbour | None:
    """Return what an attempt's journal tells, None where there is none that can be read."""
    try:
        facts = volume.facts(layout.journal(folder))
        data = volume.read(layout.journal(folder), _JOURNAL_LIMIT)
    except FetchError:
        return None  # not a journal: whatever it is, it is nobody's word
    log = None if data is None else decode(data)
    if facts is None or data is None or log is None:
        return None
    return Neighbour(folder, log, now_s - facts.modified_s, len(data))


def refreshed(volume: ReadableVolume, known: Neighbour, now_s: float) -> Neighbour | None:
    """Return what the attempt's journal tells by now; the same object's log goes on. None where it is gone."""
    path = layout.journal(known.folder)
    try:
        facts = volume.facts(path)
        more = bytearray(max(0, min(facts.size, _JOURNAL_LIMIT) - known.log.read_bytes)) if facts else bytearray()
        with volume.reading(path) as read_at:
            count = read_at(known.log.read_bytes, memoryview(more))
    except FetchError:
        return None
    if facts is None:
        return None
    extend(known.log, bytes(more[:count]))
    return replace(known, idle_s=now_s - facts.modified_s, journal_bytes=facts.size)


@dataclass(frozen=True)
class Holder:
    """For whom an attempt works: the place of its model, and the model's owner; as a journal's head says it."""

    namespace: str
    name: str
    owner: str

    def __str__(self) -> str:
        """Return the text for a journal's head."""
        return f"{self.namespace}/{self.name}/{self.owner}"


def holders(volume: ReadableVolume) -> frozenset[Holder]:
    """Return for whom there are private files; whoever writes another form of it is passed over."""
    found = (_HOLDER.fullmatch(one.log.head.owner) for one in neighbours(volume, (), 0.0))
    return frozenset(Holder(*match.groups()) for match in found if match is not None)


def plan_release(volume: ReadableVolume, gone: frozenset[Holder]) -> Sweep:
    """Return the folders that attempts for `gone` left, living ones among them: they are of no more use."""
    texts = frozenset(map(str, gone))
    return Sweep(tuple(one.folder for one in neighbours(volume, (), 0.0) if one.log.head.owner in texts))
