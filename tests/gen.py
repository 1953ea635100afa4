"""Objects for tests, valid unless told otherwise: `fetch("llama", suspend=True)`, `store(slots=1)`.

Out: plain dicts as a user writes them in YAML. `full_*` sets every field, so that each can be changed alone.
"""

import copy
from typing import Any

from modelfetch.api.meta import API_VERSION

SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
URI = "hf://sentence-transformers/all-MiniLM-L6-v2"
KEY = "<key>"
"""As the last step of a path: the key of a map, not a value."""

Object = dict[str, Any]
Path = tuple[str | int, ...]


def fetch(name: str = "minilm", namespace: str = "default", **spec: Any) -> Object:
    """Return a ModelFetch; the named fields of its spec replace the default ones."""
    return _object("ModelFetch", name, namespace, {"source": {"uri": URI}} | spec)


def store(name: str = "default", namespace: str = "default", **spec: Any) -> Object:
    """Return a ModelStore; the named fields of its spec replace the default ones."""
    return _object("ModelStore", name, namespace, {"claimName": "models"} | spec)


def _object(kind: str, name: str, namespace: str, spec: Object) -> Object:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


SOURCES: dict[str, Object] = {
    "uri": {"uri": URI},
    "huggingFace": {
        "huggingFace": {
            "repo": "sentence-transformers/all-MiniLM-L6-v2",
            "repoType": "model",
            "revision": "main",
            "endpoint": "https://hub.example.com",
            "path": "onnx",
        }
    },
    "http": {
        "http": {
            "files": [{"url": "https://host.example/model.gguf", "path": "model.gguf", "sha256": SHA256, "size": 42}]
        }
    },
}


def full_fetch_spec(source: str = "uri") -> Object:
    """Return a ModelFetch's spec with every field set; `source` names the member of `spec.source`."""
    spec: Object = {
        "source": SOURCES[source],
        "auth": {"secretRef": {"name": "hf-token", "key": "token"}},
        "files": {"include": ["*.safetensors", "*.json"], "exclude": ["*.bin"]},
        "model": {
            "name": "MiniLM",
            "version": "6.2",
            "framework": "pytorch",
            "stage": "production",
            "tags": ["embedding", "english"],
            "description": "Sentence embeddings",
            "metadata": {"owner": "search-team"},
        },
        "storeRef": {"name": "default"},
        "verification": {"mode": "Require", "checksums": {"model.safetensors": f"sha256:{SHA256}"}},
        "limits": {"maxFileSize": "40Gi", "maxTotalSize": 10**12, "maxFiles": 500},
        "transfer": {
            "parallelFiles": 4,
            "connectionsPerFile": 2,
            "bandwidthLimit": "50Mi",
            "stallTimeout": "60s",
            "deadline": "6h",
        },
        "retry": {"limit": 5, "initialDelay": "5s", "maxDelay": "5m"},
        "priority": 100,
        "suspend": True,
        "deletionPolicy": "Retain",
    }
    return copy.deepcopy(spec)


def full_store_spec() -> Object:
    """Return a ModelStore's spec with every field set."""
    amounts = {"cpu": "500m", "memory": "256Mi", "ephemeral-storage": "64Mi"}
    return {
        "claimName": "models",
        "path": "modelfetch",
        "slots": 1,
        "bandwidthLimit": "200Mi",
        "jobTemplate": {
            "resources": {"requests": dict(amounts), "limits": dict(amounts)},
            "nodeSelector": {"example.com/pool": "storage"},
            "tolerations": [
                {"key": "gpu", "operator": "Equal", "value": "true", "effect": "NoExecute", "tolerationSeconds": 300}
            ],
            "priorityClassName": "batch-low",
            "imagePullSecrets": [{"name": "registry"}],
        },
    }


def full_spec(kind: str, path: Path = ()) -> Object:
    """Return the spec of `kind` with every field set, of the variant that has something at `path`."""
    if kind == "ModelStore":
        return full_store_spec()
    return full_fetch_spec(str(path[1]) if path[:1] == ("source",) and len(path) > 1 else "uri")


def put(spec: Object, path: Path, value: Any) -> Object:
    """Return a copy of `spec` with `value` at `path`; at a path that ends in KEY, as the only key of that map."""
    if not path:
        return copy.deepcopy(value)
    if path[-1] == KEY:
        (kept,) = at(spec, path[:-1]).values()
        return put(spec, path[:-1], {value: kept})
    spec = copy.deepcopy(spec)
    at(spec, path[:-1])[path[-1]] = copy.deepcopy(value)
    return spec


def at(spec: Any, path: Path) -> Any:
    """Return what is at `path` of `spec`."""
    for step in path:
        spec = spec[step]
    return spec
