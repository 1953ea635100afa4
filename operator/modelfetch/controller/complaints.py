"""What the cluster says of a Pod or Job that does not come along: the newest of its Events.

Comes in: the bodies that observe.py looks at. Goes out: a sentence, or None. Events are read within the budget that all
looks share; what was read last stands until it can be read again.
"""

import re
from typing import Any

from modelfetch.controller.pace import Budget, Clock
from modelfetch.controller.since import Since
from modelfetch.errors import sanitise
from modelfetch.kube.client import Kube
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import CORE_EVENTS

Object = dict[str, Any]
_ABOUT_PODS = ("FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox")
STUCK_AFTER_S = 3.0
"""Seconds that a Pod may be made, or make its container, before its Events are asked why not."""


class Complaints:
    """Remembers the last complaint about each object that is stuck, and nothing about the others."""

    def __init__(self, kube: Kube, clock: Clock, budget: Budget) -> None:
        self._kube = kube
        self._stuck = Since(clock.monotonic)
        self._budget = budget
        self._last: dict[str, str] = {}

    async def about_pod(self, namespace: str, body: Object, state: Object) -> str | None:
        """Return the kubelet's words about a Pod that is bound but does not come to create its container."""
        creating = state.get("waiting", {}).get("reason") in (None, "ContainerCreating", "PodInitializing")
        pending = (body.get("status") or {}).get("phase") == "Pending"
        stuck = pending and creating and bool((body.get("spec") or {}).get("nodeName"))
        return await self._newest(namespace, body, _ABOUT_PODS, stuck=stuck)

    async def about_job(self, namespace: str, body: Object, *, stuck: bool) -> str | None:
        """Return the Job controller's words about a Job whose Pod it may not make; forgets them where not `stuck`."""
        words = await self._newest(namespace, body, ("FailedCreate",), stuck=stuck)
        # Each try has another random name, and would be news.
        return None if words is None else re.sub(rf"({body['metadata']['name']})-[a-z0-9]+", r"\1", words)

    async def _newest(self, namespace: str, body: Object, reasons: tuple[str, ...], *, stuck: bool) -> str | None:
        meta = body["metadata"]
        uid = str(meta["uid"])
        if not stuck:
            self.forget(uid)
            return None
        if self._stuck.seen_s(uid) < STUCK_AFTER_S or not self._budget.take():
            return self._last.get(uid)
        try:
            events = await self._kube.list(CORE_EVENTS, namespace, fields=f"involvedObject.uid={uid}")
        except KubeError:
            return self._last.get(uid)
        told = [event for event in events if event.get("reason") in reasons]
        if told:
            newest = max(told, key=lambda e: str(e.get("lastTimestamp") or e.get("eventTime") or ""))
            self._last[uid] = sanitise(str(newest.get("message", "")))
        return self._last.get(uid)

    def forget(self, uid: str) -> None:
        """It is not stuck, or gone."""
        self._last.pop(uid, None)
        self._stuck.forget(uid)
