"""Volumes of the real node: folders that the kubelet gives to a Pod's group, which it does not for a hostPath.

Comes in: names and folders. Goes out: PersistentVolumes and claims as data.
"""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from modelfetch.devcluster.realnode.kubelet import NODE_NAME
from modelfetch.devcluster.workspace import CLAIM, Workspace
from modelfetch.kube.client import Object
from tests import gen
from tests.cluster.world import World

_ON_THE_NODE = [{"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE_NAME]}]


@dataclass(frozen=True)
class LocalWorkspace(Workspace):
    """A workspace whose volume is a local one."""

    def _volume(self) -> Object:
        return local_volume(self.namespace, CLAIM, self.folder)


@dataclass(frozen=True)
class Second:
    """A claim and a ModelStore on it, both named `second`, beside those of a world; the volume is `folder`."""

    world: World
    folder: Path

    def store(self) -> Object:
        """Return the ModelStore."""
        return gen.store("second", self.world.namespace, claimName="second")

    def claim(self) -> Object:
        """Return the claim, which binds to `volume` only."""
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "second"},
            "spec": {
                "accessModes": ["ReadWriteMany"],
                "storageClassName": "",
                "volumeName": f"{self.world.namespace}-second",
                "resources": {"requests": {"storage": "500Gi"}},
            },
        }

    def volume(self) -> Object:
        """Return the PersistentVolume."""
        return local_volume(self.world.namespace, "second", self.folder)


@contextlib.contextmanager
def second_store(world: World, folder: Path) -> Iterator[Second]:
    """Yield the objects of a second store, none of them applied; afterwards its volume object is gone."""
    second = Second(world, folder)
    try:
        yield second
    finally:
        world.kubectl("delete", "pv", f"{world.namespace}-second", "--ignore-not-found", "--wait=false")


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Yield `folder` as a file system of this size, which is gone afterwards."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def resize(disk: Path, size: str) -> None:
    """Afterwards a small disk has this size, with everything on it."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)


def local_volume(namespace: str, claim: str, folder: Path) -> Object:
    """Return a PersistentVolume for this claim."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{namespace}-{claim}"},
        "spec": {
            "capacity": {"storage": "500Gi"},
            "accessModes": ["ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
            "local": {"path": str(folder)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": _ON_THE_NODE}]}},
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": claim},
        },
    }
