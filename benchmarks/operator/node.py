"""A node without containers: Pods whose fetch runs for a set time, tells of its progress and has published.

In: the Jobs that an operator makes. Out: what the Job controller and a kubelet would write, and the log that the API
server asks a kubelet for. The real ones run in tests/e2e; thousands of real Pods would take all cores here.
"""

import asyncio
import contextlib
import hashlib
import ssl
import time
from collections.abc import AsyncIterator, Coroutine
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from benchmarks.operator.bed import Bed
from benchmarks.operator.observer import beside, follow
from modelfetch.core.job import CONTAINER, MANAGED_SELECTOR, NAME_ANNOTATION
from modelfetch.devcluster.node.objects import NODES
from modelfetch.kube.client import Kube, Object
from modelfetch.kube.objects import JOBS, PODS
from modelfetch.report import Artifact, Progress, Report, Resolved

NAME = "bench-node"
WRITERS = 8
"""Pods that are worked on at once."""
_TOTAL = 64 << 30
_SPEED = 100 << 20


class Node:
    """Runs each Job's Pod for `runs_s` seconds; None: for ever."""

    def __init__(self, kube: Kube, runs_s: float | None) -> None:
        self._kube, self._runs_s = kube, runs_s
        self._known: set[str] = set()
        self._work: asyncio.Queue[Coroutine[Any, Any, None]] = asyncio.Queue()
        self._began = time.monotonic()
        self.running = 0
        """Pods that were started."""

    def saw(self, kind: str, job: Object) -> None:
        """Take in an event of a Job: its Pod is made once."""
        uid = job["metadata"]["uid"]
        if kind != "DELETED" and uid not in self._known and NAME_ANNOTATION in job["metadata"]["annotations"]:
            self._known.add(uid)
            self._work.put_nowait(self._start(job))

    async def work(self) -> None:
        """Do what is due, for ever."""
        while True:
            await (await self._work.get())

    async def _start(self, job: Object) -> None:
        pod = await self._kube.create(PODS, job["metadata"]["namespace"], pod_of(job))
        running = {"running": {"startedAt": _now()}}
        await self._say(pod, "Running", running)
        self.running += 1
        if self._runs_s is not None:
            finish = self._finish(job, pod)
            asyncio.get_running_loop().call_later(self._runs_s, self._work.put_nowait, finish)

    async def _finish(self, job: Object, pod: Object) -> None:
        message = published(job).line()
        ended = {"exitCode": 0, "reason": "Completed", "message": message, "startedAt": _now(), "finishedAt": _now()}
        await self._say(pod, "Succeeded", {"terminated": ended})
        meta = job["metadata"]
        await self._kube.merge(JOBS, meta["namespace"], meta["name"], {"status": completed(meta)}, "status")

    async def _say(self, pod: Object, phase: str, state: Object) -> None:
        container = {"name": CONTAINER, "state": state, "ready": phase == "Running", "restartCount": 0}
        container |= {"image": "bench", "imageID": "bench"}
        body = {"status": {"phase": phase, "containerStatuses": [container]}}
        await self._kube.merge(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"], body, "status")

    async def log(self, _request: web.Request) -> web.Response:
        """Answer as a kubelet: the last line of a fetcher that is always a little further."""
        return web.Response(text=progress(int(_SPEED * (time.monotonic() - self._began))).line() + "\n")


@contextlib.asynccontextmanager
async def node(bed: Bed, runs_s: float | None) -> AsyncIterator[Node]:
    """Yield a node that runs for the time of the block."""
    async with Kube(bed.connection) as kube:
        made = Node(kube, runs_s)
        async with _serving(made, bed) as port:
            await _register(kube, port)
            jobs = follow(kube, JOBS, made.saw, MANAGED_SELECTOR)
            async with beside(jobs, *(made.work() for _ in range(WRITERS))):
                yield made


@contextlib.asynccontextmanager
async def _serving(made: Node, bed: Bed) -> AsyncIterator[int]:
    application = web.Application()
    application.router.add_get("/containerLogs/{namespace}/{pod}/{container}", made.log)
    runner = web.AppRunner(application, access_log=None)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    pki = bed.state.folder / "pki"
    context.load_cert_chain(pki / "node.crt", pki / "node.key")
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def _register(kube: Kube, port: int) -> None:
    """Afterwards the API server knows where the logs of this node's Pods are."""
    await kube.apply(NODES, None, NAME, {"metadata": {"name": NAME}}, manager=NAME)
    addresses = [{"type": "InternalIP", "address": "127.0.0.1"}]
    status = {"addresses": addresses, "daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}
    await kube.apply(
        NODES, None, NAME, {"metadata": {"name": NAME}, "status": status}, manager=NAME, subresource="status"
    )


def pod_of(job: Object) -> Object:
    """Return the Pod that the Job controller would make, on this node already."""
    meta, template = job["metadata"], job["spec"]["template"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": meta["name"], "uid": meta["uid"], "controller": True}
    about = {"name": f"{meta['name']}-x", "ownerReferences": [owner]}
    about |= {key: template["metadata"][key] for key in ("labels", "annotations")}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": template["spec"] | {"nodeName": NAME}}


def completed(meta: Object) -> Object:
    """Return the status that the Job controller would write in the end."""
    now = _now()
    conditions = [
        {
            "type": kind,
            "status": "True",
            "reason": "CompletionsReached",
            "lastTransitionTime": now,
            "lastProbeTime": now,
        }
        for kind in ("SuccessCriteriaMet", "Complete")
    ]
    times = {"startTime": meta["creationTimestamp"], "completionTime": now}
    return {**times, "succeeded": 1, "ready": 0, "terminating": 0, "conditions": conditions}


def published(job: Object) -> Report:
    """Return the last report of a fetcher: this Job's own model is there."""
    meta = job["metadata"]
    name = meta["annotations"][NAME_ANNOTATION]
    digest = hashlib.sha256(meta["uid"].encode()).hexdigest()
    tree = f"models/{meta['namespace']}/{name}/{digest[:12]}"
    artifact = Artifact(digest=f"sha256:{digest}", path=tree, commit=digest[:40], files=12, bytes=_TOTAL)
    told = progress(_TOTAL).model_dump(exclude={"event", "step"})
    return Report(event="result", step="Publishing", **(told | {"ok": True, "artifact": artifact}))


def progress(done: int) -> Report:
    """Return a report of a download that is at `done` bytes."""
    counters = Progress(
        bytes_total=_TOTAL,
        bytes_done=min(done, _TOTAL),
        files_total=12,
        files_done=min(12 * done // _TOTAL, 12),
        current_file="model-00003-of-00012.safetensors",
        bytes_per_second=_SPEED,
        eta_seconds=max(0, (_TOTAL - done) // _SPEED),
    )
    resolved = Resolved(revision="main", commit="9" * 40, total_bytes=_TOTAL, file_count=12, license="apache-2.0")
    now = datetime.now(UTC)
    return Report(event="progress", at=now, step="Downloading", resolved=resolved, progress=counters)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
