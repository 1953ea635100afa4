"""What is kept of an object while it is there: the fields that anybody here asks for, and each text once.

Comes in: a body in its form (kube/forms.py). Goes out: a smaller body that answers the same questions. Parsed JSON has
every name and every text in each object anew; of ten thousand fetches with a Job and a Pod each that was two thirds of
the operator's memory.
"""

from collections.abc import Callable, Iterable
from typing import Any

from modelfetch.api.meta import GROUP
from modelfetch.kube.client import Object
from modelfetch.kube.forms import CONTAINER_STATUSES
from modelfetch.kube.objects import JOBS, PODS, Resource

TEXTS = 20_000
"""Texts that are remembered, to be the same one in the next object; then they are gathered anew."""
_META = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "ownerReferences",
)
_MARKS = ("labels", "annotations")


class Keeper:
    """Makes bodies small; what it returns shares its texts with what it returned before."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def kept(self, resource: Resource, body: Object) -> Object:
        """Return an object that answers as `body` does whatever is asked here; `body` stays as it is."""
        small = {**body, "metadata": _metadata(body["metadata"])}
        if resource in _NARROW:
            small |= _NARROW[resource](body)
        if len(self._texts) > TEXTS:
            self._texts = {}
        return self._fields(small)

    def _fields(self, fields: Object) -> Object:
        text = self._texts.setdefault
        return {text(name, name): self._shared(item) for name, item in fields.items()}

    def _shared(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._texts.setdefault(value, value)
        if isinstance(value, dict):
            return self._fields(value)
        if isinstance(value, list):
            return [self._shared(item) for item in value]
        return value


def _only(names: Iterable[str], fields: Object) -> Object:
    return {name: fields[name] for name in names if name in fields}


def _metadata(meta: Object) -> Object:
    """Others' labels and annotations are nothing to us, and may be large."""
    marks = {
        kind: {name: text for name, text in meta[kind].items() if GROUP in name} for kind in _MARKS if kind in meta
    }
    return _only(_META, meta) | marks


def _job(_: Object) -> Object:
    """An order in each Job and again in its Pod would be most of the memory."""
    return {"spec": {}}


def _pod(body: Object) -> Object:
    status = body.get("status") or {}
    containers = {
        kind: [_only(("name", "state"), container) for container in status[kind]]
        for kind in CONTAINER_STATUSES
        if kind in status
    }
    return {
        "spec": {"nodeName": (body.get("spec") or {}).get("nodeName")},
        "status": _only(("phase", "reason", "message", "conditions"), status) | containers,
    }


_NARROW: dict[Resource, Callable[[Object], Object]] = {JOBS: _job, PODS: _pod}
