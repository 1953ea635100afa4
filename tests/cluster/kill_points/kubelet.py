"""Scheduler, kubelet and container of the Pods of one namespace, played; what they write is what a node writes.

Comes in: Pods that the real Job controller makes; what becomes of each fetcher, by `Cast`. Goes out: their statuses,
logs and ends on the real API server, and models on the volumes of tests/simulation. A fetcher goes on by the same steps
as there, but not before the status has told of the one that it is at: so each run has the same statuses.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from modelfetch.api.order import FetchOrder, Order, parse
from modelfetch.controller.main import SystemClock
from modelfetch.core.job import CONTAINER, HASH_ANNOTATION
from modelfetch.devcluster.node.status import ContainerView, PodFacts, Running, State, Terminated, pod_status
from modelfetch.kube.client import Kube, Object
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import MODELFETCHES, PODS, Resource
from tests.cluster.kill_points.played_node import PlayedNode
from tests.cluster.kill_points.witness import Witness
from tests.simulation import pods
from tests.simulation.process import Exit, Plan, Process
from tests.simulation.volume import Volume

TOLD = ("Downloading", "Publishing")
"""Steps at which a fetcher waits until they are told."""
AWAITED = "waits for its Pod to start"
CLOCK = SystemClock()


class Cast:
    """What fetchers find and how they end: the same for every run of a scenario."""

    def __init__(self) -> None:
        self.commit = "0" * 40
        self.volumes: defaultdict[str, Volume] = defaultdict(Volume)
        """By claim."""
        self._held: dict[str, set[str]] = {}
        """By fetch: the attempts that do not come to the end of their download."""
        self._holds: set[str] = set()
        """Names of the fetches whose attempts are held from their start."""
        self.plans: defaultdict[str, deque[Plan]] = defaultdict(deque)
        """By fetch, for each attempt in turn; one that is not planned publishes."""
        self.published: set[str] = set()
        """Digests that were on a volume at any time."""
        self.processes: dict[str, Process] = {}
        """Those that run, by Pod uid."""
        self.problems: list[str] = []

    def hold(self, name: str) -> None:
        """Attempts of this fetch that start from now on do not come to the end of their download."""
        self._holds.add(name)

    def hold_no_more(self, name: str) -> None:
        """Attempts of this fetch that start from now on go on by themselves; those that are held stay so."""
        self._holds.discard(name)

    def release(self, name: str) -> None:
        """All attempts of this fetch go on."""
        self._holds.discard(name)
        self._held.pop(name, None)

    def is_held(self, order: FetchOrder) -> bool:
        """Return whether this attempt may not end."""
        return order.attempt in self._held.get(order.name, ())

    def start(self, pod: Object) -> Process:
        """Return the process of a Pod's container; a second writer of one fetch is a problem."""
        order = parse(pods.order_of(pod))
        plans = self.plans[order.name] if isinstance(order, FetchOrder) else deque()
        volume = self.volumes[pods.claim_of(pod)]
        plan = plans.popleft() if plans else Plan(step_s=0.0)
        process = Process(order, pod["metadata"]["annotations"][HASH_ANNOTATION], self.commit, volume, plan)
        if isinstance(order, FetchOrder):
            running = [p.order for p in self.processes.values() if isinstance(p.order, FetchOrder)]
            if rivals := [other.attempt for other in running if other.owner == order.owner]:
                self.problems.append(f"I5: {order.attempt} of '{order.name}' writes beside {rivals}")
            if order.name in self._holds:
                self._held.setdefault(order.name, set()).add(order.attempt)
        self.processes[pod["metadata"]["uid"]] = process
        return process

    def end(self, uid: str) -> None:
        """The process of a Pod has ended."""
        process = self.processes.pop(uid)
        if process.artifact is not None:
            self.published.add(process.artifact.digest)


class Kubelet:
    """Takes care of every Pod that it hears of; `spawn` runs a coroutine beside the others."""

    def __init__(
        self,
        kube: Kube,
        node: PlayedNode,
        witness: Witness,
        cast: Cast,
        spawn: Callable[[Coroutine[Any, Any, None]], Any],
    ) -> None:
        self._kube, self._node, self._witness, self._cast, self._spawn = kube, node, witness, cast, spawn
        self._known: set[str] = set()

    def see(self, resource: Resource, body: Object) -> None:
        """Take in what is written about a Pod."""
        uid = body["metadata"]["uid"]
        if resource is PODS and uid not in self._known:
            self._known.add(uid)
            self._spawn(self._live(body))

    async def _live(self, pod: Object) -> None:
        """Take one Pod from its placement to its end; one that is deleted meanwhile is let go."""
        try:
            order = parse(pods.order_of(pod))
            await self._witness.until(lambda: self._is_ending(pod) or self._is_awaited(order), "a Pod that is awaited")
            await self._bind(pod)
            await self._witness.until(lambda: self._is_ending(pod) or self._is_placed(order), "its place being told")
            if not self._is_ending(pod):
                await self._work(pod)
            await self._witness.until(lambda: self._is_ending(pod), "the end of a Pod", within_s=600.0)
            meta = pod["metadata"]
            await self._kube.delete(PODS, meta["namespace"], meta["name"], uid=meta["uid"], grace_s=0)
        except KubeError as error:
            if not (error.is_not_found or error.is_conflict):
                raise

    async def _bind(self, pod: Object) -> None:
        meta, target = pod["metadata"], {"apiVersion": "v1", "kind": "Node", "name": self._node.name}
        about = {"name": meta["name"], "uid": meta["uid"]}
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": about, "target": target}
        await self._kube.create_at(PODS, meta["namespace"], meta["name"], "binding", body)

    async def _work(self, pod: Object) -> None:
        meta, started = pod["metadata"], CLOCK.now()
        process = self._cast.start(pod)
        try:
            if isinstance(process.order, FetchOrder):
                process.go_on(CLOCK)  # it has resolved what it was told, and downloads
            self._node.logs[meta["namespace"], meta["name"]] = lambda: process.log(CLOCK)
            await self._say(pod, Running(started), started)
            ended = await self._run(pod, process)
        finally:
            self._cast.end(meta["uid"])
        self._witness.news()
        await self._say(pod, _terminated(ended, started), started)

    async def _run(self, pod: Object, process: Process) -> Exit:
        """Return how it ended: as planned, or because its Pod is to end."""
        ended = None
        while ended is None:
            await self._witness.until(lambda: self._is_ending(pod) or self._is_told(process), "the next step")
            ended = process.stop(CLOCK) if self._is_ending(pod) else process.go_on(CLOCK)
        return ended

    def _is_ending(self, pod: Object) -> bool:
        found = self._witness.find(PODS, pod["metadata"]["name"])
        return (
            found is None
            or found["metadata"]["uid"] != pod["metadata"]["uid"]
            or "deletionTimestamp" in found["metadata"]
        )

    def _is_awaited(self, order: Order) -> bool:
        """Return whether the status says that the Pod is waited for, or that nobody has to wait."""
        if not isinstance(order, FetchOrder):
            return True
        status = self._status_about(order)
        ready: Object = next((c for c in status.get("conditions") or () if c["type"] == "Ready"), {})
        return bool(status) and (status["phase"] != "Pending" or ready.get("message") == AWAITED)

    def _is_placed(self, order: Order) -> bool:
        """Return whether the status says on which node the attempt is."""
        return not isinstance(order, FetchOrder) or "node" in self._status_about(order).get("attempt", {})

    def _is_told(self, process: Process) -> bool:
        """Return whether a process may take its next step: that it is at this one is told, or never will be."""
        order, step = process.order, process.step
        if not isinstance(order, FetchOrder) or step not in TOLD:
            return True
        is_held = step == "Downloading" and self._cast.is_held(order)
        return not is_held and self._status_about(order).get("phase") in (step, "Ready")

    def _status_about(self, order: FetchOrder) -> Object:
        """Return the status of a fetch while it tells of this attempt, else nothing."""
        status = (self._witness.find(MODELFETCHES, order.name) or {}).get("status") or {}
        return dict(status) if (status.get("attempt") or {}).get("jobName") == order.attempt else {}

    async def _say(self, pod: Object, state: State, started: datetime) -> None:
        meta, image = pod["metadata"], pod["spec"]["containers"][0]["image"]
        facts = PodFacts([ContainerView(CONTAINER, image, state, container_id=f"played://{meta['uid']}")], started)
        known = self._witness.find(PODS, meta["name"]) or pod
        body = {"status": pod_status(known, facts, CLOCK.now())}
        await self._kube.merge(PODS, meta["namespace"], meta["name"], body, subresource="status")


def _terminated(ended: Exit, started: datetime) -> Terminated:
    return Terminated(ended.code, ended.reason, message=ended.message, started_at=started, finished_at=CLOCK.now())
