"""Which fetches the stores' written inventories tell of: no other may start, or its files could be forgotten.

An operator that dies knows at its next start only what it wrote down. So a fetch starts after an inventory that counts
it was written; then, if it is deleted while no operator runs, the inventory differs and its tree is looked for.
"""

from collections import defaultdict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Inventories(Generic[Key]):
    """By store: the owners that its inventory counts, None for everybody's, and the fetches that wait to be counted."""

    def __init__(self) -> None:
        self._counted: dict[Key, frozenset[str] | None] = {}
        self._waiting: defaultdict[Key, dict[Key, None]] = defaultdict(dict)  # in the order they came

    def narrow(self, store: Key, owners: frozenset[str]) -> None:
        """An inventory of `owners` is about to be written: from now on nobody else may start."""
        counted = self._counted.get(store, frozenset())
        self._counted[store] = owners if counted is None else counted & owners

    def written(self, store: Key, owners: frozenset[str] | None) -> tuple[Key, ...]:
        """The store's inventory counts `owners`; return the fetches that waited for that, the first to come first."""
        self._counted[store] = owners
        return tuple(self._waiting.pop(store, ()))

    def counts(self, store: Key, fetch: Key, owner: str) -> bool:
        """Return whether `fetch`, of that uid, may start; if not, the next written inventory names it."""
        counted = self._counted.get(store, frozenset())
        if counted is None or owner in counted:
            return True
        self._waiting[store][fetch] = None
        return False

    def is_waiting(self, store: Key, fetch: Key) -> bool:
        """Return whether `fetch` waits to be counted."""
        return fetch in self._waiting.get(store, ())

    def forget(self, store: Key) -> None:
        """The store is gone."""
        self._counted.pop(store, None)
        self._waiting.pop(store, None)
