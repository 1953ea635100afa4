"""Which node a Pod goes to, or in kube-scheduler's words why none: pure.

In: one snapshot of the cluster. Out: one `Placement`. Every process node decides over all of them and comes to the
same answer, so they need no leader: only the chosen node acts. Weighing, preferred affinity, Pod affinity and topology
spread do not exist here.
"""

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelfetch.devcluster.node.objects import NODE_LABEL, claim_names, condition, is_deleted, is_terminal, key, uid
from modelfetch.devcluster.node.quantity import parse_quantity, total
from modelfetch.devcluster.node.selectors import matches_pod, matches_terms, untolerated

Json = dict[str, Any]
SELECTED_NODE = "volume.kubernetes.io/selected-node"
_NO_PROVISIONER = "kubernetes.io/no-provisioner"


@dataclass(frozen=True)
class Snapshot:
    """What a placement may look at; claims by (namespace, name), volumes and classes by name."""

    nodes: Sequence[Json] = ()
    pods: Sequence[Json] = ()
    claims: Mapping[tuple[str, str], Json] = field(default_factory=dict)
    volumes: Mapping[str, Json] = field(default_factory=dict)
    classes: Mapping[str, Json] = field(default_factory=dict)

    def process_nodes(self) -> list[Json]:
        """Return the nodes of this program, by name."""
        ours = [node for node in self.nodes if NODE_LABEL in node["metadata"].get("labels", {})]
        return sorted(ours, key=lambda node: str(node["metadata"]["name"]))


@dataclass(frozen=True)
class Reserve:
    """A claim waits for its first consumer: give it this volume, or ask its provisioner (None) for one."""

    claim: Json
    volume: Json | None


@dataclass(frozen=True)
class Placement:
    """`node` is who acts. It binds the Pod, after it has made the reservations; or, with `message`, says why not."""

    node: str
    message: str = ""
    reserve: tuple[Reserve, ...] = ()


def is_waiting_for_placement(pod: Json) -> bool:
    """True for a Pod that the default scheduler would look at now."""
    spec = pod["spec"]
    if spec.get("nodeName") or is_deleted(pod) or is_terminal(pod) or spec.get("schedulingGates"):
        return False
    return bool(spec.get("schedulerName", "default-scheduler") == "default-scheduler")


def place(pod: Json, snapshot: Snapshot) -> Placement | None:
    """Return where the Pod goes, or who tells it why it waits; None when no process node exists."""
    nodes = snapshot.process_nodes()
    if not nodes:
        return None
    speaker = next((_name(node) for node in nodes if condition(node, "Ready").get("status") == "True"), _name(nodes[0]))
    if problem := _claim_problem(pod, snapshot):
        return Placement(speaker, f"0/{len(nodes)} nodes are available: {problem}.")
    obstacles = {_name(node): _obstacle(pod, node, snapshot) for node in nodes}
    fitting = [node for node in nodes if not obstacles[_name(node)]]
    if not fitting:
        return Placement(speaker, _summary(list(obstacles.values())))
    # Any stable spread will do; the uid's checksum needs no memory and is the same on every node.
    chosen = fitting[zlib.crc32(uid(pod).encode()) % len(fitting)]
    return Placement(_name(chosen), reserve=tuple(_reservations(pod, chosen, snapshot)))


def _name(node: Json) -> str:
    return str(node["metadata"]["name"])


def _summary(obstacles: list[str]) -> str:
    parts = sorted(f"{count} {reason}" for reason, count in Counter(obstacles).items())
    return f"0/{len(obstacles)} nodes are available: {', '.join(parts)}."


def _claim_problem(pod: Json, snapshot: Snapshot) -> str:
    namespace, _ = key(pod)
    for name in claim_names(pod):
        claim = snapshot.claims.get((namespace, name))
        if claim is None:
            return f'persistentvolumeclaim "{name}" not found'
        if is_deleted(claim):
            return f'persistentvolumeclaim "{name}" is being deleted'
        if claim.get("status", {}).get("phase") == "Lost":
            return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume'
        if not _is_bound(claim) and not _waits_for_consumer(claim, snapshot):
            return "pod has unbound immediate PersistentVolumeClaims"
    return ""


def _obstacle(pod: Json, node: Json, snapshot: Snapshot) -> str:
    if node["spec"].get("unschedulable"):
        return "node(s) were unschedulable"
    if taint := untolerated(pod["spec"], node["spec"].get("taints") or []):
        return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
    if condition(node, "Ready").get("status") != "True":
        return "node(s) were not ready"
    if not matches_pod(pod["spec"], node):
        return "node(s) didn't match Pod's node affinity/selector"
    return _too_full(pod, node, snapshot.pods) or _volume_obstacle(pod, node, snapshot)


def _too_full(pod: Json, node: Json, pods: Sequence[Json]) -> str:
    allocatable = node["status"]["allocatable"]
    there = [other for other in pods if other["spec"].get("nodeName") == _name(node) and not is_terminal(other)]
    if len(there) + 1 > parse_quantity(allocatable["pods"]):
        return "Too many pods"
    for resource in ("cpu", "memory"):
        wanted = _request(pod, resource)
        used = sum(_request(other, resource) for other in there)
        if wanted and wanted + used > parse_quantity(allocatable[resource]):
            return f"Insufficient {resource}"
    return ""


def _request(pod: Json, resource: str) -> Any:
    requests = [container.get("resources", {}).get("requests", {}) for container in pod["spec"]["containers"]]
    return total(request[resource] for request in requests if resource in request)


def _is_bound(claim: Json) -> bool:
    return bool(claim.get("status", {}).get("phase") == "Bound" and claim["spec"].get("volumeName"))


def _waits_for_consumer(claim: Json, snapshot: Snapshot) -> bool:
    storage_class = snapshot.classes.get(claim["spec"].get("storageClassName") or "")
    return storage_class is not None and storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"


def _volume_obstacle(pod: Json, node: Json, snapshot: Snapshot) -> str:
    namespace, _ = key(pod)
    for name in claim_names(pod):
        claim = snapshot.claims[namespace, name]
        volume = snapshot.volumes.get(claim["spec"].get("volumeName", ""))
        if volume is not None and not _reaches(volume, node):
            return "node(s) had volume node affinity conflict"
        if not _is_bound(claim) and volume is None and not _can_be_served(claim, node, snapshot):
            return "node(s) didn't find available persistent volumes to bind"
    return ""


def _can_be_served(claim: Json, node: Json, snapshot: Snapshot) -> bool:
    storage_class = snapshot.classes[claim["spec"]["storageClassName"]]
    return storage_class["provisioner"] != _NO_PROVISIONER or _smallest_volume(claim, node, snapshot) is not None


def _reaches(volume: Json, node: Json) -> bool:
    required = (volume["spec"].get("nodeAffinity") or {}).get("required")
    return required is None or matches_terms(required["nodeSelectorTerms"], node)


def _reservations(pod: Json, node: Json, snapshot: Snapshot) -> list[Reserve]:
    namespace, _ = key(pod)
    claims = [snapshot.claims[namespace, name] for name in claim_names(pod)]
    return [Reserve(claim, _smallest_volume(claim, node, snapshot)) for claim in claims if not _is_bound(claim)]


def _smallest_volume(claim: Json, node: Json, snapshot: Snapshot) -> Json | None:
    fitting = [volume for volume in snapshot.volumes.values() if _serves(volume, claim) and _reaches(volume, node)]
    # One that is reserved for this claim already comes first, so that a second look reserves no second volume.
    return min(fitting, key=lambda one: ("claimRef" not in one["spec"], _size(one), _name(one)), default=None)


def _serves(volume: Json, claim: Json) -> bool:
    spec, wanted = volume["spec"], claim["spec"]
    owner = spec.get("claimRef")
    free = owner is None or owner.get("uid") == uid(claim)
    if not free or is_deleted(volume) or spec.get("storageClassName") != wanted.get("storageClassName"):
        return False
    enough = _size(volume) >= parse_quantity(wanted["resources"]["requests"]["storage"])
    same_mode = spec.get("volumeMode", "Filesystem") == wanted.get("volumeMode", "Filesystem")
    return enough and same_mode and set(wanted["accessModes"]) <= set(spec["accessModes"])


def _size(volume: Json) -> Any:
    return parse_quantity(volume["spec"]["capacity"]["storage"])
