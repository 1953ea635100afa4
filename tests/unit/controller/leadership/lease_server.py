"""The API server as far as one Lease goes: versions, conflicts, and a network that delays, loses and cuts."""

import asyncio
import copy
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from modelfetch.kube.client import Object
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import Resource


@dataclass
class LeaseServer:
    """What is stored; `writers` are the holders in the order in which the Lease became theirs."""

    stored: Object | None = None
    writers: list[str] = field(default_factory=list)
    version: int = 0

    def find(self) -> Object:
        """Return the Lease; raises KubeError where there is none."""
        if self.stored is None:
            raise KubeError(404, "NotFound", "no such lease")
        return copy.deepcopy(self.stored)

    def create(self, body: Object) -> Object:
        """Store it, unless there is one."""
        if self.stored is not None:
            raise KubeError(409, "AlreadyExists", "there is one")
        return self._store(body)

    def replace(self, body: Object) -> Object:
        """Store it in place of exactly the version that it was made from."""
        if self.find()["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            raise KubeError(409, "Conflict", "the object has been modified")
        return self._store(body)

    def back_up(self) -> tuple[Object, int]:
        """Return what is stored now."""
        return self.find(), self.version

    def restore(self, backup: tuple[Object, int]) -> None:
        """Be as at `back_up`, with all that is numbered from there on."""
        self.stored, self.version = copy.deepcopy(backup[0]), backup[1]

    def _store(self, body: Object) -> Object:
        self.version += 1
        meta = {**body["metadata"], "resourceVersion": str(self.version)}
        self.stored = {**copy.deepcopy(body), "metadata": meta}
        holder = str(body["spec"]["holderIdentity"])
        if holder and self.writers[-1:] != [holder]:
            self.writers.append(holder)
        return copy.deepcopy(self.stored)


@dataclass
class Line:
    """One replica's way to the server: a Kube as far as Leadership needs it; `delay_s` is asked for each direction."""

    server: LeaseServer
    delay_s: Callable[[], float] = lambda: 0.01
    is_cut: bool = False
    takes_writes: bool = True
    _under_way: set["asyncio.Task[Object]"] = field(default_factory=set)

    async def find(self, _resource: Resource, _namespace: str | None, _name: str) -> Object | None:
        """Return the Lease, or None."""
        try:
            return await self._call(self.server.find)
        except KubeError as error:
            if error.is_not_found:
                return None
            raise

    async def create(self, _resource: Resource, _namespace: str | None, body: Object) -> Object:
        """Create it."""
        return await self._call(lambda: self.server.create(body))

    async def replace(self, _resource: Resource, _namespace: str | None, _name: str, body: Object) -> Object:
        """Replace it, where writes are taken."""
        if not self.takes_writes:
            raise KubeError(409, "Conflict", "somebody else was faster")
        return await self._call(lambda: self.server.replace(body))

    async def _call(self, act: Callable[[], Object]) -> Object:
        """What has been sent arrives, whether its sender still waits or not."""
        if self.is_cut:
            raise KubeError(0, "Unreachable", "the line is cut")
        task = asyncio.create_task(self._arrive(act, self.delay_s()))
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        answer = await asyncio.shield(task)
        await asyncio.sleep(self.delay_s())
        if self.is_cut:
            raise KubeError(0, "Unreachable", "the answer was lost")
        return answer

    async def _arrive(self, act: Callable[[], Object], delay_s: float) -> Object:
        await asyncio.sleep(delay_s)
        return act()

    def _ended(self, task: "asyncio.Task[Object]") -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may be left to take it


def bad_network(seed: int) -> Callable[[], float]:
    """Return delays of which most are short and some longer than anybody waits."""
    draw = random.Random(seed)
    choices: list[Any] = [(0.0, 0.02), (0.0, 0.02), (0.0, 2.0), (2.0, 14.0)]
    return lambda: draw.uniform(*draw.choice(choices))
