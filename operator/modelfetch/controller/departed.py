"""Fetches that have been deleted and may have left files behind: who they are, until a Job has removed what was theirs.

Comes in: fetches as they go, and Jobs as they are made. Goes out: what may be removed, each confirmed by the API server
itself. It is all in memory: a store's written inventory tells the next operator that there is something to look for.
"""

from collections import defaultdict
from collections.abc import Iterable

from modelfetch.api.order import RemovalTarget
from modelfetch.controller.mirror import Key, Object, store_of, uid_of
from modelfetch.controller.views import may_have_files
from modelfetch.kube.client import Kube
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import MODELFETCHES


class Departed:
    """By store: the fetches that went, and which of them the API server has confirmed to be gone."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._gone: defaultdict[Key, set[RemovalTarget]] = defaultdict(set)
        self._confirmed: defaultdict[Key, set[RemovalTarget]] = defaultdict(set)
        self._started: set[str] = set()

    def may_have_started(self, uid: str) -> bool:
        """Whether a Job may have been made for the fetch of this uid, whether a status tells of it or not."""
        return uid in self._started

    def starts(self, uid: str) -> None:
        """A Job is made for it, or may have been by an operator before this one."""
        self._started.add(uid)

    def did_not_start(self, uid: str) -> None:
        """The Job that was to be its first was refused."""
        self._started.discard(uid)

    def went(self, body: Object) -> None:
        """A fetch has gone: what it may have left is to be removed, or kept where it says so."""
        uid = uid_of(body)
        if uid not in self._started and not may_have_files(body):
            return
        self._started.discard(uid)
        keeps = (body.get("spec") or {}).get("deletionPolicy") == "Retain"
        meta = body["metadata"]
        target = RemovalTarget(namespace=meta["namespace"], name=meta["name"], owner=uid, retain=keeps)
        self._gone[store_of(body)].add(target)

    def found(self, store: Key, targets: Iterable[RemovalTarget]) -> None:
        """A survey of the store has found files of these, whose fetches nobody knows."""
        self._gone[store] |= {target for target in targets if target.namespace == store.namespace}

    def removed(self, store: Key, targets: Iterable[RemovalTarget]) -> None:
        """A Job has removed what was theirs."""
        owners = {target.owner for target in targets}
        self._gone[store] -= {target for target in self._gone[store] if target.owner in owners}

    def forget(self, store: Key) -> None:
        """The store has gone."""
        for kept in (self._gone, self._confirmed):
            kept.pop(store, None)

    async def confirmed(self, store: Key) -> tuple[RemovalTarget, ...]:
        """Return whose files may be removed, in a fixed order.

        The API server itself was asked, once for each: what an operator hears may be behind. Raises KubeError.
        """
        gone, confirmed = self._gone[store], self._confirmed[store]
        while unsure := gone - confirmed:  # more may come while the server answers
            target = unsure.pop()
            if await self._is_gone(target, gone):
                confirmed.add(target)  # for ever: a uid comes back with a backup of etcd only (F26)
        confirmed &= gone
        return tuple(sorted(confirmed, key=lambda target: (target.name, target.owner)))

    async def _is_gone(self, target: RemovalTarget, gone: set[RemovalTarget]) -> bool:
        """Ask; until the answer says so it is there as before, and may be told to be gone meanwhile."""
        gone.discard(target)
        self.starts(target.owner)
        try:
            found = await self._kube.find(MODELFETCHES, target.namespace, target.name)
        except KubeError:
            gone.add(target)
            raise
        if found is not None and uid_of(found) == target.owner:
            return False
        gone.add(target)
        self.did_not_start(target.owner)
        return True
