"""The newest seen version of every object we care about, with the indexes that observe.py asks for.

Filled by the watches, by full lists at start and at each resync, and by the answers to our own writes. It is a mirror,
not a memory: losing it costs a list.
"""

from collections import defaultdict
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from modelfetch.controller.kept import Keeper
from modelfetch.core.job import FETCH_LABEL, NAME_ANNOTATION, STORE_LABEL
from modelfetch.kube.objects import JOBS, MODELFETCHES, MODELSTORES, PODS, Resource

Object = dict[str, Any]
TOMBSTONES = 10_000
"""Uids of removed objects that are remembered, so that a late answer to our own write does not bring one back."""


@dataclass(frozen=True, slots=True)
class Key:
    """An object by kind and name."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """Return how a line of the log names it."""
        return f"{self.kind} {self.namespace}/{self.name}"


def key_of(resource: Resource, body: Object) -> Key:
    """Return the key of an object."""
    meta = body["metadata"]
    return Key(resource.kind, meta.get("namespace", ""), meta["name"])


def store_of(fetch: Object) -> Key:
    """Return the key of the store that a ModelFetch names."""
    ref = (fetch.get("spec") or {}).get("storeRef") or {}
    return Key(MODELSTORES.kind, fetch["metadata"].get("namespace", ""), ref.get("name", "default"))


@dataclass(frozen=True)
class Moment:
    """What was known of a kind when the API server was asked about it: objects, and the uids of those that had gone."""

    objects: dict[Key, Object]
    gone: frozenset[str]


class Mirror:
    """Objects by key; of what comes by itself, an older version never replaces a newer one."""

    def __init__(self) -> None:
        self._objects: defaultdict[str, dict[Key, Object]] = defaultdict(dict)
        self._members: defaultdict[tuple[str, ...], set[Key]] = defaultdict(set)
        self._gone: dict[str, None] = {}  # in the order they went
        self._keeper = Keeper()

    def put(self, resource: Resource, body: Object) -> bool:
        """Take in a version of an object; returns False where a newer one, or its end, is known."""
        if uid_of(body) in self._gone:
            return False
        old = self.get(key_of(resource, body))
        if old is not None and version_of(old) > version_of(body):
            return False  # of another uid, too: a list is ahead of a watch that still tells of the one before
        self._take(resource, body)
        return True

    def moment(self, resource: Resource) -> Moment:
        """Return what is known of a kind now, to be handed in with what the server answers."""
        return Moment(dict(self._objects[resource.kind]), frozenset(self._gone))

    def answered(self, resource: Resource, body: Object, since: Moment) -> None:
        """Take in what the server answered when it was asked at `since`.

        Where nothing has come meanwhile it is right, even if it is older than what is known or tells of an object that
        was thought gone: then etcd was restored, and what is known is of a history that is no more (F26).
        """
        key, uid = key_of(resource, body), uid_of(body)
        if self.get(key) is not since.objects.get(key) or (uid in self._gone and uid not in since.gone):
            self.put(resource, body)
            return
        self._gone.pop(uid, None)
        self._take(resource, body)

    def _take(self, resource: Resource, body: Object) -> None:
        small = self._keeper.kept(resource, body)
        key = key_of(resource, small)
        self._forget(key)
        self._objects[key.kind][key] = small
        for index in _indexes(resource, small):
            self._members[index].add(key)

    def remove(self, resource: Resource, body: Object) -> Object | None:
        """Take note that an object is gone; returns its last state, None where another one has its name by now."""
        self._gone[uid_of(body)] = None
        if len(self._gone) > TOMBSTONES:
            del self._gone[next(iter(self._gone))]
        key = key_of(resource, body)
        old = self.get(key)
        if old is None or uid_of(old) != uid_of(body):
            return None
        self._forget(key)
        return old if version_of(old) > version_of(body) else self._keeper.kept(resource, body)

    def _forget(self, key: Key) -> None:
        old = self._objects[key.kind].pop(key, None)
        if old is None:
            return
        for index in _indexes(_RESOURCES[key.kind], old):
            self._members[index].discard(key)
            if not self._members[index]:
                del self._members[index]

    def get(self, key: Key) -> Object | None:
        """Return the object, or None."""
        return self._objects[key.kind].get(key)

    def is_there(self, key: Key, uid: str) -> bool:
        """Return whether the object of this name is the one of this uid."""
        body = self.get(key)
        return body is not None and uid_of(body) == uid

    def all(self, resource: Resource) -> Iterator[Object]:
        """Yield all objects of a kind."""
        return iter(list(self._objects[resource.kind].values()))

    def in_namespace(self, resource: Resource, namespace: str) -> list[Object]:
        """Return the objects of a kind in a namespace."""
        return self._of((resource.kind, namespace))

    def fetches_of_store(self, namespace: str, store: str) -> list[Object]:
        """Return the ModelFetches that name a store."""
        return self._of(("store", namespace, store))

    def jobs_of_fetch(self, uid: str) -> list[Object]:
        """Return the Jobs labelled with a fetch's uid; the owner has still to be compared."""
        return self._of(("job-of-fetch", uid))

    def has_job(self, uid: str) -> bool:
        """Whether a Job of this uid is there."""
        return ("job", uid) in self._members

    def jobs_of_store(self, namespace: str, label: str) -> list[Object]:
        """Return the Jobs labelled with a store."""
        return self._of(("job-of-store", namespace, label))

    def pods_of_job(self, uid: str) -> list[Object]:
        """Return the Pods that a Job controls, by owner uid."""
        return self._of(("pod-of-job", uid))

    def made_for(self, resource: Resource, namespace: str, name: str) -> list[Object]:
        """Return the Jobs, or the Pods, that were made for a fetch of this name, whichever of them it was."""
        return self._of(("made-for", resource.kind, namespace, name))

    def _of(self, index: tuple[str, ...]) -> list[Object]:
        return [self._objects[key.kind][key] for key in self._members.get(index, ())]

    def missing_from(self, resource: Resource, uids: AbstractSet[str], since: Moment) -> list[Object]:
        """Return the known objects of a kind whose uids a full list, asked for at `since`, does not hold."""
        before = {uid_of(body) for body in since.objects.values()}  # one that came during the list is not missing
        missing = before - uids
        return [body for body in self.all(resource) if uid_of(body) in missing]


_RESOURCES = {resource.kind: resource for resource in (MODELFETCHES, MODELSTORES, JOBS, PODS)}


def _indexes(resource: Resource, body: Object) -> list[tuple[str, ...]]:
    namespace = body["metadata"].get("namespace", "")
    return [(resource.kind, namespace), *_relations(resource, body, namespace)]


def _relations(resource: Resource, body: Object, namespace: str) -> list[tuple[str, ...]]:
    meta = body["metadata"]
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    made_for: list[tuple[str, ...]] = []
    if NAME_ANNOTATION in annotations:
        made_for.append(("made-for", resource.kind, namespace, annotations[NAME_ANNOTATION]))
    if resource is MODELFETCHES:
        return [("store", namespace, store_of(body).name)]
    if resource is JOBS:
        of_fetch = [("job-of-fetch", labels[FETCH_LABEL])] if FETCH_LABEL in labels else []
        return [("job", uid_of(body)), ("job-of-store", namespace, labels.get(STORE_LABEL, "")), *of_fetch, *made_for]
    if resource is PODS:
        job = controller_of(body)
        return [*([("pod-of-job", job)] if job else []), *made_for]
    return []


def uid_of(body: Object) -> str:
    """Return an object's uid, empty without one."""
    return str(body["metadata"].get("uid", ""))


def controller_of(body: Object) -> str:
    """Return the uid of the object that controls this one, as a Job does its Pods; empty without one."""
    owners = body["metadata"].get("ownerReferences") or ()
    return str(next((owner["uid"] for owner in owners if owner.get("controller")), ""))


def version_of(body: Object) -> int:
    """Return an object's resource version; of one object they are comparable integers (KEP-5504, and true of etcd)."""
    version = str(body["metadata"].get("resourceVersion", "0"))
    return int(version) if version.isdigit() else 0
