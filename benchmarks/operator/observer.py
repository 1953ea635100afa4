"""What an operator does, as any client of the API server sees it: when a Job came, when and how often a status.

In: watches of its own on Jobs and ModelFetches. Out: times on this process's clock, in seconds, by fetch.
"""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from modelfetch.kube.client import Kube, Object
from modelfetch.kube.connection import Connection
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import JOBS, MODELFETCHES, Resource

Fetch = tuple[str, str]
"""Namespace and name."""
_POLL_S = 0.02


class Observer:
    """Takes note of the first Job of each fetch, of its phase, and of every status."""

    def __init__(self) -> None:
        self.job_at: dict[Fetch, float] = {}
        self.told_at: dict[Fetch, float] = {}
        """When its first phase was seen."""
        self.phase: dict[Fetch, str] = {}
        self.statuses: defaultdict[Fetch, list[float]] = defaultdict(list)
        self._last: dict[Fetch, Object] = {}

    def saw_job(self, body: Object) -> None:
        """Take in a version of a Job."""
        meta = body["metadata"]
        for owner in meta.get("ownerReferences") or ():
            if owner["kind"] == MODELFETCHES.kind:
                self.job_at.setdefault((meta["namespace"], owner["name"]), time.monotonic())

    def saw_fetch(self, body: Object) -> None:
        """Take in a version of a ModelFetch."""
        fetch, status = (body["metadata"]["namespace"], body["metadata"]["name"]), body.get("status") or {}
        if self._last.get(fetch, {}) == status:
            return
        self._last[fetch] = status
        self.statuses[fetch].append(time.monotonic())
        if "phase" in status:
            self.told_at.setdefault(fetch, time.monotonic())
            self.phase[fetch] = status["phase"]

    def in_phase(self, phase: str) -> int:
        """Return how many are in a phase."""
        return sum(known == phase for known in self.phase.values())


@contextlib.asynccontextmanager
async def observing(connection: Connection) -> AsyncIterator[Observer]:
    """Yield an observer whose watches are open for the time of the block."""
    observer = Observer()
    async with Kube(connection) as kube:
        jobs = follow(kube, JOBS, lambda _, body: observer.saw_job(body))
        async with beside(jobs, follow(kube, MODELFETCHES, lambda _, body: observer.saw_fetch(body))):
            yield observer


@contextlib.asynccontextmanager
async def beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Have `work` done for the time of the block; raises what one of it died of."""
    tasks = list(map(asyncio.create_task, work))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended


async def follow(kube: Kube, resource: Resource, take: Callable[[str, Object], object], labels: str = "") -> None:
    """Hand every object and every later change of it to `take`, for ever; a watch that ends is opened again."""
    since = ""
    while True:
        with contextlib.suppress(KubeError, TimeoutError):
            async for kind, body in kube.watch(resource, labels=labels, since=since):
                since = body["metadata"]["resourceVersion"]
                if kind != "BOOKMARK":
                    take(kind, body)


async def until(holds: Callable[[], bool], what: str, within_s: float, every_s: float = _POLL_S) -> float:
    """Return the time at which `holds`, asked every `every_s` seconds; raises RuntimeError after `within_s` seconds."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {within_s:g} s: {what}")
        await asyncio.sleep(every_s)
    return time.monotonic()
