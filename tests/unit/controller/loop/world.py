"""A loop before an API server in memory, whose keys a test works on one look at a time."""

import asyncio
import copy
import json
from datetime import UTC, datetime

from modelfetch.controller.loop import Loop
from modelfetch.controller.mirror import Key
from modelfetch.core.observed import Settings
from modelfetch.kube.client import Kube
from modelfetch.kube.connection import Connection
from modelfetch.kube.objects import MODELFETCHES, MODELSTORES
from tests import gen
from tests.fakes.api_server import api_server

NAMESPACE = "default"
FETCHES = f"/apis/modelfetch.io/v1alpha1/namespaces/{NAMESPACE}/modelfetches"
STORES = f"/apis/modelfetch.io/v1alpha1/namespaces/{NAMESPACE}/modelstores"
CLAIM = f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims/models"
BATCH = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
DEFAULT = Key(MODELSTORES.kind, NAMESPACE, "default")
"""The store of every world."""


class StandingClock:
    """A clock that stands."""

    def now(self):
        """Return one moment, always."""
        return datetime(2030, 1, 1, tzinfo=UTC)

    def monotonic(self):
        """Return no time passed."""
        return 0.0


class LeapingClock(StandingClock):
    """A clock by which nothing that was read is fresh any more when it is asked for again."""

    def __init__(self):
        self._now_s = 0.0

    def monotonic(self):
        """Return a minute more each time."""
        self._now_s += 60.0
        return self._now_s


def stored(body, version, *, generation=1, **status):
    """Return an object as the server has stored it."""
    name = body["metadata"]["name"]
    meta = {"uid": f"uid-{name}", "resourceVersion": str(version), "generation": generation}
    return {**body, "metadata": body["metadata"] | meta, "status": status}


async def drain(loop):
    """Return what waits to be looked at, and look at none of it."""
    keys = []
    while len(loop.queue):
        key = await loop.queue.get()
        loop.queue.done(key)
        keys.append(f"{key.kind}/{key.name}")
    return sorted(keys)


class World:
    """A loop before an API server with a claim and the store `default`; keys are worked on by `look`."""

    def __init__(self, server, kube, **settings):
        self.server = server
        self.loop = Loop(kube, Settings(image="x", **settings), LeapingClock())
        server.objects[CLAIM] = {"metadata": {"name": "models"}, "status": {"phase": "Bound"}}

    def add(self, resource, body):
        """Store an object and tell the loop of it."""
        path = STORES if resource is MODELSTORES else FETCHES
        self.server.objects[f"{path}/{body['metadata']['name']}"] = body
        self.loop.seen(resource, "ADDED", copy.deepcopy(body))

    def edit(self, name, **spec):
        """Change a ModelFetch and tell the loop of it."""
        path = f"{FETCHES}/{name}"
        edited = copy.deepcopy(self.server.objects[path])
        edited["spec"] |= spec
        meta = edited["metadata"]
        meta |= {"resourceVersion": str(int(meta["resourceVersion"]) + 900), "generation": meta["generation"] + 1}
        self.server.objects[path] = edited
        self.loop.seen(MODELFETCHES, "MODIFIED", copy.deepcopy(edited))

    def delete(self, name):
        """Delete a ModelFetch and tell the loop of it."""
        body = self.server.objects.pop(f"{FETCHES}/{name}")
        self.loop.seen(MODELFETCHES, "DELETED", body)

    async def look(self):
        """Work on every key that is ready."""
        worker = asyncio.create_task(self.loop.work())
        while len(self.loop.queue) or self.loop.queue._in_work:
            await asyncio.sleep(0)
        worker.cancel()

    def phase(self, name):
        """Return the phase that stands in the status."""
        return self.server.objects[f"{FETCHES}/{name}"]["status"].get("phase")

    def due_s(self, kind, name):
        """Return in how many seconds an object is looked at by itself, None where it is not."""
        timer = self.loop.queue._timers.get(Key(kind.kind, NAMESPACE, name))
        return timer and timer.when() - asyncio.get_running_loop().time()

    def removed(self):
        """Return the uids of the fetches whose files the only removal takes off the volume."""
        (order,) = self.made("remove")
        return [target["owner"] for target in order["targets"]]

    def made(self, task):
        """Return the orders of the Jobs of a kind."""
        jobs = [body for path, body in self.server.objects.items() if path.startswith(BATCH)]
        chosen = [job for job in jobs if job["metadata"]["labels"]["modelfetch.io/task"] == task]
        return [json.loads(job["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"]) for job in chosen]


def in_world(scenario, settings=None, **store):
    """Return the world after `scenario`, whose store has these fields in its spec."""

    async def run():
        async with api_server() as server, Kube(Connection(server.address)) as kube:
            world = World(server, kube, **(settings or {}))
            world.add(MODELSTORES, stored(gen.store(**store), 1))
            await world.look()
            try:
                await scenario(world)
            finally:
                world.loop.queue.close()
            return world

    return asyncio.run(run())
