"""Everything else in the cluster: the Job controller, the garbage collector, two nodes with their kubelets, the claims.

Only facts that the operator is given are here. `sync` brings the objects one look closer to what these controllers
want; `hinder` and `heal` take away what Pods need and bring it back.
"""

from collections.abc import Callable
from typing import Any

from modelfetch.api.order import FetchOrder, parse
from modelfetch.core.job import HASH_ANNOTATION
from modelfetch.kube.client import Object
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import CLAIMS, JOBS, MODELFETCHES, MODELSTORES, PODS, Resource
from tests.simulation import pods
from tests.simulation.process import Exit, Plan, Process
from tests.simulation.server import FOREGROUND, Server
from tests.simulation.virtual_loop import VirtualLoop
from tests.simulation.volume import Volume

NODES = ("node-1", "node-2")
SECRET = "hf-token"
TRACKING = "batch.kubernetes.io/job-tracking"
COLLECTION_S = 0.5
"""Seconds until the garbage collector has seen that an owner is gone."""
HINDRANCES = ("secret", "image", "room", "job-quota", "pod-quota")
"""What may be missing: the Secret, the image, a node with room, leave to make Jobs, leave to make Pods."""


class Cluster:
    """The controllers' state that is in no object: what runs where."""

    def __init__(self, server: Server, loop: VirtualLoop, plan: Callable[[], Plan]) -> None:
        self.missing: set[str] = set()
        self.silent_nodes: set[str] = set()
        self.processes: dict[str, Process] = {}
        """By Pod uid, whether the Pod is still there or not."""
        self.volumes: dict[str, Volume] = {}
        """By claim name: a claim that was away has the same volume again."""
        self.hindered: set[str] = set()
        """Uids of Jobs whose Pods have waited for something, or are on a node that does not answer."""
        self.zombies: set[str] = set()
        """Owners whose processes have outlived their Pods."""
        self.commit = "0" * 40
        self.started: list[Callable[[Process], None]] = []
        """Told of each process that starts."""
        self._node_of: dict[str, str] = {}
        self._untold: dict[str, Exit] = {}
        self._complaints: dict[str, Object] = {}
        self._server = server
        self._clock = server.clock
        self._loop = loop
        self._plan = plan
        self._synced = -1
        self._is_collecting = False

    # What the operator asks beside objects

    def admit(self, job: Object) -> None:
        """Raise KubeError (403) where admission refuses the Job."""
        if "job-quota" in self.missing:
            raise KubeError(403, "Forbidden", "exceeded quota: jobs, requested: count/jobs.batch=1")

    def complaints(self, uid: str) -> list[Object]:
        """Return the events about an object."""
        return [self._complaints[uid]] if uid in self._complaints else []

    def log_of(self, pod: str) -> str:
        """Return the last line of a Pod's log; raises KubeError where its node does not answer."""
        body = self._server.get(PODS, pod)
        process = self.processes.get(body["metadata"]["uid"])
        if process is None or body["spec"].get("nodeName") in self.silent_nodes:
            raise KubeError(500, "InternalError", "the node does not answer")
        return process.log(self._clock)

    def volume(self, claim: str) -> Volume | None:
        """Return what is on a claim's volume, None where there is no claim or it has lost its volume."""
        body = self._server.find(CLAIMS, claim)
        if body is None or body["status"]["phase"] == "Lost":
            return None
        return self.volumes.setdefault(body["spec"]["volumeName"], Volume())

    # One look of each controller

    def sync(self) -> None:
        """Do what there is to do now, until nothing is."""
        while self._synced != self._server.version:
            self._synced = self._server.version
            if self._orphans() and not self._is_collecting:
                self._is_collecting = True
                self._loop.call_later(COLLECTION_S, self._collect)
            for job in self._server.all(JOBS):
                self._sync_job(job)
            for pod in self._server.all(PODS):
                self._sync_pod(pod)

    def look_again(self) -> None:
        """Something changed that is in no object."""
        self._synced = -1

    def _orphans(self) -> list[tuple[Resource, Object]]:
        kinds = (MODELFETCHES, MODELSTORES, JOBS)
        living = {body["metadata"]["uid"] for kind in kinds for body in self._server.all(kind)}
        owned = [(resource, body) for resource in (JOBS, PODS) for body in self._server.all(resource)]
        return [
            (resource, body)
            for resource, body in owned
            if pods.owner_of(body) not in living and "deletionTimestamp" not in body["metadata"]
        ]

    def _collect(self) -> None:
        self._is_collecting = False
        for resource, body in self._orphans():
            self._server.delete(resource, body["metadata"]["name"])

    def _sync_job(self, job: Object) -> None:
        own = [pod for pod in self._server.all(PODS) if pods.owner_of(pod) == job["metadata"]["uid"]]
        if "deletionTimestamp" in job["metadata"]:
            self._end_job(job, own)
            return
        status = pods.job_status(job, own, self._clock)
        if own or pods.makes_no_more(status):
            self._server.update(JOBS, job, status=status)
        elif "pod-quota" in self.missing:
            self._complain(job, "FailedCreate", "Error creating: pods is forbidden: exceeded quota")
        else:
            self._server.create(PODS, pods.pod_of(job, TRACKING))
        for pod in own:
            if pods.has_ended(pod):
                self._server.let_go(PODS, pod, TRACKING)

    def _end_job(self, job: Object, own: list[Object]) -> None:
        for pod in own:
            if "deletionTimestamp" not in pod["metadata"]:
                self._server.delete(PODS, pod["metadata"]["name"])
        if not own:
            self._server.let_go(JOBS, job, FOREGROUND)

    def _sync_pod(self, pod: Object) -> None:
        pod = self._server.find(PODS, pod["metadata"]["name"]) or pod
        meta, node = pod["metadata"], pod["spec"].get("nodeName")
        if node in self.silent_nodes:
            return
        if "deletionTimestamp" in meta:
            self._end_pod(pod)
        elif node is None:
            self._schedule(pod)
        elif pod["status"]["phase"] == "Pending":
            self._start(pod)

    def _end_pod(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        process = self.processes.get(uid)
        if process is not None:
            if not process.is_stopping:
                process.is_stopping = True
                self._loop.call_later(process.plan.stop_s, self._stop, uid)
        elif not pods.has_ended(pod):
            self._set(pod, phase="Failed")
        elif not self._has_job(pod) or TRACKING not in (pod["metadata"].get("finalizers") or ()):
            self._server.remove(PODS, pod)

    def _has_job(self, pod: Object) -> bool:
        jobs = {job["metadata"]["uid"] for job in self._server.all(JOBS) if "deletionTimestamp" not in job["metadata"]}
        return pods.owner_of(pod) in jobs

    def _schedule(self, pod: Object) -> None:
        claim = pods.claim_of(pod)
        if self.volume(claim) is None:
            self._wait(pod, conditions=pods.unschedulable(f'persistentvolumeclaim "{claim}" not found'))
        elif "room" in self.missing or len(self.silent_nodes) == len(NODES):
            self._wait(pod, conditions=pods.unschedulable("0/2 nodes are available: 2 Insufficient memory"))
        else:
            free = [node for node in NODES if node not in self.silent_nodes]
            node = free[int(pod["metadata"]["uid"].rpartition("-")[2]) % len(free)]
            bound = {**pod, "spec": {**pod["spec"], "nodeName": node}}
            self._set(bound, conditions=[{"type": "PodScheduled", "status": "True"}])

    def _start(self, pod: Object) -> None:
        uid, volume = pod["metadata"]["uid"], self.volume(pods.claim_of(pod))
        if volume is None:
            self._complain(pod, "FailedMount", "the volume is not there")
        elif pods.needs_secret(pod) and "secret" in self.missing:
            self._complain(pod, "FailedMount", f'MountVolume.SetUp failed: secret "{SECRET}" not found')
        elif "image" in self.missing:
            self._wait(pod, containerStatuses=pods.waiting("ImagePullBackOff", "Back-off pulling image"))
        else:
            self._complaints.pop(uid, None)
            spec_hash = pod["metadata"]["annotations"][HASH_ANNOTATION]
            process = Process(parse(pods.order_of(pod)), spec_hash, self.commit, volume, self._plan())
            self.processes[uid], self._node_of[uid] = process, pod["spec"]["nodeName"]
            for told in self.started:
                told(process)
            self._set(pod, phase="Running", containerStatuses=pods.running())
            self._loop.call_later(process.plan.step_s, self._go_on, uid)

    def _go_on(self, uid: str) -> None:
        process = self.processes.get(uid)
        if process is not None and uid not in self._untold:
            ended = process.stop(self._clock) if self._is_superseded(uid, process) else process.go_on(self._clock)
            self._tell(uid, process, ended)

    def _is_superseded(self, uid: str, process: Process) -> bool:
        """Whether its name is another fetch's by now, while no Pod tells of it: one of a node that was given up."""
        order = process.order
        if not isinstance(order, FetchOrder) or self.pod(uid) is not None:
            return False
        body = self._server.find(MODELFETCHES, order.name)
        return body is not None and body["metadata"]["uid"] != order.owner

    def _stop(self, uid: str) -> None:
        process = self.processes.get(uid)
        if process is not None and uid not in self._untold:
            self._tell(uid, process, process.stop(self._clock))

    def _tell(self, uid: str, process: Process, ended: Exit | None) -> None:
        """The kubelet learns that a process has ended, at once or when its node answers again."""
        pod = self.pod(uid)
        if ended is None:
            self._loop.call_later(process.plan.step_s, self._go_on, uid)
        elif pod is None:
            del self.processes[uid]
        elif self._node_of[uid] in self.silent_nodes:
            self._untold[uid] = ended
        else:
            self.exited(pod, ended)

    def exited(self, pod: Object, how: Exit, **status: Any) -> None:
        """The kubelet tells how the container of a Pod ended."""
        self.processes.pop(pod["metadata"]["uid"], None)
        phase = "Succeeded" if how.code == 0 else "Failed"
        self._set(pod, phase=phase, containerStatuses=pods.terminated(how, self._clock), **status)

    # What people and machines do

    def pod(self, uid: str) -> Object | None:
        """Return a Pod by its uid."""
        return next((pod for pod in self._server.all(PODS) if pod["metadata"]["uid"] == uid), None)

    def silence(self, node: str) -> None:
        """A node does not answer any more; what runs there goes on."""
        self.silent_nodes.add(node)
        on_it = [pod for pod in self._server.all(PODS) if pod["spec"].get("nodeName") == node]
        self.hindered |= {pods.owner_of(pod) for pod in on_it}

    def give_up_node(self, node: str) -> None:
        """A node does not answer and is taken out of the cluster: its Pods are failed, their processes may go on."""
        self.silence(node)
        self.zombies |= {_holder(p) for uid, p in self.processes.items() if self._node_of[uid] == node}
        for pod in self._server.all(PODS):
            if pod["spec"].get("nodeName") == node and not pods.has_ended(pod):
                self._set(pod, phase="Failed", conditions=pods.disrupted("DeletionByPodGC"))
                self._server.delete(PODS, pod["metadata"]["name"], grace_s=0)
        for pod in self._server.all(PODS):
            if pod["spec"].get("nodeName") == node and "deletionTimestamp" in pod["metadata"]:
                self._lost(pod)

    def _lost(self, pod: Object) -> None:
        for job in self._server.all(JOBS):
            if pods.owner_of(pod) == job["metadata"]["uid"]:
                self._sync_job(job)
        self._server.remove(PODS, pod)

    def node_is_back(self, node: str) -> None:
        """The kubelet answers again and ends what has no Pod any more."""
        self.silent_nodes.discard(node)
        for uid in [uid for uid in self._untold if self._node_of[uid] == node]:
            ended, pod = self._untold.pop(uid), self.pod(uid)
            if pod is not None:
                self.exited(pod, ended)
        for uid in [uid for uid, where in self._node_of.items() if where == node and self.pod(uid) is None]:
            self.processes.pop(uid, None)
        self.look_again()

    def expire(self, job: Object) -> None:
        """The deadline of a Job is over: its Pods end, then it fails for that."""
        self._server.update(JOBS, job, status={**job["status"], "conditions": [pods.OVERDUE]})
        for pod in self._server.all(PODS):
            if pods.owner_of(pod) == job["metadata"]["uid"] and "deletionTimestamp" not in pod["metadata"]:
                self._server.delete(PODS, pod["metadata"]["name"])

    def _set(self, pod: Object, **status: Any) -> None:
        stored = self._server.find(PODS, pod["metadata"]["name"])
        if stored is not None:
            parts = {"status": {**stored["status"], **status}}
            if stored["spec"] != pod["spec"]:
                parts["spec"] = pod["spec"]
            self._server.update(PODS, stored, **parts)

    def _wait(self, pod: Object, **status: Any) -> None:
        self.hindered.add(pods.owner_of(pod))
        self._set(pod, **status)

    def _complain(self, body: Object, reason: str, message: str) -> None:
        self.hindered |= {body["metadata"]["uid"], pods.owner_of(body)}
        self._complaints[body["metadata"]["uid"]] = {"reason": reason, "message": message, "lastTimestamp": "0"}


def _holder(process: Process) -> str:
    return process.order.owner if isinstance(process.order, FetchOrder) else ""
