"""The life of the Pods on this node: one `PodWorker` each, from binding to the object's end.

In: Pods from the informer. Out: processes, status, and the last DELETE that a kubelet owes. Neighbours: volumes.py and
container.py do the parts, kubelet_api.py asks here for logs. A node adopts no process: what it finds Running at its
start died with its predecessor and is reported as Failed.
"""

import asyncio
import logging
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from modelfetch.devcluster.node.container import Container, PodContext
from modelfetch.devcluster.node.events import Events
from modelfetch.devcluster.node.objects import CONFIG_MAPS, SECRETS, is_deleted, is_terminal, key, uid
from modelfetch.devcluster.node.pod_report import PodReport
from modelfetch.devcluster.node.process import Host
from modelfetch.devcluster.node.references import Facts, Sources
from modelfetch.devcluster.node.settings import Clock, Settings
from modelfetch.devcluster.node.status import PodFacts, Verdict, pod_status
from modelfetch.devcluster.node.stop import Stop
from modelfetch.devcluster.node.volumes import KINDS, MountFailed, VolumeMaker
from modelfetch.kube.client import Kube, Object
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import PODS

_RETRY_S, _LONGEST_RETRY_S = 1.0, 10.0
_LAST_WORDS_S = 5.0
"""How long a stopping node tries to write the last status of its Pods; an API server that lives answers sooner."""
_log = logging.getLogger(__name__)

RESTARTED = Verdict("NodeRestarted", "the process node was started again, and the Pod's processes ended before")
SHUTDOWN = Verdict("Terminated", "Pod was terminated in response to imminent node shutdown.")
TOO_LATE = Verdict("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")


@dataclass(frozen=True)
class Node:
    """What every Pod needs of the node it is on."""

    kube: Kube
    settings: Settings
    host: Host
    events: Events
    clock: Clock


@dataclass(frozen=True)
class KubeReader:
    """Reads Secrets and ConfigMaps by name."""

    kube: Kube

    async def secret(self, namespace: str, name: str) -> Object | None:
        """Return the Secret, None where it does not exist."""
        return await self.kube.find(SECRETS, namespace, name)

    async def config_map(self, namespace: str, name: str) -> Object | None:
        """Return the ConfigMap, None where it does not exist."""
        return await self.kube.find(CONFIG_MAPS, namespace, name)


def unsupported(pod: Object) -> Verdict | None:
    """Return why this node cannot run such a Pod, None when it can."""
    spec = pod["spec"]
    found = [name for name in ("initContainers", "ephemeralContainers") if spec.get(name)]
    for container in spec["containers"]:
        parts = ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "volumeDevices")
        found += [f"containers[{container['name']}].{part}" for part in parts if container.get(part)]
    for volume in spec.get("volumes") or []:
        found += [f"volumes[{volume['name']}].{kind}" for kind in volume if kind != "name" and kind not in KINDS]
    if not found:
        return None
    return Verdict("UnexpectedAdmissionError", f"this process node does not support {', '.join(found)}")


class PodWorker:
    """Lives as long as the Pod object does."""

    def __init__(self, node: Node, pod: Object) -> None:
        self._node, self.pod = node, pod
        self._stop, self._dismissed, self.has_no_process = Stop(), asyncio.Event(), asyncio.Event()
        self.is_gone, self._final = False, False
        self._verdict: Verdict | None = None
        self._started_at = _start_time(pod) or node.clock()
        self._folder = node.settings.pods_dir / uid(pod)
        self._report = PodReport(node.kube, pod, self._status)
        self._sources = Sources(KubeReader(node.kube), key(pod)[0])
        context = PodContext(
            pod=lambda: self.pod,
            folder=self._folder,
            settings=node.settings,
            sources=self._sources,
            host=node.host,
            events=node.events,
            clock=node.clock,
            changed=self._report.changed,
        )
        self.containers = {entry["name"]: Container(entry["name"], context) for entry in pod["spec"]["containers"]}

    def update(self, pod: Object) -> None:
        """Take in a newer state of the object; a deletion mark asks for the end within its grace."""
        self.pod = pod
        if is_deleted(pod):
            self._stop.request(float(pod["metadata"].get("deletionGracePeriodSeconds") or 0))
            self._dismissed.set()

    def vanish(self) -> None:
        """The object is gone: end everything at once."""
        self.is_gone = True
        self._stop.request(0)
        self._dismissed.set()

    def shut_down(self, *, at_once: bool) -> None:
        """The node stops: end the Pod within its own grace, or at once."""
        grace = float(self.pod["spec"].get("terminationGracePeriodSeconds", 30))
        self._stop.request(0 if at_once else grace, SHUTDOWN)
        self._dismissed.set()

    async def run(self) -> None:
        """Return when the Pod has ended, nobody wants it, and the API server knows; logs stay until `clean_up`."""
        writer = asyncio.create_task(self._report.run())
        try:
            if not is_terminal(self.pod):
                await self._live()
            self.has_no_process.set()
            await self._dismissed.wait()
            if is_deleted(self.pod) and not self.is_gone:
                await self._delete()
        finally:
            writer.cancel()

    def clean_up(self) -> None:
        """Afterwards nothing of the Pod is on the disk."""
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _live(self) -> None:
        self._verdict = RESTARTED if _was_started(self.pod) else unsupported(self.pod)
        if self._verdict is None:
            self._report.changed()
            self._verdict = await self._run_containers()
        for container in self.containers.values():
            container.give_up()
        self._final = True
        self.has_no_process.set()
        shutil.rmtree(self._folder / "volumes", ignore_errors=True)
        self._report.changed()
        await self._report.settled()

    async def _run_containers(self) -> Verdict | None:
        alarm = self._alarm()
        try:
            await self._volumes_and_containers()
        except Exception:  # noqa: BLE001 - a bug must not take the other Pods with it, nor leave this one unexplained
            _log.exception("pod %s/%s cannot be run", *key(self.pod))
            return Verdict("NodeError", "the process node failed at running the Pod; its log says why")
        finally:
            if alarm is not None:
                alarm.cancel()
        return self._stop.verdict

    async def _volumes_and_containers(self) -> None:
        volumes = await self._volumes()
        if volumes is None:
            return
        async with asyncio.TaskGroup() as group:
            for container in self.containers.values():
                group.create_task(container.run(volumes, self._stop))

    def _alarm(self) -> asyncio.TimerHandle | None:
        limit = self.pod["spec"].get("activeDeadlineSeconds")
        if limit is None:
            return None
        left = limit - (self._node.clock() - self._started_at).total_seconds()
        grace = float(self.pod["spec"].get("terminationGracePeriodSeconds", 30))
        return asyncio.get_running_loop().call_later(max(left, 0), self._stop.request, grace, TOO_LATE)

    async def _volumes(self) -> dict[str, Path] | None:
        """Return the volumes' real paths, None when the end is asked for first."""
        facts = Facts(self.pod, self._node.settings.capacity)
        maker = VolumeMaker(self._node.kube, self._sources, facts, self._folder / "volumes")
        delay = _RETRY_S
        while not self._stop.is_requested():
            try:
                return await maker.make_all()
            except MountFailed as problem:
                await self._node.events.warn(self.pod, "FailedMount", str(problem), action="Mounting")
            except (KubeError, OSError) as error:
                _log.info("volumes of %s/%s are tried again: %s", *key(self.pod), error)
            await self._stop.pause(delay)
            delay = min(delay * 1.5, _LONGEST_RETRY_S)
        return None

    def _status(self, before: Object) -> Object:
        views = [container.view for container in self.containers.values()]
        facts = PodFacts(views, self._started_at, final=self._final, verdict=self._verdict)
        return pod_status(before, facts, self._node.clock())

    async def _delete(self) -> None:
        namespace, name = key(self.pod)
        while not self.is_gone:
            try:
                await self._node.kube.delete(PODS, namespace, name, uid=uid(self.pod), grace_s=0)
            except KubeError as error:
                _log.info("deletion of %s/%s is tried again: %s", namespace, name, error)
                await asyncio.sleep(_RETRY_S)
            else:
                return


class Pods:
    """All Pods on this node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._workers: dict[str, PodWorker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def observe(self, pod: Object, exists: bool) -> None:
        """Take in a change; an informer's callback."""
        worker = self._workers.get(uid(pod))
        if not exists:
            if worker is not None:
                worker.vanish()
                self._sweep(uid(pod))
            return
        if pod["spec"].get("nodeName") != self._node.settings.name:
            return
        if worker is None:
            worker = self._start(pod)
        worker.update(pod)

    def find(self, namespace: str, name: str) -> PodWorker | None:
        """Return the Pod of that name, the newest where two uids had it."""
        found = [worker for worker in self._workers.values() if key(worker.pod) == (namespace, name)]
        return found[-1] if found else None

    def objects(self) -> list[Object]:
        """Return the Pods as the API server last gave them."""
        return [worker.pod for worker in self._workers.values()]

    async def shut_down(self, hurry: asyncio.Event) -> None:
        """Afterwards no process of any Pod lives; their last status is written if the API server takes it soon."""
        for worker in self._workers.values():
            worker.shut_down(at_once=hurry.is_set())
        hurried = asyncio.create_task(self._when_hurried(hurry))
        for worker in list(self._workers.values()):
            await worker.has_no_process.wait()
        hurried.cancel()
        if self._tasks:
            _, late = await asyncio.wait(list(self._tasks.values()), timeout=_LAST_WORDS_S)
            for task in late:
                task.cancel()

    async def _when_hurried(self, hurry: asyncio.Event) -> None:
        await hurry.wait()
        for worker in self._workers.values():
            worker.shut_down(at_once=True)

    def _start(self, pod: Object) -> PodWorker:
        worker = self._workers[uid(pod)] = PodWorker(self._node, pod)
        task = self._tasks[uid(pod)] = asyncio.create_task(worker.run(), name=f"pod-{uid(pod)}")
        task.add_done_callback(lambda _: self._sweep(uid(pod)))
        return worker

    def _sweep(self, pod_uid: str) -> None:
        """Forget a Pod once its worker has ended and its object is gone."""
        worker, task = self._workers.get(pod_uid), self._tasks.get(pod_uid)
        if worker is None or task is None:
            return  # the news of the object's end came between the worker's end and its callback
        if worker.is_gone and task.done():
            worker.clean_up()
            del self._workers[pod_uid], self._tasks[pod_uid]


def _start_time(pod: Object) -> datetime | None:
    text = pod.get("status", {}).get("startTime")
    return datetime.fromisoformat(text) if text else None


def _was_started(pod: Object) -> bool:
    """True when an earlier run of this node had begun with the Pod's containers."""
    status = pod.get("status", {})
    begun = any(entry.get("containerID") for entry in status.get("containerStatuses") or [])
    return begun or status.get("phase") == "Running"
