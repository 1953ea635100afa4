"""One operator process: the real loop of controller/, its connection, and the watches that bring it events, or do not.

It remembers nothing: `kill` drops it at whatever it waits for, and the next one starts from lists.
"""

import asyncio
from collections import deque

from modelfetch.controller.loop import Loop, resync_for_ever
from modelfetch.core.observed import Settings
from modelfetch.kube.client import Object
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import JOBS, MODELFETCHES, MODELSTORES, PODS, Resource
from tests.simulation.cluster import Cluster
from tests.simulation.connection import Connection
from tests.simulation.server import Server
from tests.simulation.virtual_loop import VirtualClock

SETTINGS = Settings(image="example.com/modelfetch:1")
WATCHED = (MODELSTORES, MODELFETCHES, JOBS, PODS)
WORKERS = 4
START_RETRY_S = 5.0


class Operator:
    """Lists, watches and works, from now on until it is killed."""

    def __init__(self, server: Server, cluster: Cluster, clock: VirtualClock, lease_asks: str = "") -> None:
        """`lease_asks` is with what words its Lease asks to look for what is Ready."""
        self._lease_asks = lease_asks
        self.connection = Connection(server, cluster)
        self.stalled: set[str] = set()
        """Kinds whose watch brings nothing at the moment."""
        self.fates: dict[str, deque[str]] = {r.kind: deque() for r in WATCHED}
        """What happens to the next events of each kind: `lost` or `repeated`."""
        self._server = server
        self._events: dict[str, deque[tuple[Resource, str | None, Object]]] = {r.kind: deque() for r in WATCHED}
        self._loop = Loop(self.connection, SETTINGS, clock)
        self._is_primed = False
        self._tasks = [asyncio.create_task(self._run())]
        server.watchers.append(self._watch)

    async def _run(self) -> None:
        while not self._is_primed:
            try:
                await self._loop.prime()
                self._is_primed = True
            except KubeError:
                await asyncio.sleep(START_RETRY_S)
        self._tasks += [asyncio.create_task(self._loop.work()) for _ in range(WORKERS)]
        self._tasks.append(asyncio.create_task(self._loop.begin_checks(self._lease_asks)))
        await resync_for_ever(self._loop)

    @property
    def has_checked(self) -> bool:
        """Whether it has looked for all that was Ready; it is asked now and then, as by its Lease."""
        return self._loop.has_checked(self._lease_asks)

    def kill(self) -> None:
        """End it where it is; what it has sent and the server has not seen is lost."""
        self._server.watchers.remove(self._watch)
        for task in self._tasks:
            task.cancel()
        self._loop.queue.close()

    # Watches

    def _watch(self, resource: Resource, kind: str, body: Object) -> None:
        if resource.kind not in self._events:
            return
        fates = self.fates[resource.kind]
        times = {"lost": 0, "repeated": 2}[fates.popleft()] if fates else 1
        self._events[resource.kind] += [(resource, kind, body)] * times

    def deliver(self) -> bool:
        """Hand over the events of the watches that work; returns whether there were any."""
        if not self._is_primed:
            return False
        came = False
        for kind, events in self._events.items():
            while events and kind not in self.stalled:
                self._loop.seen(*events.popleft())
                came = True
        return came

    def reconnect(self, resource: Resource) -> None:
        """A watch is cut and comes back: whatever was on its way is lost, and what exists is listed."""
        self.stalled.discard(resource.kind)
        events = self._events[resource.kind]
        events.clear()
        events.extend((resource, None, body) for body in self._server.all(resource))

    # Tasks

    def failure(self) -> BaseException | None:
        """Return what one of its tasks died of."""
        ended = (task for task in self._tasks if task.done() and not task.cancelled())
        return next((error for task in ended if (error := task.exception()) is not None), None)
