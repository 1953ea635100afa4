"""ModelFetches for an operator to work on, and when each was asked for.

In: a client, names. Out: objects on the API server, and times on this process's clock in seconds.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator

from benchmarks.operator.observer import Fetch
from modelfetch.api.meta import API_VERSION
from modelfetch.kube.client import Kube
from modelfetch.kube.objects import MODELFETCHES

CLIENTS = 8
"""Creations at the same time."""


def fetches(count: int, namespaces: tuple[str, ...], prefix: str) -> list[Fetch]:
    """Return that many names, spread evenly."""
    return [(namespaces[number % len(namespaces)], f"{prefix}-{number:05}") for number in range(count)]


async def create_all(kube: Kube, wanted: Iterable[Fetch]) -> dict[Fetch, float]:
    """Create them as fast as the API server takes them; return when each was sent."""
    sent: dict[Fetch, float] = {}
    left = iter(wanted)
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(_create_some(kube, left, sent))
    return sent


async def _create_some(kube: Kube, left: Iterator[Fetch], sent: dict[Fetch, float]) -> None:
    for fetch in left:
        sent[fetch] = time.monotonic()
        await create(kube, fetch)


async def create(kube: Kube, fetch: Fetch) -> None:
    """Create one."""
    namespace, name = fetch
    source = {"huggingFace": {"repo": f"acme/{name}"}}
    meta = {"namespace": namespace, "name": name}
    body = {"apiVersion": API_VERSION, "kind": MODELFETCHES.kind, "metadata": meta, "spec": {"source": source}}
    await kube.create(MODELFETCHES, namespace, body)


async def create_steadily(kube: Kube, wanted: Iterable[Fetch], every_s: float) -> dict[Fetch, float]:
    """Create one after the other at set times; return when each was sent."""
    sent: dict[Fetch, float] = {}
    began = time.monotonic()
    for number, fetch in enumerate(wanted):
        await asyncio.sleep(max(0.0, began + number * every_s - time.monotonic()))
        sent[fetch] = time.monotonic()
        await create(kube, fetch)
    return sent
