"""Which Ready fetches have still to be looked for on their volumes, and which were not found there.

The API server may have forgotten what was removed since, where etcd was restored from a backup (row F26 of
docs/faults.md): then a fetch says Ready again whose files have gone. Comes in: that all have to be checked, and what
the stores' Jobs answered. Goes out: what to ask, and who lost its files. It is all in memory: the Lease says that there
is something to check until `is_done`.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from modelfetch.controller.mirror import Key, Mirror, Object, key_of, store_of
from modelfetch.controller.pace import Clock
from modelfetch.controller.views import is_ready
from modelfetch.core.store import published_mark
from modelfetch.kube.objects import MODELFETCHES

FIRST_RETRY_S, LONGEST_RETRY_S = 30.0, 300.0
"""Seconds after a check that failed within which the store's other Jobs have their turn; doubled from one to the next,
because a Pod that was evicted is soon made again, and a folder that cannot be read stays so."""


@dataclass
class _Published:
    """What a fetch says is published: it is asked for until a Job has answered, or it says so no more."""

    fetch: Key
    at: str
    is_lost: bool = False


class Checks:
    """By store and mark: who was Ready when all had to be checked, and has neither been found nor taken back."""

    def __init__(self, mirror: Mirror, clock: Clock) -> None:
        self._mirror = mirror
        self._clock = clock
        self.id = ""
        """With what words somebody has asked for it: of no other time."""
        self._open: defaultdict[Key, dict[str, _Published]] = defaultdict(dict)
        self._asked: dict[Key, tuple[str, tuple[str, ...]]] = {}
        self._retry_s: dict[Key, float] = {}
        self._not_before: dict[Key, float] = {}

    @property
    def is_done(self) -> bool:
        """True once all that said Ready was found, or says so no more."""
        return not any(self._left(store) for store in tuple(self._open))

    def begin(self, words: str) -> tuple[Key, ...]:
        """All that says Ready by now has to be looked for, as `words` ask; return the stores that it names."""
        self.id = words
        self._open.clear()
        self._asked.clear()
        self._retry_s.clear()
        self._not_before.clear()
        for body in self._mirror.all(MODELFETCHES):
            if told := _told(body):
                self._open[store_of(body)][told[0]] = _Published(key_of(MODELFETCHES, body), told[1])
        return tuple(self._open)

    def unchecked(self, store: Key) -> tuple[str, ...]:
        """Return the marks that a Job is to be asked for now, in a fixed order."""
        if store not in self._open or self._clock.monotonic() < self._not_before.get(store, 0.0):
            return ()
        return tuple(sorted(mark for mark, published in self._left(store).items() if not published.is_lost))

    def asks(self, store: Key, job: str, marks: tuple[str, ...]) -> None:
        """A Job of this name answers for these, which are sorted."""
        self._asked[store] = (job, marks)

    def job(self, store: Key) -> str:
        """Return the name of the Job that answers, empty where none does."""
        return self._asked.get(store, ("", ()))[0]

    def answered(self, store: Key, job: str, missing: Iterable[str]) -> tuple[Key, ...]:
        """A Job has found all that it was asked for, but `missing`; return the fetches that have lost their files.

        What a Job of an earlier operator says is not taken: nobody knows any more what it was asked for. Of many that
        are missing the first are told: about those after them nothing is known yet.
        """
        of, asked = self._asked.get(store, ("", ()))
        if of != job:
            return ()
        self._retry_s.pop(store, None)
        left, missing = self._left(store), frozenset(missing)
        last = max(missing, default=None)
        for mark in asked:
            if mark not in missing and (last is None or mark < last):
                left.pop(mark, None)
        lost = [left[mark] for mark in asked if mark in left and mark in missing]
        for published in lost:
            published.is_lost = True
        return tuple(published.fetch for published in lost)

    def failed(self, store: Key) -> float:
        """A Job has answered nothing; return the seconds until the next is asked.

        Of a Job that is still there, because it could not be deleted, this may be said again.
        """
        left_s = self._not_before.get(store, 0.0) - self._clock.monotonic()
        if left_s > 0:
            return left_s
        delay_s = self._retry_s.get(store, FIRST_RETRY_S)
        self._retry_s[store] = min(2 * delay_s, LONGEST_RETRY_S)
        self._not_before[store] = self._clock.monotonic() + delay_s
        return delay_s

    def is_lost(self, fetch: Object) -> bool:
        """Whether what the status says is published was looked for, and is not there."""
        of_store = self._open.get(store_of(fetch))
        told = _told(fetch) if of_store else None
        if not of_store or told is None or told[0] not in of_store:
            return False
        published = of_store[told[0]]
        return published.is_lost and published.at == told[1]

    def _left(self, store: Key) -> dict[str, _Published]:
        """Return those of a store that still say what they said; the others are nobody's task any more."""
        published = self._open[store]
        for mark in [mark for mark, one in published.items() if not self._says_so_still(store, mark, one)]:
            del published[mark]
        return published

    def _says_so_still(self, store: Key, mark: str, published: _Published) -> bool:
        body = self._mirror.get(published.fetch)
        return body is not None and store_of(body) == store and _told(body) == (mark, published.at)


def _told(fetch: Object) -> tuple[str, str] | None:
    """Return the mark of what a fetch says is published and when that was; None where it is not Ready, or goes."""
    meta, status = fetch["metadata"], fetch.get("status") or {}
    artifact = status.get("artifact") or {}
    if not is_ready(fetch) or not artifact.get("digest") or "deletionTimestamp" in meta:
        return None
    return published_mark(meta["uid"], artifact["digest"]), str(artifact.get("publishedAt"))
