"""A loopback server that answers an API client from a script, one answer for each request."""

import contextlib
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

from aiohttp import web

from modelfetch.kube.client import Kube
from modelfetch.kube.connection import Connection

Answer = tuple[int, Any]
"""A status with its JSON body; a list as body is a watch: one line for each event, then the end."""


class Script:
    """Gives the answers in turn, the last one for ever; keeps what was asked as (method, path with query, body)."""

    def __init__(self, answers: Iterable[Answer]) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, str, Any]] = []

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request."""
        body = await request.read()
        self.asked.append((request.method, request.path_qs, json.loads(body) if body else None))
        status, answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        lines = answer if isinstance(answer, list) else [answer]
        return web.Response(status=status, text="".join(json.dumps(line) + "\n" for line in lines))


@contextlib.asynccontextmanager
async def scripted(*answers: Answer) -> AsyncIterator[tuple[Kube, Script]]:
    """Yield a client of a server that gives these answers."""
    script, application = Script(answers), web.Application()
    application.router.add_route("*", "/{path:.*}", script.answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with Kube(Connection(f"http://127.0.0.1:{runner.addresses[0][1]}")) as kube:
            yield kube, script
    finally:
        await runner.cleanup()
