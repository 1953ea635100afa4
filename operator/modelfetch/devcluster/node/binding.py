"""Gives waiting Pods to nodes, because the embedded control plane runs no scheduler.

In: the informers' objects. Out: bindings, or the condition PodScheduled=False with kube-scheduler's words. It looks
again whenever something changes; only the node that placement.py names acts on a Pod.
"""

import asyncio
import logging
from dataclasses import dataclass

from modelfetch.devcluster.node.events import Events
from modelfetch.devcluster.node.informer import Informer
from modelfetch.devcluster.node.objects import CLASSES, NODES, VOLUMES, condition, key, uid
from modelfetch.devcluster.node.placement import (
    SELECTED_NODE,
    Placement,
    Reserve,
    Snapshot,
    is_waiting_for_placement,
    place,
)
from modelfetch.devcluster.node.settings import Clock
from modelfetch.devcluster.node.status import timestamp
from modelfetch.kube.client import Kube, Object
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import CLAIMS, PODS

_MANAGER = "modelfetch-process-node-binder"
_RETRY_S = 1.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClusterView:
    """The informers that a placement needs."""

    nodes: Informer
    pods: Informer
    claims: Informer
    volumes: Informer
    classes: Informer

    def snapshot(self) -> Snapshot:
        """Return what is known now."""
        return Snapshot(
            nodes=list(self.nodes.items.values()),
            pods=list(self.pods.items.values()),
            claims={key(claim): claim for claim in self.claims.items.values()},
            volumes={key(volume)[1]: volume for volume in self.volumes.items.values()},
            classes={key(entry)[1]: entry for entry in self.classes.items.values()},
        )


class Binder:
    """Acts for one node."""

    def __init__(self, kube: Kube, events: Events, node: str, clock: Clock) -> None:
        self._kube, self._events, self._node, self._clock = kube, events, node, clock
        self._changed = asyncio.Event()
        self._bound: set[str] = set()

    def wake(self, _item: Object, _exists: bool) -> None:
        """Have all waiting Pods looked at again; an informer's callback."""
        self._changed.set()

    async def run(self, view: ClusterView) -> None:
        """Place Pods until cancelled; what the API server refuses is tried again."""
        for informer in (view.nodes, view.pods, view.claims, view.volumes, view.classes):
            await informer.synced.wait()
        self._changed.set()
        while True:
            await self._changed.wait()
            self._changed.clear()
            if not await self._pass(view):
                await asyncio.sleep(_RETRY_S)
                self._changed.set()

    async def _pass(self, view: ClusterView) -> bool:
        waiting = [pod for pod in view.pods.items.values() if is_waiting_for_placement(pod)]
        self._bound &= {uid(pod) for pod in waiting}
        complete = True
        for pod in sorted(waiting, key=_urgency):
            placement = place(pod, view.snapshot())
            if placement is None or placement.node != self._node or uid(pod) in self._bound:
                continue
            complete &= await self._try(pod, placement)
        return complete

    async def _try(self, pod: Object, placement: Placement) -> bool:
        try:
            await self._act(pod, placement)
        except KubeError as error:
            _log.info("placing %s/%s is tried again: %s", *key(pod), error)
            # A Pod that is gone or was bound by someone else shows in the informer soon.
            return error.status in (404, 409)
        return True

    async def _act(self, pod: Object, placement: Placement) -> None:
        if placement.message:
            await self._tell(pod, placement.message)
        elif placement.reserve:
            for reservation in placement.reserve:
                await self._reserve(reservation)
        else:
            await self._bind(pod)

    async def _bind(self, pod: Object) -> None:
        namespace, name = key(pod)
        target = {"apiVersion": "v1", "kind": "Node", "name": self._node}
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name, "uid": uid(pod)}, "target": target}
        await self._kube.create_at(PODS, namespace, name, "binding", body)
        # The watch may show the Pod unbound for a moment more; its place is taken from now on.
        pod["spec"]["nodeName"] = self._node
        self._bound.add(uid(pod))
        note = f"Successfully assigned {namespace}/{name} to {self._node}"
        await self._events.inform(pod, "Scheduled", note, action="Binding")

    async def _tell(self, pod: Object, message: str) -> None:
        scheduled = condition(pod, "PodScheduled")
        if scheduled.get("status") == "False" and scheduled.get("message") == message:
            return
        since = scheduled.get("lastTransitionTime") if scheduled.get("status") == "False" else None
        told = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
            "lastTransitionTime": since or timestamp(self._clock()),
        }
        namespace, name = key(pod)
        body = {"metadata": {"name": name, "uid": uid(pod)}, "status": {"conditions": [told]}}
        await self._kube.apply(PODS, namespace, name, body, manager=_MANAGER, subresource="status")
        await self._events.warn(pod, "FailedScheduling", message, action="Scheduling")

    async def _reserve(self, reservation: Reserve) -> None:
        claim, volume = reservation.claim, reservation.volume
        namespace, name = key(claim)
        if volume is None:
            body = {"metadata": {"annotations": {SELECTED_NODE: self._node}}}
            await self._kube.merge(CLAIMS, namespace, name, body)
            return
        owner = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": name}
        meta = {
            "resourceVersion": volume["metadata"]["resourceVersion"],
            "annotations": {"pv.kubernetes.io/bound-by-controller": "yes"},
        }
        body = {"metadata": meta, "spec": {"claimRef": owner | {"uid": uid(claim)}}}
        await self._kube.merge(VOLUMES, None, key(volume)[1], body)


def view_of(kube: Kube, pods: Informer, binder: Binder) -> ClusterView:
    """Return a view whose every change wakes the binder; `pods` is shared with the node's own work."""
    return ClusterView(
        nodes=Informer(kube, NODES, binder.wake),
        pods=pods,
        claims=Informer(kube, CLAIMS, binder.wake),
        volumes=Informer(kube, VOLUMES, binder.wake),
        classes=Informer(kube, CLASSES, binder.wake),
    )


def _urgency(pod: Object) -> tuple[int, str, str]:
    return -int(pod["spec"].get("priority") or 0), str(pod["metadata"]["creationTimestamp"]), uid(pod)
