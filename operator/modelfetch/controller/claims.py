"""What every fetch asks of its store's slots, kept up to date by each decision; core/slots.py judges.

It is set in the same step of the event loop as the decision it belongs to, before any call is awaited, so two
reconciles that run at the same time cannot take the same slot.
"""

from collections.abc import Mapping
from dataclasses import replace

from modelfetch.api.fetch import ModelFetch
from modelfetch.api.store import FetchCounts
from modelfetch.controller.mirror import Key, Object
from modelfetch.core.actions import Claim
from modelfetch.core.observed import Slot
from modelfetch.core.slots import Claimant, Line, namespace_grants
from modelfetch.kube.objects import MODELFETCHES

StoreKey = tuple[str, str]
"""Namespace and name of a store."""


class Claims:
    """The lines of all stores; of a fetch that asks for nothing nothing is kept."""

    def __init__(self) -> None:
        self._lines: dict[StoreKey, Line] = {}
        self._places: dict[str, tuple[StoreKey, Key]] = {}

    @property
    def running(self) -> int:
        """Fetches that hold a slot, over all stores."""
        return sum(line.running for line in self._lines.values())

    def set(self, fetch: ModelFetch, claim: Claim) -> Claim:
        """Take note of what a fetch asks for; returns what it had before."""
        meta = fetch.metadata
        before = self.drop(meta.uid)
        if claim != "none":
            store = (meta.namespace, fetch.spec.store_ref.name)
            self._places[meta.uid] = (store, Key(MODELFETCHES.kind, meta.namespace, meta.name))
            self._lines.setdefault(store, Line()).set(_claimant(fetch, claim))
        return before

    def drop(self, uid: str) -> Claim:
        """Forget a fetch; returns what it held: a slot, a place in the queue, or nothing."""
        place = self._places.get(uid)
        if place is None:
            return "none"
        store, _ = place
        before = self._line(*store).drop(uid)
        if store in self._lines and not self._lines[store]:
            del self._lines[store]
        del self._places[uid]  # at the end: who fails before that is dropped again
        return before

    def slot(self, fetch: ModelFetch, stores: Mapping[str, int], limit: int = 0) -> Slot:
        """Return whether this fetch may start now; `stores` are the slots of its namespace's stores, by their names.

        `limit` is how many fetches may run in the namespace, 0 for as many as the stores allow.
        """
        namespace, me = fetch.metadata.namespace, _claimant(fetch, "waiting")
        own = fetch.spec.store_ref.name
        slot = self._line(namespace, own).grant(stores[own], me)
        if not slot.granted or not limit:
            return slot
        lines = ((self._line(namespace, store), slots) for store, slots in stores.items())
        granted = namespace_grants(limit, lines, me)
        return replace(slot, granted=granted, of_namespace=not granted)

    def next_in_line(self, namespace: str, store: str, slots: int) -> list[Key]:
        """Return the fetches whose turn it is."""
        return [self._places[uid][1] for uid in self._line(namespace, store).next(slots)]

    def counts(self, namespace: str, store: str, fetches: list[Object]) -> FetchCounts:
        """Return how many of a store's fetches do what."""
        line = self._line(namespace, store)
        ready = sum((body.get("status") or {}).get("phase") == "Ready" for body in fetches)
        return FetchCounts(total=len(fetches), ready=ready, running=line.running, queued=line.waiting)

    def _line(self, namespace: str, store: str) -> Line:
        return self._lines.get((namespace, store)) or Line()


def _claimant(fetch: ModelFetch, claim: Claim) -> Claimant:
    return Claimant(fetch.metadata.creation_timestamp or "", fetch.metadata.uid, claim, fetch.spec.priority)
