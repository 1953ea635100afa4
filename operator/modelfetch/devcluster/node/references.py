"""Values that a Pod takes from elsewhere: Secrets, ConfigMaps, its own fields, its limits.

In: references as the API writes them. Out: bytes or text, or `Unresolved` in the kubelet's words. Each Secret and
ConfigMap is read by name, one at a time: the node never lists them.
"""

import base64
import re
from dataclasses import dataclass
from decimal import ROUND_CEILING
from typing import Any, Protocol

from modelfetch.devcluster.node.quantity import parse_quantity
from modelfetch.devcluster.node.settings import Capacity
from modelfetch.devcluster.node.status import LOOPBACK
from modelfetch.kube.client import Object

_SUBSCRIPTED = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


class Unresolved(Exception):
    """A value cannot be had now; the message is the kubelet's."""


class Reader(Protocol):
    """Where Secrets and ConfigMaps come from."""

    async def secret(self, namespace: str, name: str) -> Object | None:
        """Return the Secret, None where it does not exist; raises KubeError."""

    async def config_map(self, namespace: str, name: str) -> Object | None:
        """Return the ConfigMap, None where it does not exist; raises KubeError."""


@dataclass(frozen=True)
class Facts:
    """What the fields of a Pod say once it is on this node."""

    pod: Object
    capacity: Capacity

    def field(self, path: str) -> str:
        """Return a downward API field; raises Unresolved for one that a kubelet would not know."""
        meta, spec = self.pod["metadata"], self.pod["spec"]
        if match := _SUBSCRIPTED.fullmatch(path):
            return str(meta.get(match[1], {}).get(match[2], ""))
        if path in ("metadata.labels", "metadata.annotations"):
            entries = meta.get(path.removeprefix("metadata."), {})
            return "\n".join(f'{name}="{_escape(value)}"' for name, value in sorted(entries.items()))
        known = {
            "metadata.name": meta["name"],
            "metadata.namespace": meta["namespace"],
            "metadata.uid": meta["uid"],
            "spec.nodeName": spec.get("nodeName", ""),
            "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        } | dict.fromkeys(("status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"), LOOPBACK)
        if path not in known:
            raise Unresolved(f"unsupported fieldPath: {path}")
        return str(known[path])

    def resource(self, reference: Object, container: Object) -> str:
        """Return a container's request or limit in whole divisors, rounded up; without one, what the node has."""
        name = reference.get("containerName")
        if name:
            container = next(one for one in self.pod["spec"]["containers"] if one["name"] == name)
        kind, _, resource = reference["resource"].partition(".")
        given = container.get("resources", {}).get(kind, {}).get(resource)
        value = given or self.capacity.as_map().get(resource, "0")
        divisor = parse_quantity(reference.get("divisor") or 1) or parse_quantity(1)
        return str(int((parse_quantity(value) / divisor).to_integral_value(ROUND_CEILING)))


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def secret_data(secret: Object) -> dict[str, bytes]:
    """Return the decoded values of a Secret."""
    return {name: base64.b64decode(value) for name, value in (secret.get("data") or {}).items()}


def config_map_data(config_map: Object) -> dict[str, bytes]:
    """Return the values of a ConfigMap, text and binary."""
    text = {name: value.encode() for name, value in (config_map.get("data") or {}).items()}
    binary = {name: base64.b64decode(value) for name, value in (config_map.get("binaryData") or {}).items()}
    return text | binary


@dataclass(frozen=True)
class Sources:
    """Reads whole Secrets and ConfigMaps of one namespace."""

    reader: Reader
    namespace: str

    async def secret(self, name: str, *, optional: bool) -> dict[str, bytes] | None:
        """Return the Secret's values, None where it is absent and optional; raises Unresolved."""
        found = await self.reader.secret(self.namespace, name)
        if found is None and not optional:
            raise Unresolved(f'secret "{name}" not found')
        return secret_data(found) if found is not None else None

    async def config_map(self, name: str, *, optional: bool) -> dict[str, bytes] | None:
        """Return the ConfigMap's values, None where it is absent and optional; raises Unresolved."""
        found = await self.reader.config_map(self.namespace, name)
        if found is None and not optional:
            raise Unresolved(f'configmap "{name}" not found')
        return config_map_data(found) if found is not None else None


async def env_values(container: Object, facts: Facts, sources: Sources) -> list[tuple[str, str]]:
    """Return the container's variables in order, `$(NAME)` not yet expanded: envFrom, then env; raises Unresolved."""
    values: list[tuple[str, str]] = []
    for source in container.get("envFrom") or []:
        values += await _bulk(source, sources)
    for entry in container.get("env") or []:
        value = await _single(entry, container, facts, sources)
        if value is not None:
            values.append((entry["name"], value))
    return values


async def _bulk(source: Object, sources: Sources) -> list[tuple[str, str]]:
    reference: Any = source.get("secretRef") or source.get("configMapRef")
    read = sources.secret if "secretRef" in source else sources.config_map
    data = await read(reference["name"], optional=reference.get("optional", False)) or {}
    # What is taken whole is a value, not a template: its dollar signs are its own.
    return [(source.get("prefix", "") + name, _text(value).replace("$", "$$")) for name, value in sorted(data.items())]


async def _single(entry: Object, container: Object, facts: Facts, sources: Sources) -> str | None:
    source = entry.get("valueFrom")
    if source is None:
        return str(entry.get("value", ""))
    if "fieldRef" in source:
        value: str | None = facts.field(source["fieldRef"]["fieldPath"])
    elif "resourceFieldRef" in source:
        value = facts.resource(source["resourceFieldRef"], container)
    elif "secretKeyRef" in source:
        value = await _keyed(source["secretKeyRef"], sources.secret, f"Secret {sources.namespace}")
    elif "configMapKeyRef" in source:
        value = await _keyed(source["configMapKeyRef"], sources.config_map, f"ConfigMap {sources.namespace}")
    else:
        raise Unresolved(f"this node does not know the source of variable {entry['name']}")
    return value.replace("$", "$$") if value is not None else None


async def _keyed(reference: Object, read: Any, where: str) -> str | None:
    optional = reference.get("optional", False)
    data = await read(reference["name"], optional=optional)
    if data is None:
        return None
    if reference["key"] not in data:
        if optional:
            return None
        raise Unresolved(f"couldn't find key {reference['key']} in {where}/{reference['name']}")
    return _text(data[reference["key"]])


def _text(value: bytes) -> str:
    # What is not UTF-8 stays byte for byte in the process's environment.
    return value.decode("utf-8", errors="surrogateescape")
