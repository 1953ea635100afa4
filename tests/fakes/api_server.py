"""An API server in memory on loopback, for what must happen between two requests; the real one is in tests/cluster.

It stores what it is given, numbers versions, applies statuses as a whole, merges other patches, lists by name where the
request names one, and calls `during` before each answer.
"""

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Object = dict[str, Any]


class ApiServer:
    """Objects by URL path; `requests` are (method, path) in the order they came."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.requests: list[tuple[str, str]] = []
        self.during: Callable[[str, str], object] = lambda _method, _path: None
        self.refuse: Callable[[str, str], web.Response | None] = lambda _method, _path: None
        self.admit: Callable[[Object], Object] = lambda body: body
        """What becomes of an object that is created, as a mutating webhook would have it."""
        self.address = ""
        self._versions = itertools.count(100)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        self.requests.append((request.method, request.path))
        self.during(request.method, request.path)
        refusal = self.refuse(request.method, request.path)
        if refusal is not None:
            return refusal
        if request.method == "POST":
            return self._create(request.path, await request.json())
        if request.method == "PATCH":
            patch = self._merge if request.content_type == "application/merge-patch+json" else self._apply
            return patch(request.path.removesuffix("/status"), await request.json())
        found = self.objects.get(request.path)
        if found is None and request.path.rsplit("/", 1)[-1].endswith("s"):
            name = request.query.get("fieldSelector", "").partition("metadata.name=")[2]
            return web.json_response({"items": self._listed(request.path, name)})
        if found is None:
            return refused(404, "NotFound")
        if request.method == "DELETE":
            del self.objects[request.path]
        return web.json_response(found)

    def _listed(self, path: str, name: str) -> list[Object]:
        plural = path.rsplit("/", 1)[-1]
        return [body for at, body in self.objects.items() if at.rsplit("/", 2)[-2] == plural and at.endswith(name)]

    def _create(self, path: str, body: Object) -> web.Response:
        at = f"{path}/{body['metadata']['name']}"
        if at in self.objects:
            return refused(409, "AlreadyExists")
        version = next(self._versions)
        made = {"uid": f"uid-{version}", "resourceVersion": str(version), "creationTimestamp": "2030-01-01T00:00:00Z"}
        admitted = self.admit(body)
        self.objects[at] = {**admitted, "metadata": admitted["metadata"] | made}
        return web.json_response(self.objects[at], status=201)

    def _apply(self, path: str, body: Object) -> web.Response:
        stored = self.objects.get(path)
        if stored is None or stored["metadata"]["uid"] != body["metadata"]["uid"]:
            return refused(404, "NotFound")
        version = stored["metadata"]["resourceVersion"]
        if body["metadata"].get("resourceVersion", version) != version:
            return refused(409, "Conflict")
        meta = stored["metadata"] | {"resourceVersion": str(next(self._versions))}
        self.objects[path] = {**stored, "metadata": meta, "status": body["status"]}
        return web.json_response(self.objects[path])

    def _merge(self, path: str, body: Object) -> web.Response:
        if path not in self.objects:
            return refused(404, "NotFound")
        self.objects[path] = self.objects[path] | body
        return web.json_response(self.objects[path])


def refused(status: int, reason: str, message: str = "no") -> web.Response:
    """Return an answer as the API server refuses."""
    return web.json_response({"kind": "Status", "reason": reason, "message": message}, status=status)


@asynccontextmanager
async def api_server() -> AsyncIterator[ApiServer]:
    """Yield a server that listens; afterwards it does not."""
    server = ApiServer()
    runner = web.ServerRunner(web.Server(server.answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.address = f"http://{host}:{port}"
    try:
        yield server
    finally:
        await runner.cleanup()
