"""The current objects of one kind: list, then watch, for ever.

Out: `items` by uid, and one call per change, so that an object that was deleted and made again under its name is two
objects. A broken watch is listed again; what vanished meanwhile is reported as gone.
"""

import asyncio
import logging
from collections.abc import Callable

import aiohttp

from modelfetch.devcluster.node.objects import uid
from modelfetch.kube.client import Kube, Object
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import Resource

OnChange = Callable[[Object, bool], None]
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.2, 5.0
_log = logging.getLogger(__name__)


class Informer:
    """Keeps `items`; calls `on_change(object, exists)` after each change, in order, from the event loop."""

    def __init__(self, kube: Kube, resource: Resource, on_change: OnChange) -> None:
        self._kube, self._resource, self._on_change = kube, resource, on_change
        self._delay_s = _FIRST_DELAY_S
        self.items: dict[str, Object] = {}
        self.synced = asyncio.Event()

    async def run(self) -> None:
        """Follow the kind until cancelled; failures of the API server are waited out."""
        while True:
            try:
                await self._follow(await self._list())
            except (KubeError, aiohttp.ClientError, TimeoutError, ValueError) as error:
                _log.info("watch of %s starts again in %.1f s: %s", self._resource.plural, self._delay_s, error)
                await asyncio.sleep(self._delay_s)
                self._delay_s = min(self._delay_s * 2, _LONGEST_DELAY_S)

    async def _list(self) -> str:
        body = await self._kube.raw(self._resource.path())
        found = {uid(item): item for item in body.get("items") or []}
        for gone in [item for known, item in self.items.items() if known not in found]:
            self._forget(gone)
        for item in found.values():
            self._keep(item)
        self.synced.set()
        self._delay_s = _FIRST_DELAY_S
        return str(body["metadata"]["resourceVersion"])

    async def _follow(self, version: str) -> None:
        while True:
            async for kind, item in self._kube.watch(self._resource, since=version):
                version = item["metadata"]["resourceVersion"]
                if kind == "DELETED":
                    self._forget(item)
                elif kind != "BOOKMARK":
                    self._keep(item)
            # A server that is going down ends each watch at once, without an error.
            await asyncio.sleep(_FIRST_DELAY_S)

    def _keep(self, item: Object) -> None:
        before = self.items.get(uid(item))
        self.items[uid(item)] = item
        if before is None or before["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
            self._on_change(item, True)

    def _forget(self, item: Object) -> None:
        self.items.pop(uid(item), None)
        self._on_change(item, False)
