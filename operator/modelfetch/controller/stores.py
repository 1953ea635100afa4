"""One look at a ModelStore: observed, decided, acted for, and its status written; then it is known when to look again.

Comes in: a key from the queue. Goes out: API calls, and in the queue the fetches that its inventory counts by now or
whose files a check has not found. What is to be done is core/store.py's to say.
"""

import logging
import math
from datetime import timedelta

from modelfetch.controller.apply import Applier, NotDeleted, Refused
from modelfetch.controller.intake import Intake
from modelfetch.controller.memory import Memory
from modelfetch.controller.mirror import Key, Object, key_of
from modelfetch.controller.observe import Observer
from modelfetch.controller.pace import Clock
from modelfetch.controller.statuses import Statuses
from modelfetch.core.actions import Action, CreateJob
from modelfetch.core.observed import Settings
from modelfetch.core.status import dump
from modelfetch.core.store import JOB_RETRY_S, StoreDecision, decide, inventory
from modelfetch.kube.objects import MODELSTORES

log = logging.getLogger("modelfetch.controller")


class Stores:
    """The reconcile of one ModelStore, and which stores have to be surveyed."""

    def __init__(
        self,
        intake: Intake,
        observer: Observer,
        applier: Applier,
        statuses: Statuses,
        memory: Memory,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._mirror, self._queue = intake.mirror, intake.queue
        self._observer = observer
        self._applier = applier
        self._statuses = statuses
        self._inventories, self._departed, self._checks = memory.inventories, memory.departed, memory.checks
        self._settings = settings
        self._clock = clock
        self._surveys: dict[Key, str] = {}
        """By store that has to be surveyed: the Job that does it, empty before there is one."""
        self._refused: dict[Key, float] = {}
        """When a Job of a store was refused last."""

    def prime(self, body: Object) -> None:
        """Take in one from the first list: an inventory of others than there are has its volume surveyed."""
        key = key_of(MODELSTORES, body)
        recorded = self._observer.read_store(body)[0].status.inventory
        if recorded is not None and recorded != inventory(self._owners(key)):
            self._surveys[key] = ""

    async def reconcile(self, key: Key) -> None:
        """Do what is to be done now, and say what is so; raises KubeError."""
        body = self._mirror.get(key)
        if body is None:
            self._forget(key)
            return
        owners = self._owners(key)
        self._inventories.narrow(key, owners)
        gone = await self._departed.confirmed(key)
        observed = await self._observer.store(body, owners, gone, self._surveys.get(key))
        decision = decide(observed, self._settings)
        self._note(key, decision)
        are_done = [await self._act(key, action) for action in decision.actions]
        status = dump(decision.status) if decision.status is not None else None
        again_at = decision.again_at if all(are_done) else observed.now + timedelta(seconds=JOB_RETRY_S)
        self._queue.look_again(key, again_at, observed.now)
        await self._statuses.write(MODELSTORES, key, observed.store.metadata, status)
        for fetch in self._inventories.written(key, decision.counted):
            self._queue.add(fetch)

    def _owners(self, store: Key) -> frozenset[str]:
        fetches = self._mirror.fetches_of_store(store.namespace, store.name)
        return frozenset(str(body["metadata"]["uid"]) for body in fetches)

    def _forget(self, key: Key) -> None:
        self._queue.unschedule(key)
        for kept in (self._surveys, self._refused):
            kept.pop(key, None)
        self._departed.forget(key)
        self._inventories.forget(key)

    def _note(self, key: Key, decision: StoreDecision) -> None:
        """Take note of what its Jobs have told, and of what they are asked."""
        self._departed.removed(key, decision.removed)
        self._departed.found(key, decision.found)
        if decision.survey is not None:
            self._surveys[key] = decision.survey
        if decision.surveyed:
            self._surveys.pop(key, None)
        self._note_check(key, decision)

    def _note_check(self, key: Key, decision: StoreDecision) -> None:
        if decision.check is not None:
            self._checks.asks(key, decision.check, decision.asked)
        if decision.unanswered:
            log.warning("a check has failed", extra={"object": str(key), "again_in_s": self._checks.failed(key)})
        if decision.checked is not None:
            for lost in self._checks.answered(key, decision.checked, decision.missing):
                log.warning("what is Ready is not on the volume", extra={"object": str(lost), "store": key.name})
                self._queue.add(lost)

    async def _act(self, key: Key, action: Action) -> bool:
        """Return whether it is done; what was refused a moment ago is not asked for again, whatever wakes the store."""
        now_s = self._clock.monotonic()
        if isinstance(action, CreateJob) and now_s - self._refused.get(key, -math.inf) < JOB_RETRY_S:
            return False
        try:
            await self._applier.act(key.namespace, action)
        except NotDeleted:
            return False
        except Refused as refusal:
            self._refused[key] = now_s
            log.warning("a Job of the store was refused", extra={"object": str(key), "why": str(refusal)})
            return False
        return True
