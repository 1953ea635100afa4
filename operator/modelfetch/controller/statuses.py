"""The writes of statuses: those that say something new at once, those that only count on at the set interval.

Comes in: the status that a decision found, and the version that was looked at. Goes out: a write, or a time at which
there may be one.
"""

from typing import Any

from modelfetch.controller.apply import Applier
from modelfetch.controller.intake import Intake
from modelfetch.controller.mirror import Key
from modelfetch.controller.pace import Clock
from modelfetch.core.status import differs_in_substance
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import Resource


class Statuses:
    """When each object's status was written last, and the next write."""

    def __init__(self, intake: Intake, applier: Applier, clock: Clock, interval_s: float) -> None:
        self._intake = intake
        self._applier = applier
        self._clock = clock
        self._interval_s = interval_s
        self._written: dict[str, float] = {}

    async def write(self, resource: Resource, key: Key, meta: Any, status: dict[str, Any] | None) -> bool:
        """Write the status where it differs, where only counters do not before the interval is over; True if so.

        Raises KubeError; after a conflict the mirror has what the API server says.
        """
        body = self._intake.mirror.get(key)
        if status is None or body is None or body["metadata"]["uid"] != meta.uid:
            return False
        old = body.get("status") or {}
        if old == status:
            return False
        now_s = self._clock.monotonic()
        due_s = self._written.get(meta.uid, -self._interval_s) + self._interval_s - now_s
        if due_s > 0 and not differs_in_substance(old, status):
            self._intake.queue.schedule_sooner(key, due_s)
            return False
        self._written[meta.uid] = now_s
        try:
            await self._applier.status(resource, meta, status)
        except KubeError as error:
            if error.is_conflict or error.is_not_found:
                await self._intake.ask(resource, key)
            if error.is_not_found and not self._intake.mirror.is_there(key, meta.uid):
                return False
            raise
        return True

    def forget(self, uid: str) -> None:
        """The object has gone."""
        self._written.pop(uid, None)
