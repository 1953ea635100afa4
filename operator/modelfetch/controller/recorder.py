"""Events about ModelFetches, as `kubectl describe` shows them at its end.

Comes in: each status that was written, with the one before. Goes out: an Event of core/v1, once; a repeat raises its
count. An Event is news, not state: it is posted beside the reconciles, and one that is refused is dropped.
"""

import asyncio
import logging
import socket

from modelfetch.api.fetch_status import ModelFetchStatus
from modelfetch.api.meta import ObjectMeta
from modelfetch.controller.pace import Clock
from modelfetch.core.events import events, manifest
from modelfetch.kube.client import Kube, Object
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import CORE_EVENTS

EVERY_S = 0.05
"""Seconds from one Event to the next, at least: of many fetches at once, their Jobs and statuses matter more."""
WAITING_LIMIT = 1000
"""Events that wait to be posted; what is over that is dropped."""

log = logging.getLogger("modelfetch.controller")


class EventRecorder:
    """Tells at once, posts in its own time."""

    def __init__(self, kube: Kube, clock: Clock) -> None:
        self._kube = kube
        self._clock = clock
        self._instance = socket.gethostname()
        self._waiting: asyncio.Queue[Object] = asyncio.Queue(WAITING_LIMIT)
        self._trouble = ""
        self._is_closed = False

    def tell(self, meta: ObjectMeta, before: ModelFetchStatus, after: ModelFetchStatus) -> None:
        """Put what there is to tell of this step in line; returns at once, whatever becomes of it."""
        for event in events(before, after):
            body = manifest(event, meta, self._clock.now(), self._instance)
            try:
                self._waiting.put_nowait(body)
            except asyncio.QueueFull:
                self._drop(body, "too many wait")

    def __len__(self) -> int:
        """Number of Events in line."""
        return self._waiting.qsize()

    def close(self) -> None:
        """Begin no other post; what is in line is not told."""
        self._is_closed = True

    async def post_for_ever(self) -> None:
        """Post what is in line, one after the other, until it is closed."""
        while not self._is_closed:
            await self.post_next()
            await asyncio.sleep(EVERY_S)

    async def post_next(self) -> None:
        """Post the first in line, for which it waits; afterwards it is out of it, posted or not."""
        body = await self._waiting.get()
        if self._is_closed:
            return
        try:
            await self._post(body)
        except KubeError as error:
            self._drop(body, f"{error.status} {error.reason}")
        except Exception:
            log.exception("an Event was not told", extra=_about(body))
        else:
            self._trouble = "" if self._waiting.empty() else self._trouble

    async def _post(self, body: Object) -> None:
        try:
            await self._kube.create(CORE_EVENTS, body["metadata"]["namespace"], body)
        except KubeError as error:
            if not error.already_exists:
                raise
            await self._repeat(body)

    async def _repeat(self, body: Object) -> None:
        """Count once more what was told before, perhaps by another operator: the count is the API server's to say."""
        name, namespace = body["metadata"]["name"], body["metadata"]["namespace"]
        news = {key: body[key] for key in ("message", "lastTimestamp", "reportingInstance")}
        for known in await self._kube.list(CORE_EVENTS, namespace, fields=f"metadata.name={name}"):
            await self._kube.merge(CORE_EVENTS, namespace, name, news | {"count": (known.get("count") or 1) + 1})

    def _drop(self, body: Object, why: str) -> None:
        """Say so in the log, but of many that are dropped for one reason only the first."""
        if why != self._trouble:
            log.warning("an Event was not told", extra=_about(body) | {"why": why})
        self._trouble = why


def _about(body: Object) -> dict[str, str]:
    about = body["involvedObject"]
    return {"object": f"{about['kind']} {about['namespace']}/{about['name']}", "reason": body["reason"]}
