"""What every fetch asks of its store's slots, kept up to date by each decision; core/slots.py judges.

It is set in the same step of the event loop as the decision it belongs to, before any call is awaited, so two
reconciles that run at the same time cannot take the same slot.
"""

from collections import Counter, defaultdict

from modelfetch.api.fetch import ModelFetch
from modelfetch.api.store import FetchCounts
from modelfetch.controller.mirror import Key, Object
from modelfetch.core.actions import Claim
from modelfetch.core.observed import Slot
from modelfetch.core.slots import Claimant, grant, next_in_line
from modelfetch.kube.objects import MODELFETCHES

StoreKey = tuple[str, str]
"""Namespace and name of a store."""


class Claims:
    """Claims by store and fetch."""

    def __init__(self) -> None:
        self._by_store: defaultdict[StoreKey, dict[str, tuple[Claimant, Key]]] = defaultdict(dict)
        self._store_of: dict[str, StoreKey] = {}
        self.running = 0
        """Fetches that hold a slot, over all stores."""

    def set(self, fetch: ModelFetch, claim: Claim) -> bool:
        """Take note of what a fetch asks for; returns True where it gave a slot or a place in the queue back."""
        meta = fetch.metadata
        store = (meta.namespace, fetch.spec.store_ref.name)
        before = self.drop(meta.uid)
        self._store_of[meta.uid] = store
        key = Key(MODELFETCHES.kind, meta.namespace, meta.name)
        self._by_store[store][meta.uid] = (_claimant(fetch, claim), key)
        self.running += claim == "active"
        return before in ("active", "waiting") and claim == "none"

    def drop(self, uid: str) -> Claim:
        """Forget a fetch; returns what it held: a slot, a place in the queue, or nothing."""
        before = self._claim_of(uid)
        store = self._store_of.pop(uid, None)
        if store is not None:
            self._by_store[store].pop(uid, None)
            self.running -= before == "active"
        return before

    def _claim_of(self, uid: str) -> Claim:
        store = self._store_of.get(uid)
        return self._by_store[store][uid][0].claim if store is not None else "none"

    def slot(self, fetch: ModelFetch, slots: int) -> Slot:
        """Return whether this fetch may start now."""
        store = (fetch.metadata.namespace, fetch.spec.store_ref.name)
        claimants = [claimant for claimant, _ in self._by_store[store].values() if claimant.claim != "none"]
        return grant(slots, claimants, _claimant(fetch, "waiting"))

    def next_in_line(self, namespace: str, store: str, slots: int) -> list[Key]:
        """Return the fetches whose turn it is."""
        entries = self._by_store[(namespace, store)]
        return [entries[c.uid][1] for c in next_in_line(slots, [claimant for claimant, _ in entries.values()])]

    def counts(self, namespace: str, store: str, fetches: list[Object]) -> FetchCounts:
        """Return how many of a store's fetches do what."""
        claims = Counter(claimant.claim for claimant, _ in self._by_store[(namespace, store)].values())
        ready = sum((body.get("status") or {}).get("phase") == "Ready" for body in fetches)
        return FetchCounts(total=len(fetches), ready=ready, running=claims["active"], queued=claims["waiting"])


def _claimant(fetch: ModelFetch, claim: Claim) -> Claimant:
    return Claimant(fetch.metadata.creation_timestamp or "", fetch.metadata.uid, claim, fetch.spec.priority)
