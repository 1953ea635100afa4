"""The Node object, its Ready condition and its Lease: how the cluster knows that this node lives.

In: settings and the port of the kubelet API. Out: a Node that the controllers treat as a kubelet's: they taint it when
the heartbeats stop. The status goes with every heartbeat, because a controller may have marked the node Unknown.
"""

import asyncio
import logging
import os
import platform

from modelfetch import __version__
from modelfetch.devcluster.node.objects import NODE_LABEL, NODES, condition
from modelfetch.devcluster.node.settings import Clock, Settings
from modelfetch.devcluster.node.status import LOOPBACK, timestamp
from modelfetch.kube.client import Kube, Object
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import LEASES

MANAGER = "modelfetch-process-node"
_LEASE_NAMESPACE = "kube-node-lease"
_LEASE_DURATION_S = 40
"""What a kubelet asks for: four missed renewals."""
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_log = logging.getLogger(__name__)


class Registration:
    """Speaks for one node towards the API server."""

    def __init__(self, kube: Kube, settings: Settings, port: int, clock: Clock) -> None:
        self._kube, self._settings, self._port, self._clock = kube, settings, port, clock
        self._since = ("", "")

    async def register(self) -> None:
        """Afterwards the Node exists and is Ready, and its Lease is held; raises KubeError."""
        node = await self._kube.find(NODES, None, self._settings.name)
        ready = condition(node, "Ready") if node else {}
        self._since = ready.get("status", ""), ready.get("lastTransitionTime", "")
        await self._kube.apply(NODES, None, self._settings.name, self._node(), manager=MANAGER)
        await self.beat()

    async def beat(self) -> None:
        """Afterwards Lease and status say that the node lives now; raises KubeError."""
        await self._write_status(ready=True, reason="KubeletReady", message="process node is running Pods")
        await self._kube.apply(LEASES, _LEASE_NAMESPACE, self._settings.name, self._lease(), manager=MANAGER)

    async def run(self) -> None:
        """Beat at the node's interval until cancelled; a missed beat is logged and made up for by the next one."""
        while True:
            await asyncio.sleep(self._settings.heartbeat_s)
            try:
                await self.beat()
            except KubeError as error:
                _log.warning("heartbeat missed: %s", error)

    async def withdraw(self) -> None:
        """Afterwards the Node is NotReady and takes no further Pods; raises KubeError."""
        await self._write_status(ready=False, reason="KubeletNotReady", message="process node has stopped")

    def _node(self) -> Object:
        labels = {
            "kubernetes.io/hostname": self._settings.name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": _ARCHITECTURES.get(platform.machine(), platform.machine()),
            NODE_LABEL: "true",
        }
        return {"metadata": {"name": self._settings.name, "labels": labels}}

    def _lease(self) -> Object:
        return {
            "metadata": {"name": self._settings.name},
            "spec": {
                "holderIdentity": self._settings.name,
                "leaseDurationSeconds": _LEASE_DURATION_S,
                "renewTime": self._clock().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            },
        }

    async def _write_status(self, *, ready: bool, reason: str, message: str) -> None:
        capacity = self._settings.capacity.as_map()
        status = {
            "addresses": [
                {"type": "InternalIP", "address": LOOPBACK},
                {"type": "Hostname", "address": self._settings.name},
            ],
            "capacity": capacity,
            "allocatable": capacity,
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._port}},
            "nodeInfo": _node_info(self._settings.name),
            "conditions": [self._ready(str(ready), reason, message)],
        }
        body = {"metadata": {"name": self._settings.name}, "status": status}
        await self._kube.apply(NODES, None, self._settings.name, body, manager=MANAGER, subresource="status")

    def _ready(self, status: str, reason: str, message: str) -> Object:
        now = timestamp(self._clock())
        if self._since[0] != status:
            self._since = (status, now)
        return {
            "type": "Ready",
            "status": status,
            "reason": reason,
            "message": message,
            "lastHeartbeatTime": now,
            "lastTransitionTime": self._since[1],
        }


def _node_info(name: str) -> Object:
    uname = os.uname()
    return {
        "machineID": name,
        "systemUUID": name,
        "bootID": name,
        "kernelVersion": uname.release,
        "osImage": "the machine's own",
        "containerRuntimeVersion": f"process://{__version__}",
        "kubeletVersion": f"v{__version__}-process",
        "kubeProxyVersion": "",
        "operatingSystem": "linux",
        "architecture": _ARCHITECTURES.get(uname.machine, uname.machine),
    }
