"""Values from Secrets, ConfigMaps and the Pod itself, and the kubelet's words where they cannot be had."""

import base64
from dataclasses import dataclass, field
from typing import Any

import pytest

from modelfetch.devcluster.node.references import Facts, Sources, Unresolved, env_values
from tests.unit.devcluster.node.samples import CAPACITY, Json, container, pod, run


@dataclass
class Shelf:
    """Secrets and ConfigMaps in memory; satisfies references.Reader."""

    secrets: dict[str, dict[str, bytes]] = field(default_factory=dict)
    config_maps: dict[str, dict[str, str]] = field(default_factory=dict)

    async def secret(self, namespace: str, name: str) -> Json | None:
        """Return the Secret of the namespace ns."""
        if namespace != "ns" or name not in self.secrets:
            return None
        return {"data": {k: base64.b64encode(v).decode() for k, v in self.secrets[name].items()}}

    async def config_map(self, namespace: str, name: str) -> Json | None:
        """Return the ConfigMap of the namespace ns."""
        return {"data": self.config_maps[name]} if namespace == "ns" and name in self.config_maps else None


SHELF = Shelf({"s": {"k": b"pa$(X)s", "raw": b"\xff\n"}}, {"m": {"k": "v", "other": "w"}})
POD = pod(nodeName="n1", serviceAccountName="sa")
POD["metadata"] |= {"labels": {"app": "x", "b": 'q"'}, "annotations": {"note": "n"}}


def values(**spec: Any) -> list[tuple[str, str]]:
    """Return the variables of a container with these fields."""
    return run(env_values(container(**spec), Facts(POD, CAPACITY), Sources(SHELF, "ns")))


def secret(name: str, key: str, **more: Any) -> Json:
    """Return a variable from a Secret."""
    return {"name": "V", "valueFrom": {"secretKeyRef": {"name": name, "key": key, **more}}}


def config(name: str, key: str, **more: Any) -> Json:
    """Return a variable from a ConfigMap."""
    return {"name": "V", "valueFrom": {"configMapKeyRef": {"name": name, "key": key, **more}}}


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (secret("none", "k"), 'secret "none" not found'),
        (secret("s", "none"), "couldn't find key none in Secret ns/s"),
        (config("none", "k"), 'configmap "none" not found'),
        (config("m", "none"), "couldn't find key none in ConfigMap ns/m"),
        ({"name": "V", "valueFrom": {"fieldRef": {"fieldPath": "spec.secret"}}}, "unsupported fieldPath: spec.secret"),
        (
            {"name": "V", "valueFrom": {"fileKeyRef": {}}},
            "this node does not know the source of variable V",
        ),
    ],
)
def test_missing(entry: Json, words: str) -> None:
    """What is missing is named in the kubelet's words."""
    with pytest.raises(Unresolved) as caught:
        values(env=[entry])

    assert words == str(caught.value)


@pytest.mark.parametrize(
    "entry",
    [secret("none", "k", optional=True), secret("s", "none", optional=True), config("none", "k", optional=True)],
)
def test_optional(entry: Json) -> None:
    """An optional reference that is missing leaves the variable out."""
    actual = values(env=[entry, {"name": "A", "value": "1"}])

    assert [("A", "1")] == actual


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "p"),
        ("metadata.namespace", "ns"),
        ("metadata.uid", "uid-p"),
        ("metadata.labels['app']", "x"),
        ("metadata.labels['none']", ""),
        ("metadata.annotations['note']", "n"),
        ("metadata.labels", 'app="x"\nb="q\\""'),
        ("spec.nodeName", "n1"),
        ("spec.serviceAccountName", "sa"),
        ("status.podIP", "127.0.0.1"),
        ("status.hostIPs", "127.0.0.1"),
    ],
)
def test_field(path: str, value: str) -> None:
    """The downward API knows the fields that a kubelet knows."""
    actual = Facts(POD, CAPACITY).field(path)

    assert value == actual


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ({"resource": "limits.memory"}, "67108864"),
        ({"resource": "limits.memory", "divisor": "1Mi"}, "64"),
        ({"resource": "limits.memory", "divisor": "1Gi"}, "1"),
        ({"resource": "requests.cpu", "divisor": "1m"}, "250"),
        ({"resource": "requests.cpu"}, "1"),
        ({"resource": "limits.cpu"}, "2"),
        ({"resource": "limits.cpu", "divisor": "0"}, "2"),
    ],
)
def test_resource(reference: Json, value: str) -> None:
    """Resources come in whole divisors, rounded up; without a limit it is the node's."""
    spec = container(resources={"limits": {"memory": "64Mi"}, "requests": {"cpu": "250m"}})

    actual = Facts(POD, CAPACITY).resource(reference, spec)

    assert value == actual


def test_order() -> None:
    """Whole sources come first, single variables later, so that the latter win."""
    actual = values(
        envFrom=[{"prefix": "P_", "configMapRef": {"name": "m"}}, {"secretRef": {"name": "none", "optional": True}}],
        env=[{"name": "P_k", "value": "mine"}, {"name": "EMPTY"}],
    )

    assert [("P_k", "v"), ("P_other", "w"), ("P_k", "mine"), ("EMPTY", "")] == actual


def test_a_secret_is_no_template() -> None:
    """What comes from a Secret is taken as it is, even where it looks like a reference."""
    actual = values(env=[secret("s", "k")])

    assert [("V", "pa$$(X)s")] == actual


def test_bytes_survive() -> None:
    """A value that is no UTF-8 reaches the environment byte for byte."""
    ((_, actual),) = values(env=[secret("s", "raw")])

    assert b"\xff\n" == actual.encode("utf-8", "surrogateescape")
