"""The loop: a key from the queue is looked at, and one that could not be comes back.

watch.py and the lists put keys in; nothing else starts work. A reconcile that fails says so in the log and comes back
with a growing delay; the others go on. What a look is stands in fetches.py and stores.py.
"""

import asyncio
import logging
import traceback
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from modelfetch.api.fetch import ModelFetch
from modelfetch.api.fetch_status import ModelFetchStatus
from modelfetch.controller.apply import Applier
from modelfetch.controller.checks import Checks
from modelfetch.controller.departed import Departed
from modelfetch.controller.fetches import Fetches
from modelfetch.controller.intake import Intake
from modelfetch.controller.memory import Memory
from modelfetch.controller.metrics import Metrics
from modelfetch.controller.mirror import Key, Object, uid_of
from modelfetch.controller.namespaces import Namespaces
from modelfetch.controller.observe import Observer
from modelfetch.controller.pace import Clock
from modelfetch.controller.recorder import EventRecorder
from modelfetch.controller.since import Since
from modelfetch.controller.statuses import Statuses
from modelfetch.controller.stores import Stores
from modelfetch.controller.vigil import Vigil
from modelfetch.core.observed import Settings
from modelfetch.kube.client import Kube
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import MODELFETCHES, MODELSTORES, Resource

RESYNC_S = 600.0
"""Seconds between two full lists (design.md section 3)."""
FIRST_RESYNC_S = 15.0
"""Seconds from the start of the watches to the first of them: of what is deleted after `prime` and before Kopf's own
first list nobody tells, and a Job that is gone would be waited for. All was looked at just now: it looks at what has
changed."""
LISTING = 3.0
"""Times that the lists of `prime` took, by which it is later: Kopf's are of the same objects, beside other work."""
CONFLICT_S = 1.0
"""Seconds until a resource is looked at again that has changed under a write: not a failure, so it does not grow."""
TOO_MANY_REQUESTS = 429
PAUSE_LARGEST_S = 30.0
"""Seconds for which nothing is asked of an API server that has too much to do; one key may wait longer."""
READS_END_S = 1.0
"""For the looks under way when the operator is stopped: such as wait for a node that does not answer are given up then,
and whoever leads next comes that much sooner."""
WRITES_END_S = 4.0
"""For an answer to a write after that: until then nobody else may write. A Pod has 30 seconds in all."""

log = logging.getLogger("modelfetch.controller")


class Loop:
    """Everything between an event and an API call."""

    def __init__(
        self,
        kube: Kube,
        settings: Settings,
        clock: Clock,
        namespaces: tuple[str, ...] = (),
        metrics: Metrics | None = None,
    ) -> None:
        """`namespaces` empty means all of them."""
        self.vigil = Vigil(clock.monotonic)
        self.recorder = EventRecorder(kube, clock)
        self.namespaces = Namespaces(kube, namespaces)
        self._intake = Intake(kube, lambda: self.namespaces.open, self.vigil, self._forgotten)
        self.mirror, self.queue = self._intake.mirror, self._intake.queue
        self._kube = kube
        self._metrics = metrics or Metrics()
        self._workers: list[asyncio.Task[None] | None] = []
        self._clock = clock
        self.checks = Checks(self.mirror, clock)
        self._may_check = False
        memory = Memory(Departed(kube), self.checks, Since(clock.monotonic))
        self._observer = Observer(kube, self.mirror, memory.claims, self.checks, clock, settings.namespace_slots)
        self._applier = applier = Applier(kube, self._intake.learned, self._intake.gone, clock.monotonic)
        self._statuses = Statuses(self._intake, applier, clock, settings.progress_interval_s)
        self._fetches = Fetches(
            self._intake, self._observer, applier, self._statuses, memory, settings, self._was_written
        )
        self._stores = Stores(self._intake, self._observer, applier, self._statuses, memory, settings, clock)

    # --- what comes in ------------------------------------------------------------------------------------------

    def seen(self, resource: Resource, kind: str | None, body: Object) -> None:
        """Take in one watch event."""
        self._intake.seen(resource, kind, body)

    def _forgotten(self, resource: Resource, body: Object) -> None:
        """An object has gone: what follows from that is kept for its store, and nothing else of it."""
        self._observer.forget(resource, body, was_deleted_by_us=self._applier.has_deleted(uid_of(body)))
        self._statuses.forget(uid_of(body))
        if resource is MODELFETCHES:
            self._fetches.went(body)

    def _was_written(self, fetch: ModelFetch, status: ModelFetchStatus) -> None:
        self.recorder.tell(fetch.metadata, fetch.status, status)
        self._metrics.told(fetch.status, status)

    # --- lists --------------------------------------------------------------------------------------------------

    async def prime(self) -> None:
        """Fill the mirror from full lists before the first decision, and see what was missed while nobody looked."""
        await self.namespaces.look()
        await self._intake.list_all()
        for body in self.mirror.all(MODELFETCHES):
            self._fetches.prime(body)
        for body in self.mirror.all(MODELSTORES):
            self._stores.prime(body)
        self._intake.wake_all()

    async def begin_checks(self, asked: str) -> None:
        """Begin what the Lease has `asked` for, empty where it asks for nothing; what it asks for later may begin, too.

        That is not before all that was listed was looked at once: what Jobs of the past report is told by then, too.
        """
        await self.queue.until_done()
        self._may_check = True
        self.has_checked(asked)

    def has_checked(self, words: str) -> bool:
        """Return whether all that said Ready was looked for on its volume since `words` asked for it; else begin."""
        if words == self.checks.id:
            return self.checks.is_done
        if self._may_check:
            for store in self.checks.begin(words):
                log.info("looks for what is Ready on the volume", extra={"object": str(store)})
                self.queue.add(store)
        return False

    async def resync(self, *, everybody: bool = True) -> None:
        """List everything again, take note of what the watches missed, and look at whom it concerns, or everybody.

        Raises NamespacesChanged where there is more to watch, or less.
        """
        await self.namespaces.look_again()
        await self._intake.list_all(self.vigil.listed)
        if everybody:
            self._intake.wake_all()

    # --- work ---------------------------------------------------------------------------------------------------

    async def work(self) -> None:
        """Take keys and reconcile them, one after the other, for ever."""
        self._workers.append(asyncio.current_task())
        while True:
            key = await self.queue.get()
            try:
                await self._handle(key)
            finally:
                self.queue.done(key, self._intake.has_written)

    async def end(self) -> bool:
        """Begin nothing new, and end what has begun as far as a few seconds go: nobody who only reads is waited for.

        Returns whether no write is under way any more; one that is may still arrive.
        """
        self.queue.close()
        if not await self._is_within(READS_END_S, self.queue.until_idle()):
            self._give_up_reads()
        self.recorder.close()
        if not await self._is_within(WRITES_END_S, self._until_all_is_written()):
            self._give_up_reads()
        is_over = not self._kube.writing
        if not is_over:
            log.warning("stops with writes under way", extra={"after_s": READS_END_S + WRITES_END_S})
        return is_over

    def _give_up_reads(self) -> None:
        for worker in self._workers:
            if worker is not None and worker not in self._kube.writing:
                worker.cancel()

    async def _until_all_is_written(self) -> None:
        await self.queue.until_idle()
        await self._kube.until_written()

    async def _is_within(self, seconds: float, end: Coroutine[Any, Any, None]) -> bool:
        try:
            await asyncio.wait_for(end, seconds)
        except TimeoutError:
            return False
        return True

    async def _handle(self, key: Key) -> None:
        began, is_ok = self._clock.monotonic(), False
        try:
            await (self._fetches if key.kind == MODELFETCHES.kind else self._stores).reconcile(key)
        except KubeError as error:
            delay = self._come_back(key, error)
            log.warning(
                "the API server refused",
                extra={"object": str(key), "why": str(error), "status": error.status, "again_in_s": delay},
            )
        except Exception as error:
            delay = self.queue.failed(key)
            log.exception("a reconcile failed", extra={"object": str(key), "again_in_s": delay})
            await self._tell_of_defect(key, error)
        else:
            is_ok = True
            self.queue.succeeded(key)
        finally:
            self._metrics.reconciled(key.kind, self._clock.monotonic() - began, ok=is_ok)

    async def _tell_of_defect(self, key: Key, error: Exception) -> None:
        """Whoever waits for a fetch does not read the operator's log."""
        if key.kind != MODELFETCHES.kind:
            return
        place = traceback.extract_tb(error.__traceback__)[-1]
        words = f"the operator met {type(error).__name__} in {Path(place.filename).name}:{place.lineno}"
        try:
            await self._fetches.tell_of_defect(key, words, self._clock.now())
        except KubeError as refused:
            log.warning("its status could not tell of that", extra={"object": str(key), "why": str(refused)})
        except Exception:
            log.exception("its status could not tell of that", extra={"object": str(key)})

    def _come_back(self, key: Key, error: KubeError) -> float:
        """Have the key looked at again, and return after how many seconds."""
        if error.status == TOO_MANY_REQUESTS:
            self.queue.pause(min(error.retry_after_s or CONFLICT_S, PAUSE_LARGEST_S))
        if not error.is_conflict:
            return self.queue.failed(key, error.retry_after_s or 0.0)
        self.queue.schedule(key, CONFLICT_S)
        return CONFLICT_S


async def resync_for_ever(loop: Loop, listed_in_s: float = 0.0) -> None:
    """List everything again soon, then every RESYNC_S; a list that fails is tried again after a tenth of that.

    `listed_in_s` says how many seconds the lists at the start took.
    """
    delay_s, is_first = min(FIRST_RESYNC_S + LISTING * listed_in_s, RESYNC_S), True
    while True:
        await asyncio.sleep(delay_s)
        delay_s = RESYNC_S
        try:
            await loop.resync(everybody=not is_first)
            is_first = False
        except KubeError as error:
            delay_s = RESYNC_S / 10
            log.warning("a resync failed", extra={"why": str(error), "again_in_s": delay_s})
