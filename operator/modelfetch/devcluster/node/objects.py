"""The kinds that only a node reads and writes, and small questions about a Pod: pure."""

from typing import Any

from modelfetch.kube.client import Object
from modelfetch.kube.objects import Resource

NODES = Resource("", "v1", "nodes", "Node", namespaced=False)
VOLUMES = Resource("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False)
CLASSES = Resource("storage.k8s.io", "v1", "storageclasses", "StorageClass", namespaced=False)
SECRETS = Resource("", "v1", "secrets", "Secret")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
TOKEN_REVIEWS = Resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", namespaced=False)
ACCESS_REVIEWS = Resource("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False)

NODE_LABEL = "modelfetch.io/process-node"
"""Marks the nodes of this program, so that several of them agree on who places a Pod."""


def uid(item: Object) -> str:
    """Return the object's uid."""
    return str(item["metadata"]["uid"])


def key(item: Object) -> tuple[str, str]:
    """Return (namespace, name); the namespace is empty for cluster-scoped objects."""
    return str(item["metadata"].get("namespace", "")), str(item["metadata"]["name"])


def is_terminal(pod: Object) -> bool:
    """True when the Pod has ended for good."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def is_deleted(item: Object) -> bool:
    """True when somebody has asked for the object's deletion."""
    return "deletionTimestamp" in item["metadata"]


def condition(item: Object, kind: str) -> dict[str, Any]:
    """Return the condition of that type, empty where there is none."""
    for entry in item.get("status", {}).get("conditions", []):
        if entry["type"] == kind:
            return dict(entry)
    return {}


def claim_names(pod: Object) -> list[str]:
    """Return the names of the claims that the Pod mounts, in order."""
    volumes = pod["spec"].get("volumes", [])
    return [volume["persistentVolumeClaim"]["claimName"] for volume in volumes if "persistentVolumeClaim" in volume]
