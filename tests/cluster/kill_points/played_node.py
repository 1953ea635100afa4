"""A Node of the real API server without machines behind it: it beats, and it gives the logs that it is handed.

Comes in: a client, the certificate of a cluster's node. Goes out: `PlayedNode`, for the time of a block. Nothing places
a Pod on it but kubelet.py.
"""

import asyncio
import os
import ssl
from asyncio import TaskGroup
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from modelfetch.controller.main import SystemClock
from modelfetch.devcluster.node.objects import NODES
from modelfetch.devcluster.node.registration import Registration
from modelfetch.devcluster.node.settings import Capacity, Settings
from modelfetch.devcluster.node.status import LOOPBACK
from modelfetch.kube.client import Kube
from tests.api_faults.serving import stop


class PlayedNode:
    """`logs` gives, by namespace and Pod, what a container has said so far."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.logs: dict[tuple[str, str], Callable[[], str]] = {}

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer the API server, which asks for /containerLogs/namespace/pod/container."""
        read = self.logs.get(tuple(request.path.split("/")[2:4]))  # type: ignore[arg-type]  # two words or no log
        return web.Response(text=read()) if read is not None else web.Response(status=404)


@asynccontextmanager
async def played_node(kube: Kube, pki: Path) -> AsyncIterator[PlayedNode]:
    """Yield a Ready node; afterwards it is no more."""
    node = PlayedNode(f"played-{os.getpid()}")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pki / "node.crt", pki / "node.key")
    server = web.Server(node.answer)
    listening = await asyncio.get_running_loop().create_server(server, LOOPBACK, 0, ssl=context)
    port = int(listening.sockets[0].getsockname()[1])
    registration = Registration(kube, _settings(node.name), port, SystemClock().now)
    await registration.register()
    async with TaskGroup() as group:
        beating = group.create_task(registration.run())
        try:
            yield node
        finally:
            beating.cancel()
            await kube.delete(NODES, None, node.name)
            listening.close()
            await stop(server)


def _settings(name: str) -> Settings:
    none = Path(os.devnull)
    return Settings(name, "", none, none, Capacity("64", "1Ti", "1000"), "", heartbeat_s=10.0, marks={})
