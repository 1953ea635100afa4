"""A cluster of which an operator does not see all as it is: what is stored comes to it changed.

The cluster itself stays sound: its controllers go on, and its oracle sees the truth. A status of ours is changed until
the operator writes it anew, for then that is what is stored; everything else as long as it is told.
"""

import json
from collections.abc import Callable
from typing import Any

from modelfetch.kube.client import Object
from modelfetch.kube.forms import fitted
from modelfetch.kube.objects import CLAIMS, CORE_EVENTS, JOBS, MODELFETCHES, MODELSTORES, PODS, Resource
from tests.simulation.cluster import Cluster
from tests.simulation.server import Server, Watcher
from tests.stored_fields.changes import Path, at, put
from tests.stored_fields.samples import REPORT, planted

OURS = (MODELFETCHES.kind, MODELSTORES.kind)
_KINDS = (MODELFETCHES, MODELSTORES, JOBS, PODS, CLAIMS)
_MESSAGE: Path = ("status", "containerStatuses", 0, "state", "terminated", "message")

Wrong = Callable[[Any], Any]
"""From a value to what stands in its place."""


class Sight:
    """The server, and of the cluster what an operator asks it, as an operator sees them."""

    def __init__(self, server: Server, cluster: Cluster) -> None:
        self.clock = server.clock
        self.watchers: list[Watcher] = []
        self.shown: dict[str, list[Object]] = {}
        """By kind: every version that came to the operator, where `is_taking_down`."""
        self.is_taking_down = False
        self.written: set[str] = set()
        """Statuses that were written since the change began, by kind and name."""
        self._server, self._cluster = server, cluster
        self._change: tuple[str, Path, Wrong] | None = None
        self._there: set[str] = set()
        self._right: dict[str, Object] = {}
        server.watchers.append(self._tell)

    def change(self, kind: str, path: Path, wrong: Wrong) -> None:
        """From now on what stands there in all objects of that kind is something else, and the operator is told."""
        self._put_right()
        self._change = (kind, path, wrong)
        self._there = {body["metadata"]["uid"] for body in self._all_of(kind)}
        self.written.clear()
        if (kind, path[0]) == (MODELFETCHES.kind, "spec"):
            self._store_wrong(path, wrong)
        self._tell_again()

    def end(self) -> None:
        """Somebody puts right what was wrong."""
        self._put_right()
        self._tell_again()
        self._change = None

    def _store_wrong(self, path: Path, wrong: Wrong) -> None:
        """A fetch is asked for what its spec says, wrong as that is, so the cluster has to know of it, too."""
        for body in self._server.all(MODELFETCHES):
            self._right[body["metadata"]["name"]] = body["spec"]
            spec = put(body, path, wrong(at(body, path))).get("spec")
            self._server.update(MODELFETCHES, body, spec=spec)

    def _put_right(self) -> None:
        for name, spec in self._right.items():
            body = self._server.find(MODELFETCHES, name)
            if body is not None:
                self._server.update(MODELFETCHES, body, spec=spec)
        self._right.clear()

    def _all_of(self, kind: str) -> list[Object]:
        return [body for resource in _KINDS if resource.kind == kind for body in self._server.all(resource)]

    def _tell_again(self) -> None:
        kind = "" if self._change is None else self._change[0]
        for resource in _KINDS:
            if resource.kind == (PODS.kind if kind == REPORT else kind):
                for body in self._server.all(resource):
                    self._tell(resource, "MODIFIED", body)

    def _tell(self, resource: Resource, kind: str, body: Object) -> None:
        for watcher in tuple(self.watchers):
            watcher(resource, kind, self._seen(resource, body))

    def _seen(self, resource: Resource, body: Object) -> Object:
        body = self._changed(resource.kind, body)
        if resource is PODS and isinstance(at(body, _MESSAGE), str):
            body = put(body, _MESSAGE, self._report(at(body, _MESSAGE)))
        if self.is_taking_down:
            self.shown.setdefault(resource.kind, []).append(body)
        return fitted(resource.kind, body)

    def _changed(self, kind: str, body: Object) -> Object:
        if self._change is None or self._change[0] != kind or not self._is_wrong(kind, body):
            return body
        _, path, wrong = self._change
        whole = planted(kind, body, path)
        right = at(whole, path)
        value = wrong(right)
        return body if value is right else put(whole, path, value)

    def _is_wrong(self, kind: str, body: Object) -> bool:
        """Whether it was there when the change began, and is as it was then."""
        if kind in (REPORT, CORE_EVENTS.kind):
            return True
        part = self._change[1][0] if self._change is not None else ""
        if kind == MODELFETCHES.kind and part == "spec":
            return False  # it is stored as it is told
        is_mended = kind in OURS and part == "status" and _name(kind, body) in self.written
        return body["metadata"]["uid"] in self._there and not is_mended

    def _report(self, text: Any) -> Any:
        try:
            body = json.loads(text)
        except (TypeError, ValueError):
            return text
        if self.is_taking_down:
            self.shown.setdefault(REPORT, []).append(body)
        return json.dumps(self._changed(REPORT, body))

    # What an operator asks of the server

    def get(self, resource: Resource, name: str) -> Object:
        """Return an object; raises KubeError (404)."""
        return self._seen(resource, self._server.get(resource, name))

    def all(self, resource: Resource) -> list[Object]:
        """Return all objects of a kind."""
        return [self._seen(resource, body) for body in self._server.all(resource)]

    def create(self, resource: Resource, body: Object) -> Object:
        """Store a new object; raises KubeError (409)."""
        return self._seen(resource, self._server.create(resource, body))

    def apply_status(self, resource: Resource, name: str, body: Object) -> Object:
        """Store a status as a whole; raises KubeError."""
        self.written.add(_name(resource.kind, {"metadata": {"name": name}}))
        return self._seen(resource, self._server.apply_status(resource, name, body))

    def delete(self, resource: Resource, name: str, uid: str | None = None, propagation: str = "Background") -> Object:
        """Remove an object; raises KubeError."""
        answer = self._server.delete(resource, name, uid, propagation)
        return self._seen(resource, answer) if "metadata" in answer else answer

    # What it asks of the rest of the cluster

    def admit(self, job: Object) -> None:
        """Raise KubeError where admission refuses the Job."""
        self._cluster.admit(job)

    def complaints(self, uid: str) -> list[Object]:
        """Return the events about an object."""
        return [self._seen(CORE_EVENTS, body) for body in self._cluster.complaints(uid)]

    def log_of(self, pod: str) -> str:
        """Return the last lines of a Pod's log."""
        return "\n".join(self._report(line) for line in self._cluster.log_of(pod).split("\n"))


def _name(kind: str, body: Object) -> str:
    return f"{kind} {body['metadata']['name']}"
