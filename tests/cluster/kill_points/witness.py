"""Every version of the objects of a namespace as they are written, and what is the case now.

Comes in: a client, a namespace. Goes out: `Witness`: bodies by kind and name, whole histories by uid, and a wait for
whatever can be said about them. Belongs to one event loop.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable

from modelfetch.kube.client import Kube, Object
from modelfetch.kube.objects import JOBS, MODELFETCHES, MODELSTORES, PODS, Resource

KINDS = (MODELFETCHES, MODELSTORES, JOBS, PODS)
WITHIN_S = 60.0
Told = Callable[[Resource, Object], None]


class Witness:
    """Knows what the watches have told."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self.histories: defaultdict[str, dict[str, list[Object]]] = defaultdict(dict)
        """By kind and uid, in the order in which they were written; the last one is also that of the deletion."""
        self.told: list[Told] = []
        self._kube = kube
        self._namespace = namespace
        self._objects: defaultdict[str, dict[str, Object]] = defaultdict(dict)
        self._news = asyncio.Event()

    async def watch(self, resource: Resource) -> None:
        """Take in everything of a kind, until cancelled."""
        async for kind, body in self._kube.watch(resource, self._namespace):
            if kind != "BOOKMARK":
                self._take(resource, kind, body)
        raise EOFError(f"the watch of {resource.plural} is over")

    def _take(self, resource: Resource, kind: str, body: Object) -> None:
        meta = body["metadata"]
        self.histories[resource.kind].setdefault(meta["uid"], []).append(body)
        if kind == "DELETED":
            self._objects[resource.kind].pop(meta["name"], None)
        else:
            self._objects[resource.kind][meta["name"]] = body
        for tell in self.told:
            tell(resource, body)
        self.news()

    def news(self) -> None:
        """Whoever waits looks again."""
        self._news.set()
        self._news = asyncio.Event()

    def find(self, resource: Resource, name: str) -> Object | None:
        """Return the object of that name, None where there is none."""
        return self._objects[resource.kind].get(name)

    def all(self, resource: Resource) -> list[Object]:
        """Return all objects of a kind, by name."""
        return [body for _, body in sorted(self._objects[resource.kind].items())]

    async def until(self, holds: Callable[[], object], what: str, within_s: float = WITHIN_S) -> None:
        """Return once `holds`; raises AssertionError that names `what` after so many seconds."""
        try:
            async with asyncio.timeout(within_s):
                while not holds():
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"not within {within_s:g} s: {what}: {self._known()}") from None

    def _known(self) -> dict[str, dict[str, Object]]:
        """Return what there is: the metadata of what ends, the status of everything."""
        return {
            kind: {
                name: {"ends": "deletionTimestamp" in body["metadata"], **(body.get("status") or {})}
                for name, body in bodies.items()
            }
            for kind, bodies in self._objects.items()
        }
