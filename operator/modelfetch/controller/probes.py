"""What a kubelet and Prometheus ask the operator: /livez, /readyz, /metrics.

Comes in: questions as functions, from main.py. Goes out: an HTTP server. Readiness knows nothing of leadership: a
replica that waits is as ready as the one that leads, else a rollout would wait for ever.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from aiohttp import web


@dataclass(frozen=True)
class Answers:
    """`problem` says why the process should be started again, None while it works; `metrics` is Prometheus' text."""

    problem: Callable[[], str | None]
    is_ready: Callable[[], bool]
    metrics: Callable[[], bytes]


class Probes:
    """The server while the context is held; with port 0 there is none."""

    def __init__(self, port: int, answers: Answers) -> None:
        self._port = port
        self._answers = answers
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        """Listen on every address; raises OSError where the port is taken."""
        if not self._port:
            return self
        app = web.Application()
        app.add_routes(
            [
                web.get("/livez", self._livez),
                web.get("/healthz", self._livez),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, port=self._port).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the server."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _livez(self, _request: web.Request) -> web.Response:
        problem = self._answers.problem()
        return web.Response(text="ok\n") if problem is None else web.Response(status=503, text=f"{problem}\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        if self._answers.is_ready():
            return web.Response(text="ok\n")
        return web.Response(status=503, text="the API server has not answered yet\n")

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._answers.metrics(), content_type="text/plain", charset="utf-8")
