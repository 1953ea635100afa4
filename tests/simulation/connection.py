"""The operator's connection: each request waits until the world carries it out, and may fail at either end.

A request that is pending has not reached the server. `commit` carries it out there; `answer` brings the result back.
Between the two, and before them, everything else may happen: other requests, events, the end of the operator.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Any, TypeVar

from modelfetch.kube.client import Kube, Object
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import CORE_EVENTS, JOBS, MODELFETCHES, MODELSTORES, Resource
from tests.simulation.cluster import Cluster
from tests.simulation.server import Server

T = TypeVar("T")
WRITES = ("create", "apply", "delete")
LOST = KubeError(0, "Unreachable", "no answer")


class Request:
    """One call of the API server, on its way."""

    def __init__(self, verb: str, about: str, act: Callable[[], Any], waiting: "asyncio.Future[Any]") -> None:
        self.verb = verb
        self.about = about
        self._act = act
        self.waiting = waiting
        self._result: Any = None
        self.is_committed = False

    @property
    def is_over(self) -> bool:
        """True when nobody waits for the answer any more."""
        return self.waiting.done()

    def commit(self) -> None:
        """The server carries it out, or refuses."""
        if self.is_committed:
            return
        self.is_committed = True
        try:
            self._result = self._act()
        except KubeError as error:
            self._result = error

    def answer(self, instead: KubeError | None = None) -> None:
        """The caller gets what the server said, or another error in its place."""
        result = self._result if instead is None else instead
        if self.waiting.done():
            return
        if isinstance(result, KubeError):
            self.waiting.set_exception(KubeError(result.status, result.reason, result.message, result.retry_after_s))
        else:
            self.waiting.set_result(result)


class Connection(Kube):
    """`Kube` in front of the server in memory."""

    def __init__(self, server: Server, cluster: Cluster) -> None:
        self._server = server
        self._cluster = cluster
        self.pending: list[Request] = []

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        """Return an object."""
        return await self._ask("get", name, lambda: self._server.get(resource, name))

    async def parts(
        self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> AsyncGenerator[list[Object], None]:
        """Yield all objects, as of one moment, in two parts, or the one of a name; of events those about one object."""
        wanted = fields.partition("=")[2]
        if resource is CORE_EVENTS:
            yield await self._ask("list", fields, lambda: self._cluster.complaints(wanted))
            return

        def found() -> Iterable[Object]:
            return (body for body in self._server.all(resource) if wanted in ("", body["metadata"]["name"]))

        listed = await self._ask("list", wanted or resource.plural, lambda: [*found()])
        yield listed[::2]
        if not wanted:
            yield await self._ask("list", f"more {resource.plural}", lambda: listed[1::2])

    async def create(self, resource: Resource, namespace: str | None, body: Object, *, dry_run: bool = False) -> Object:
        """Create an object, if the cluster lets it in."""
        return await self._ask("create", body["metadata"]["name"], lambda: self._create(resource, body))

    async def apply(
        self, resource: Resource, namespace: str | None, name: str, body: Object, *, manager: str, subresource: str = ""
    ) -> Object:
        """Apply a status as a whole; other objects are outside of this world."""
        assert subresource == "status"
        assert resource in (MODELFETCHES, MODELSTORES)
        return await self._ask("apply", name, lambda: self._server.apply_status(resource, name, body))

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        propagation: str = "Background",
        grace_s: int | None = None,
    ) -> Object | None:
        """Delete an object."""
        try:
            answer = await self._ask("delete", name, lambda: self._server.delete(resource, name, uid, propagation))
        except KubeError as error:
            if error.is_not_found or error.is_conflict:
                return None
            raise
        return dict(answer)

    async def log_tail(
        self, resource: Resource, namespace: str, pod: str, container: str, *, lines: int, limit_bytes: int
    ) -> str:
        """Return the last line of a Pod's log."""
        return str(await self._ask("log", pod, lambda: self._cluster.log_of(pod)))

    def _create(self, resource: Resource, body: Object) -> Object:
        if resource is JOBS:
            self._cluster.admit(body)
        return self._server.create(resource, body)

    async def _ask(self, verb: str, about: str, act: Callable[[], T]) -> T:
        request = Request(verb, about, act, asyncio.get_running_loop().create_future())
        self.pending.append(request)
        answer: T = await request.waiting
        return answer
