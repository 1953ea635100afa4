"""The proxy between one client and the API server: it numbers each request, and does with it what the plan says.

Comes in: requests over TLS, with whatever credentials the client has; a plan; a callback that kills the client. Goes
out: the same requests to the server and its answers back, but for what the plan does to them, and a log of all.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import trustme
from aiohttp import web

from modelfetch.devcluster.kubeconfig import Identity, write_kubeconfig
from modelfetch.kube.connection import Connection
from tests.api_faults.call import read_call
from tests.api_faults.endings import Over, close
from tests.api_faults.passage import Passage
from tests.api_faults.record import Log
from tests.api_faults.rules import Plan
from tests.api_faults.serving import Certificate, serving
from tests.api_faults.upstream import Upstream
from tests.api_faults.victim import Victim


def _nobody() -> None:
    raise AssertionError("the plan kills a client, and the test has not said which")


class Proxy:
    """One way to the API server; `plan` and `log` may be used from any thread."""

    def __init__(self, upstream: Connection, plan: Plan, kill: Callable[[], object] = _nobody) -> None:
        self.plan = plan
        self.log = Log()
        self.server = Upstream(upstream)
        self._victim = Victim(kill)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; where its connection ended, what is returned reaches nobody."""
        body, agent = await request.read(), request.headers.get("User-Agent", "")
        call = read_call(request.method, request.raw_path, body)
        record = self.log.arrived(call, body, agent)
        if not await self._victim.spared():
            return _end(request)
        passage = Passage(request, body, record, self.server, self._victim, self.log, self.plan.edited)
        try:
            return await passage.through(self.plan.take(call, agent))
        except (Over, aiohttp.ClientError, ConnectionError):  # one side broke off: the other one sees that, too
            return _end(request)


def _end(request: web.BaseRequest) -> web.Response:
    close(request)
    return web.Response()


@contextmanager
def proxied(proxy: Proxy, authority: trustme.CA, certificate: Certificate | None = None) -> Iterator[Connection]:
    """Yield the connection by which clients reach the API server through `proxy`, without an identity.

    `certificate` is one by `authority`, for those who will exchange it.
    """
    with serving(proxy.answer, certificate or Certificate(authority), proxy.server.connected()) as address:
        yield Connection(address, ca_pem=authority.cert_pem.bytes().decode())


def write_proxied_kubeconfig(path: Path, way: Connection, identity: Connection) -> Path:
    """Afterwards `path` is a kubeconfig that goes by `way` and speaks as `identity`, by token."""
    assert way.ca_pem is not None
    user = Identity("proxied", identity.bearer() or "", identity.namespace)
    return write_kubeconfig(path, way.server, way.ca_pem, user, "proxied")
