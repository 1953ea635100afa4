"""What a namespace needs before a ModelFetch can work in it: a volume that is a folder, a claim on it, and a store.

Comes in: a namespace's name and a folder. Goes out: ordinary objects as data, which the real controllers bind.
"""

from dataclasses import dataclass
from pathlib import Path

from modelfetch.api.meta import GROUP, VERSION
from modelfetch.devcluster.manifests import apply_all, until
from modelfetch.kube.client import Kube, Object
from modelfetch.kube.objects import CLAIMS

CLAIM, STORE = "models", "default"
_SIZE = "500Gi"
"""What examples/store.yaml asks for: that it can be applied here, too."""


@dataclass(frozen=True)
class Workspace:
    """A namespace whose claim CLAIM is `folder`, with the ModelStore STORE on it."""

    namespace: str
    folder: Path

    @property
    def volume_name(self) -> str:
        """Name of the PersistentVolume."""
        return f"{self.namespace}-{CLAIM}"

    def objects(self) -> list[Object]:
        """Return namespace, volume, claim and store in the order in which they are created."""
        return [self._namespace(), self._volume(), self._claim(), self._store()]

    def _namespace(self) -> Object:
        level = {"pod-security.kubernetes.io/enforce": "restricted"}
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace, "labels": level}}

    def _volume(self) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": self.volume_name},
            "spec": {
                "capacity": {"storage": _SIZE},
                "accessModes": ["ReadWriteMany"],
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": "",
                "hostPath": {"path": str(self.folder), "type": "Directory"},
                "claimRef": {"apiVersion": "v1", "kind": CLAIMS.kind, "namespace": self.namespace, "name": CLAIM},
            },
        }

    def _claim(self) -> Object:
        return {
            "apiVersion": "v1",
            "kind": CLAIMS.kind,
            "metadata": {"namespace": self.namespace, "name": CLAIM},
            "spec": {
                "accessModes": ["ReadWriteMany"],
                "storageClassName": "",
                "volumeName": self.volume_name,
                "resources": {"requests": {"storage": _SIZE}},
            },
        }

    def _store(self) -> Object:
        return {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "ModelStore",
            "metadata": {"namespace": self.namespace, "name": STORE},
            "spec": {"claimName": CLAIM},
        }


async def create_workspace(kube: Kube, workspace: Workspace, within_s: float = 120.0) -> None:
    """Afterwards the claim is bound to the folder and the store exists; raises ClusterFailure."""
    workspace.folder.mkdir(parents=True, exist_ok=True)
    await apply_all(kube, workspace.objects())

    async def is_bound() -> bool:
        claim = await kube.get(CLAIMS, workspace.namespace, CLAIM)
        return bool(claim.get("status", {}).get("phase") == "Bound")

    await until(is_bound, f"claim '{CLAIM}' of namespace '{workspace.namespace}' being bound", within_s)
