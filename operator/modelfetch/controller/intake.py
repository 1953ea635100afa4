"""What the operator hears of the cluster: events, full lists, and what the API server answers when asked or written to.

Comes in: bodies of objects. Goes out: the mirror that observe.py looks into, and in the queue the keys of those whom a
piece of news concerns. Nothing is decided here: an event only says that somebody is to be looked at.
"""

from collections.abc import Callable, Hashable
from typing import Any

from modelfetch.controller.mirror import Key, Mirror, Moment, Object, key_of, store_of, uid_of, version_of
from modelfetch.controller.queue import KeyedQueue
from modelfetch.controller.views import read_job
from modelfetch.controller.vigil import Vigil
from modelfetch.core.job import FETCH_LABEL, MANAGED_SELECTOR, NAME_ANNOTATION
from modelfetch.kube.client import Kube
from modelfetch.kube.objects import JOBS, MODELFETCHES, MODELSTORES, PODS, Resource

STORE_DEBOUNCE_S = 1.0
"""Seconds until a store counts its fetches after one of them has changed."""
WRITTEN = 4096
"""Answers to our own writes that are remembered until their events have come."""
KINDS = ((MODELSTORES, ""), (MODELFETCHES, ""), (JOBS, MANAGED_SELECTOR), (PODS, MANAGED_SELECTOR))
"""What is listed and watched, and by which labels."""


Notice = Callable[[Resource, Object, Object | None], None]
"""Takes an object that a list has shown, and what was known under its name before."""


class Intake:
    """Keeps the mirror, and wakes whom it concerns; `forgotten` is told of each object that has gone."""

    def __init__(
        self,
        kube: Kube,
        namespaces: Callable[[], tuple[str, ...]],
        vigil: Vigil,
        forgotten: Callable[[Resource, Object], None],
    ) -> None:
        """`namespaces` is asked before each list; empty means all of them."""
        self.mirror = Mirror()
        self.queue: KeyedQueue[Key] = KeyedQueue(comes_first=lambda key: key.kind == MODELSTORES.kind)
        self._kube = kube
        self._namespaces = namespaces
        self._vigil = vigil
        self._forgotten = forgotten
        self._store_marks: dict[str, tuple[Any, ...]] = {}
        self._written: dict[Hashable, None] = {}  # in the order of the answers

    def seen(self, resource: Resource, kind: str | None, body: Object) -> None:
        """Take in one watch event and put the key it is about into the queue."""
        self._vigil.saw(resource, kind, body)
        if kind == "DELETED":
            self._forget(resource, body)
            return
        known = self.mirror.get(key_of(resource, body))
        if self.mirror.put(resource, body):
            self._met(resource, known, body)

    def learned(self, resource: Resource, body: Object) -> None:
        """Take in what the server answered a write with.

        Whose write it was has been looked at, and its event is no news; others may go by what it says.
        """
        self._written[_news(body)] = None
        if len(self._written) > WRITTEN:
            del self._written[next(iter(self._written))]
        if self.mirror.put(resource, body):
            self._wake_around(resource, body)

    def has_written(self, news: Hashable) -> bool:
        """Whether this piece of news is of one of the last writes: its event may come before its answer."""
        return news in self._written

    def gone(self, resource: Resource, key: Key, uid: str) -> None:
        """Take in that an object of this uid is not there, as the server says when it is to be deleted."""
        known = self.mirror.get(key)
        if known is not None and uid_of(known) == uid:
            self._forget(resource, known)  # nobody told of its end, or not yet

    # --- lists --------------------------------------------------------------------------------------------------

    async def list_all(self, notice: Notice | None = None) -> None:
        """Fill the mirror, and wake whom it concerns that an object is new, another one or gone.

        `notice` is told of each of these that is there.
        """
        for resource, labels in KINDS:
            before, uids = self.mirror.moment(resource), set[str]()
            for namespace in self._namespaces() or (None,):
                async for part in self._kube.parts(resource, namespace, labels=labels):
                    for body in part:
                        uids.add(uid_of(body))
                        self._listed(resource, body, before, notice)
            for body in self.mirror.missing_from(resource, uids, before):
                await self._missed(resource, body)

    async def _missed(self, resource: Resource, body: Object) -> None:
        """A list does not have it. A Job that runs is asked for by name: no other may start because a list is old."""
        if resource is JOBS and read_job(body).result == "Running":
            await self.ask(resource, key_of(resource, body))
        else:
            self._forget(resource, body)

    def _listed(self, resource: Resource, body: Object, before: Moment, notice: Notice | None) -> None:
        known = self.mirror.get(key_of(resource, body))
        self.mirror.answered(resource, body, before)
        current = self.mirror.get(key_of(resource, body))
        if current is not None and self._met(resource, known, current) and notice is not None:
            notice(resource, current, known)

    async def ask(self, resource: Resource, key: Key) -> None:
        """Take in what the API server itself says of an object: what a write has met is not what the mirror knows."""
        before = self.mirror.moment(resource)
        known = before.objects.get(key)
        # By a list, for which there are rights on all kinds that are watched.
        listed = await self._kube.list(resource, key.namespace, fields=f"metadata.name={key.name}")
        found = next(iter(listed), None)
        if known is not None and (found is None or uid_of(found) != uid_of(known)):
            self._forget(resource, known)
        if found is not None:
            self.mirror.answered(resource, found, before)
            self._wake_around(resource, found)

    def wake_all(self) -> None:
        """Have every store and every fetch looked at."""
        for resource in (MODELSTORES, MODELFETCHES):
            for body in self.mirror.all(resource):
                self.queue.add(key_of(resource, body))

    # --- whom it concerns ---------------------------------------------------------------------------------------

    def _met(self, resource: Resource, known: Object | None, body: Object) -> bool:
        """An object has taken the place of what was `known` under its name; returns whether that is news to anybody."""
        if known is not None and _is_same(known, body):
            return False
        if known is not None and uid_of(known) != uid_of(body):
            self._forget(resource, known)  # it went while nobody watched
        self._wake(resource, body)
        return True

    def _wake(self, resource: Resource, body: Object) -> None:
        """A version of an object that nobody has looked at yet concerns itself, or whose it is, and those around it."""
        if resource in (MODELFETCHES, MODELSTORES):
            self.queue.add(key_of(resource, body), _news(body))
            self._wake_around(resource, body)
        else:
            self._wake_owner(body, _news(body))

    def _wake_around(self, resource: Resource, body: Object) -> None:
        """A fetch concerns its store, which counts it; a store all its fetches."""
        if resource is MODELFETCHES:
            self.queue.schedule_sooner(store_of(body), STORE_DEBOUNCE_S)
        elif resource is MODELSTORES and self._store_changed(body):
            self._wake_fetches(body)

    def _wake_fetches(self, store: Object) -> None:
        meta = store["metadata"]
        for fetch in self.mirror.fetches_of_store(meta["namespace"], meta["name"]):
            self.queue.add(key_of(MODELFETCHES, fetch))

    def _store_changed(self, body: Object) -> bool:
        """Whether what fetches go by is new: the counts in a status change with each of them and concern none."""
        status = body.get("status") or {}
        ready = [c.get("status") for c in status.get("conditions") or () if c.get("type") == "Ready"]
        mark = (body["metadata"].get("generation"), ready, status.get("volumeName"))
        before = self._store_marks.get(uid_of(body))
        self._store_marks[uid_of(body)] = mark
        return mark != before

    def _wake_owner(self, body: Object, news: Hashable = None) -> None:
        """A Job or Pod concerns the fetch whose uid it carries, else its store."""
        meta = body["metadata"]
        labels = meta.get("labels") or {}
        uid = labels.get(FETCH_LABEL)
        name = (meta.get("annotations") or {}).get(NAME_ANNOTATION)
        if uid and name:
            self.queue.add(Key(MODELFETCHES.kind, meta["namespace"], name), news)
            return
        for store in self.mirror.in_namespace(MODELSTORES, meta["namespace"]):
            self.queue.add(key_of(MODELSTORES, store))

    def _forget(self, resource: Resource, body: Object) -> None:
        known = self.mirror.remove(resource, body) or body
        self._vigil.forget(resource, known)
        self._store_marks.pop(uid_of(known), None)
        self._forgotten(resource, known)
        if resource is MODELFETCHES:
            self.queue.add(store_of(known))
        elif resource is MODELSTORES:
            self.queue.add(key_of(resource, known))
            self._wake_fetches(known)
        elif resource in (JOBS, PODS):
            self._wake_owner(known)


def _news(body: Object) -> Hashable:
    """Return what tells one version of an object from all others."""
    return uid_of(body), version_of(body)


def _is_same(known: Object, body: Object) -> bool:
    """Whether a version is the one that is known: what we wrote or listed ourselves, and have looked at."""
    return _news(known) == _news(body) and version_of(body) > 0
