"""Objects for the tests of the process node: valid by default, with what a test is about given by name."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

from modelfetch.devcluster.node.objects import NODE_LABEL
from modelfetch.devcluster.node.settings import Capacity

Json = dict[str, Any]
T = TypeVar("T")

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
CAPACITY = Capacity(cpu="2", memory="1Gi", pods="3")
IMAGE = "example.org/ours:1"


def run(work: Coroutine[Any, Any, T]) -> T:
    """Return what the coroutine returns."""
    return asyncio.run(work)


def container(name: str = "main", **spec: Any) -> Json:
    """Return a container of our image."""
    return {"name": name, "image": IMAGE, **spec}


def pod(name: str = "p", *, claims: tuple[str, ...] = (), requests: Json | None = None, **spec: Any) -> Json:
    """Return a Pod of the namespace ns that is not bound yet."""
    volumes = [{"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in claims]
    body = {"containers": [container(resources={"requests": requests or {}})], "volumes": volumes, **spec}
    meta = {"name": name, "namespace": "ns", "uid": f"uid-{name}", "creationTimestamp": "2030-01-01T00:00:00Z"}
    return {"metadata": meta, "spec": body, "status": {"phase": "Pending"}}


def node(name: str = "n1", *, ready: str = "True", labels: Json | None = None, **spec: Any) -> Json:
    """Return a process node."""
    status = {"allocatable": CAPACITY.as_map(), "conditions": [{"type": "Ready", "status": ready}]}
    meta = {"name": name, "labels": {NODE_LABEL: "true", **(labels or {})}}
    return {"metadata": meta, "spec": spec, "status": status}


def claim(name: str = "c", *, volume: str = "", storage_class: str = "", phase: str = "Pending") -> Json:
    """Return a claim of 1Gi in the namespace ns."""
    spec: Json = {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": storage_class,
        "resources": {"requests": {"storage": "1Gi"}},
    }
    if volume:
        spec["volumeName"], phase = volume, "Bound"
    meta = {"name": name, "namespace": "ns", "uid": f"uid-{name}"}
    return {"metadata": meta, "spec": spec, "status": {"phase": phase}}


def volume(name: str = "v", *, size: str = "1Gi", storage_class: str = "", **spec: Any) -> Json:
    """Return a volume."""
    body = {
        "capacity": {"storage": size},
        "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
        "storageClassName": storage_class,
        **spec,
    }
    return {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": "1"}, "spec": body}
