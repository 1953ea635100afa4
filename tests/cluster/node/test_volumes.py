"""Secrets and claims that come late: a Pod waits, says for what, and goes on."""

import contextlib
import json
import re
from collections.abc import Iterator

from modelfetch.devcluster.programs import NODE_NAME
from tests.cluster.node.pods import (
    MEET,
    MOUNT,
    VOLUME,
    Object,
    events,
    pod,
    python,
    state,
    wait_phase,
    wait_state,
)
from tests.cluster.world import World, until


def test_a_secret_volume_appears(world: World) -> None:
    """A Pod whose Secret is missing waits, says so in an event, and runs once the Secret is there."""
    volumes = {"volumes": [{"name": "token", "secret": {"secretName": "hf"}}]}
    mounts = [{"name": "token", "mountPath": "/secrets", "readOnly": True}]
    world.apply(pod("later", ["cat", "/secrets/token"], spec=volumes, volumeMounts=mounts))
    wanted = ("FailedMount", 'MountVolume.SetUp failed for volume "token" : secret "hf" not found')
    until(lambda: wanted in events(world, "later"), lambda: f"{events(world, 'later')}")
    before = state(world, "later")
    world.kubectl("create", "secret", "generic", "hf", "--from-literal=token=s3cret")
    wait_phase(world, "later", "Succeeded")

    assert ({"waiting": {"reason": "ContainerCreating"}}, "s3cret") == (before, world.kubectl("logs", "later"))


def test_a_secret_variable_appears(world: World) -> None:
    """A variable from a Secret or a key that is missing is a configuration error until it is there."""
    source = {"secretKeyRef": {"name": "hf", "key": "token"}}
    world.apply(pod("env", ["printenv", "TOKEN"], env=[{"name": "TOKEN", "valueFrom": source}]))
    first = wait_state(world, "env", "waiting", "CreateContainerConfigError")
    world.kubectl("create", "secret", "generic", "hf", "--from-literal=other=x")
    words = f"couldn't find key token in Secret {world.namespace}/hf"
    until(lambda: state(world, "env").get("waiting", {}).get("message") == words, lambda: str(state(world, "env")))
    world.kubectl("patch", "secret", "hf", "-p", '{"stringData": {"token": "t0ken"}}')
    wait_phase(world, "env", "Succeeded")

    assert ('secret "hf" not found', "t0ken\n") == (first["message"], world.kubectl("logs", "env"))


def scheduled(world: World, name: str) -> Object:
    """Return the condition PodScheduled."""
    conditions = world.get("pod", name)["status"].get("conditions") or []
    return next((entry for entry in conditions if entry["type"] == "PodScheduled"), {})


def test_a_claim_appears(world: World) -> None:
    """A Pod whose claim is missing is Unschedulable in the scheduler's words, and runs once the claim is bound."""
    volumes = {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "late"}}]}
    world.apply(pod("early", ["true"], spec=volumes, **MOUNT))
    until(lambda: scheduled(world, "early").get("reason") == "Unschedulable", lambda: str(scheduled(world, "early")))
    message = scheduled(world, "early")["message"]
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "late"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "",
            "resources": {"requests": {"storage": "1Gi"}},
            "selector": {"matchLabels": {"for": world.namespace}},
        },
    }
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{world.namespace}-late", "labels": {"for": world.namespace}},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": str(world.volume / "late"), "type": "DirectoryOrCreate"},
        },
    }
    with temporary(world, volume):
        world.apply(claim)
        wait_phase(world, "early", "Succeeded")

    assert re.fullmatch(r'0/\d nodes are available: persistentvolumeclaim "late" not found\.', message)
    assert (world.volume / "late").is_dir()


@contextlib.contextmanager
def temporary(world: World, *objects: Object) -> Iterator[None]:
    """Have cluster-scoped objects for the time of a block."""
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    world.kubectl("apply", "-f", "-", stdin=listed)
    try:
        yield
    finally:
        world.kubectl("delete", "--wait=false", "-f", "-", stdin=listed)


def test_a_claim_that_waits_for_its_consumer(world: World) -> None:
    """A claim of a late-binding class is given a local volume when its first Pod comes."""
    name, local = f"{world.namespace}-local", world.volume / "local"
    local.mkdir()
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE_NAME]}
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": name,
            "persistentVolumeReclaimPolicy": "Retain",
            "local": {"path": str(local)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "late"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": name,
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    volumes = {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "late"}}]}
    with temporary(world, storage_class, volume):
        world.apply(claim, pod("first", ["touch", "/volume/here"], spec=volumes, **MOUNT))
        wait_phase(world, "first", "Succeeded")

    assert (local / "here").exists()


def test_two_at_once(world: World) -> None:
    """Two Pods run at the same time over one claim."""
    variables = [{"name": "VOLUME", "value": "/volume"}]
    for mine, other in (("a", "b"), ("b", "a")):
        world.apply(pod(mine, python(MEET), args=[mine, other], spec=VOLUME, env=variables, **MOUNT))

    actual = [wait_phase(world, name, "Succeeded", "Failed")["status"]["phase"] for name in "ab"]

    assert ["Succeeded", "Succeeded"] == actual
