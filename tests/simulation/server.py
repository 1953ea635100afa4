"""The API server as the operator knows it, in memory: versions, uids, generations, finalizers, watch events.

Bodies are never changed in place, so a snapshot is a reference. Reads and writes happen at once; that a request or its
answer takes time, or gets lost, is the business of connection.py.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from modelfetch.kube.client import Object
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import JOBS, MODELFETCHES, PODS, Resource
from tests.simulation.virtual_loop import VirtualClock

FOREGROUND = "foregroundDeletion"
GRACE_S = 30
NAMESPACE = "ml"

Watcher = Callable[[Resource, str, Object], None]
"""Told of each change: the kind of object, ADDED, MODIFIED or DELETED, and its newest version."""


class Server:
    """Objects by kind and name, and whoever watches them."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.version = 0
        self.watchers: list[Watcher] = []
        self._objects: defaultdict[str, dict[str, Object]] = defaultdict(dict)
        self._uids = 0

    def find(self, resource: Resource, name: str) -> Object | None:
        """Return the newest version of an object, or None."""
        return self._objects[resource.plural].get(name)

    def get(self, resource: Resource, name: str) -> Object:
        """Return the newest version of an object; raises KubeError (404)."""
        body = self.find(resource, name)
        if body is None:
            raise KubeError(404, "NotFound", f"{resource.plural} '{name}' not found")
        return body

    def all(self, resource: Resource) -> list[Object]:
        """Return all objects of a kind."""
        return list(self._objects[resource.plural].values())

    def create(self, resource: Resource, body: Object) -> Object:
        """Store a new object; raises KubeError (409) where its name is taken."""
        name = body["metadata"]["name"]
        if name in self._objects[resource.plural]:
            raise KubeError(409, "AlreadyExists", f"{resource.plural} '{name}' already exists")
        self._uids += 1
        meta = {
            **body["metadata"],
            "namespace": NAMESPACE,
            "uid": f"{resource.kind.lower()}-{self._uids}",
            "generation": 1,
            "creationTimestamp": self.clock.stamp(),
        }
        status = {"observedGeneration": -1} if resource is MODELFETCHES else {}
        return self._store(resource, "ADDED", {"status": status, **body, "metadata": meta})

    def update(self, resource: Resource, body: Object, **parts: Any) -> Object:
        """Store another version of an object, with these parts instead of its own; nothing where they are equal."""
        if all(body.get(part) == value for part, value in parts.items()):
            return body
        if "spec" in parts:
            parts["metadata"] = {**body["metadata"], "generation": body["metadata"]["generation"] + 1}
        return self._store(resource, "MODIFIED", {**body, **parts})

    def apply_status(self, resource: Resource, name: str, body: Object) -> Object:
        """Store a status as a whole; raises KubeError where the object is gone (404), another one or changed (409)."""
        stored = self.get(resource, name)
        if body["metadata"].get("uid") not in (None, stored["metadata"]["uid"]):
            raise KubeError(409, "Conflict", "Precondition failed: UID in precondition does not match")
        version = stored["metadata"]["resourceVersion"]
        if body["metadata"].get("resourceVersion", version) != version:
            raise KubeError(409, "Conflict", "the object has been modified")
        return self.update(resource, stored, status=body["status"])

    def delete(
        self, resource: Resource, name: str, uid: str | None = None, propagation: str = "Background", grace_s: int = 30
    ) -> Object:
        """Remove an object, or mark it where something has to come first; return what the real one answers.

        Raises KubeError as the real one does.
        """
        body = self.get(resource, name)
        meta = body["metadata"]
        if uid is not None and uid != meta["uid"]:
            raise KubeError(409, "Conflict", "Precondition failed: UID in precondition does not match")
        waits_for = set(meta.get("finalizers") or ())
        if resource is JOBS and propagation == "Foreground":
            waits_for.add(FOREGROUND)
        if not waits_for and resource is not PODS:
            self.remove(resource, body)
            return {"kind": "Status", "status": "Success"}
        if "deletionTimestamp" in meta:
            return body
        seconds = grace_s if resource is PODS else 0
        marks = {"deletionTimestamp": self.clock.stamp(seconds), "deletionGracePeriodSeconds": seconds}
        return self.update(resource, body, metadata={**meta, **marks, "finalizers": sorted(waits_for)})

    def let_go(self, resource: Resource, body: Object, finalizer: str) -> None:
        """Take a finalizer from an object; one that only waited for that is gone then."""
        meta = body["metadata"]
        if finalizer not in (meta.get("finalizers") or ()):
            return
        rest = [name for name in meta["finalizers"] if name != finalizer]
        if not rest and "deletionTimestamp" in meta and resource is not PODS:
            self.remove(resource, body)
        else:
            self.update(resource, body, metadata={**meta, "finalizers": rest})

    def remove(self, resource: Resource, body: Object) -> None:
        """The object is gone."""
        del self._objects[resource.plural][body["metadata"]["name"]]
        self._tell(resource, "DELETED", self._next_version(body))

    def _store(self, resource: Resource, kind: str, body: Object) -> Object:
        body = self._next_version(body)
        self._objects[resource.plural][body["metadata"]["name"]] = body
        self._tell(resource, kind, body)
        return body

    def _next_version(self, body: Object) -> Object:
        self.version += 1
        return {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.version)}}

    def _tell(self, resource: Resource, kind: str, body: Object) -> None:
        for watcher in tuple(self.watchers):
            watcher(resource, kind, body)
