"""The kubelet's HTTPS API as far as the API server needs it: container logs, the list of Pods, health.

In: requests of the API server (`kubectl logs`). Out: what pods.py and container_log.py hold. Every path but /healthz
asks access.py first. exec, attach and port-forward do not exist on this node.
"""

import json
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

from aiohttp import web

from modelfetch.devcluster.node.access import Access, certificate_caller
from modelfetch.devcluster.node.container import Container
from modelfetch.devcluster.node.container_log import LogQuery
from modelfetch.devcluster.node.pods import Pods
from modelfetch.devcluster.node.settings import Clock
from modelfetch.devcluster.node.status import LOOPBACK, Waiting
from modelfetch.kube.client import Kube
from modelfetch.kube.errors import KubeError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_GOODBYE_S = 1.0
"""How long a stopping node waits for readers that follow a log."""


class KubeletApi:
    """Serves on a loopback port of its own."""

    def __init__(self, pods: Pods, access: Access, clock: Clock) -> None:
        self._pods, self._access, self._clock = pods, access, clock
        application = web.Application(middlewares=[self._authorise])
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/pods", self._list_pods)
        application.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)
        application.router.add_route("*", "/{verb:exec|attach|portForward|run}/{rest:.*}", self._absent)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=_GOODBYE_S)

    async def start(self, port: int, context: ssl.SSLContext) -> int:
        """Return the port that it listens on; raises OSError where a given one is taken."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, LOOPBACK, port, ssl_context=context)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Afterwards nothing listens."""
        await self._runner.cleanup()

    @web.middleware
    async def _authorise(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == "/healthz":
            return await handler(request)
        try:
            refusal = await self._refusal(request)
        except KubeError as error:
            return web.Response(status=503, text=f"the API server cannot be asked: {error.message}")
        return refusal or await handler(request)

    async def _refusal(self, request: web.Request) -> web.Response | None:
        transport = request.transport
        caller = certificate_caller(transport.get_extra_info("peercert") if transport is not None else None)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if caller is None and scheme == "Bearer":
            caller = await self._access.token_caller(token)
        if caller is None:
            return web.Response(status=401, text="Unauthorized")
        if not await self._access.may_read(caller):
            return web.Response(status=403, text=f"Forbidden (user={caller.user}, verb=get, resource=nodes/proxy)")
        return None

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _list_pods(self, _request: web.Request) -> web.Response:
        body = {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": self._pods.objects()}
        return web.Response(body=json.dumps(body), content_type="application/json")

    async def _absent(self, request: web.Request) -> web.Response:
        return web.Response(status=501, text=f"this process node has no {request.match_info['verb']}")

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        namespace, pod, name = (request.match_info[part] for part in ("namespace", "pod", "container"))
        worker = self._pods.find(namespace, pod)
        if worker is None:
            return web.Response(status=404, text=f'pod "{pod}" does not exist\n')
        container = worker.containers.get(name)
        if container is None:
            return web.Response(status=404, text=f'container "{name}" not found in pod "{pod}"\n')
        try:
            query = log_query(request.query, self._clock())
        except ValueError as error:
            return web.Response(status=400, text=f"{error}\n")
        return await self._stream(request, container, query)

    async def _stream(self, request: web.Request, container: Container, query: LogQuery) -> web.StreamResponse:
        previous = request.query.get("previous") == "true"
        name, pod = container.view.name, request.match_info["pod"]
        log = container.log(previous=previous)
        if log is None:
            return web.Response(status=400, text=_why_no_log(container, pod, name, previous=previous))
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        async for piece in log.read(query):
            await response.write(piece)
        await response.write_eof()
        return response


def _why_no_log(container: Container, pod: str, name: str, *, previous: bool) -> str:
    if previous:
        return f'previous terminated container "{name}" in pod "{pod}" not found\n'
    state = container.view.state
    if isinstance(state, Waiting):
        return f'container "{name}" in pod "{pod}" is waiting to start: {state.reason}\n'
    return f'container "{name}" in pod "{pod}" has no log: it did not start\n'


def log_query(query: Mapping[str, str], now: datetime) -> LogQuery:
    """Return what the parameters of /containerLogs ask for; raises ValueError."""
    since = datetime.fromisoformat(query["sinceTime"]) if "sinceTime" in query else None
    if "sinceSeconds" in query:
        since = now - timedelta(seconds=int(query["sinceSeconds"]))
    return LogQuery(
        follow=query.get("follow") == "true",
        tail=int(query["tailLines"]) if "tailLines" in query else None,
        limit_bytes=int(query["limitBytes"]) if "limitBytes" in query else None,
        since=since,
        timestamps=query.get("timestamps") == "true",
    )


def access_for(kube: Kube, node: str) -> Access:
    """Return the door keeper with this machine's clock."""
    return Access(kube, node, time.monotonic)
