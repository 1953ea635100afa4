"""The loop: a key from the queue is observed, decided and applied; then it is known when to look again.

watch.py and the lists put keys in; nothing else starts work. A reconcile that fails says so in the log and comes back
with a growing delay; the others go on.
"""

import asyncio
import logging
import math
from dataclasses import replace
from datetime import datetime
from typing import Any

from modelfetch.api.store import ModelStore
from modelfetch.controller.apply import Applier, Refused
from modelfetch.controller.checks import Checks
from modelfetch.controller.claims import Claims
from modelfetch.controller.departed import Departed
from modelfetch.controller.intake import STORE_DEBOUNCE_S, Intake
from modelfetch.controller.inventory import Inventories
from modelfetch.controller.metrics import Metrics
from modelfetch.controller.mirror import Key, Object, key_of, store_of, uid_of
from modelfetch.controller.observe import Observer
from modelfetch.controller.pace import Clock
from modelfetch.controller.recorder import EventRecorder
from modelfetch.controller.views import read_fetch, read_job
from modelfetch.controller.vigil import Vigil
from modelfetch.core import fetch as fetch_core
from modelfetch.core import store as store_core
from modelfetch.core.actions import Action, CreateJob, DeleteJob
from modelfetch.core.job import fetch_order, spec_hash
from modelfetch.core.observed import Observed, Settings, Wanted
from modelfetch.core.status import differs_in_substance, dump
from modelfetch.kube.client import Kube, KubeError, Resource
from modelfetch.kube.objects import JOBS, MODELFETCHES, MODELSTORES

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
UNCOUNTED_S = 5.0
"""Seconds until a fetch that its store's inventory does not count is looked at again, should nothing wake it before."""

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
        self._intake = Intake(kube, namespaces, self.vigil, self._forgotten)
        self.mirror, self.queue = self._intake.mirror, self._intake.queue
        self._metrics = metrics or Metrics()
        self._kube = kube
        self._settings = settings
        self._clock = clock
        self._claims = Claims()
        self._inventories: Inventories[Key] = Inventories()
        self.checks = Checks(self.mirror, clock)
        self._may_check = False
        self._observer = Observer(kube, self.mirror, self._claims, self.checks, clock, settings.namespace_slots)
        self._applier = Applier(kube, self._intake.learned)
        self.recorder = EventRecorder(kube, clock)
        self._written: dict[str, float] = {}
        self._departed = Departed(kube)
        self._surveys: dict[Key, str] = {}
        """By store that has to be surveyed: the Job that does it, empty before there is one."""
        self._refused: dict[Key, float] = {}
        """When a Job of a store was refused last."""

    # --- what comes in ------------------------------------------------------------------------------------------

    def seen(self, resource: Resource, kind: str | None, body: Object) -> None:
        """Take in one watch event."""
        self._intake.seen(resource, kind, body)

    def _forgotten(self, resource: Resource, body: Object) -> None:
        """An object has gone: what follows from that is kept for its store, and nothing else of it."""
        self._observer.forget(resource, body)
        if resource is MODELFETCHES:
            self._fetch_gone(body)

    def _fetch_gone(self, body: Object) -> None:
        uid = uid_of(body)
        if self._claims.drop(uid) != "none":
            self._wake_next(store_of(body))
        self._written.pop(uid, None)
        self._departed.went(body)

    # --- lists --------------------------------------------------------------------------------------------------

    async def prime(self) -> None:
        """Fill the mirror from full lists before the first decision, and see what was missed while nobody looked."""
        await self._intake.list_all()
        for body in self.mirror.all(MODELFETCHES):
            self._prime_claim(body)
            self._departed.starts(uid_of(body))  # by an operator before this one, which ended right after
        for body in self.mirror.all(MODELSTORES):
            store, _ = self._observer.read_store(body)
            recorded = store.status.inventory
            if recorded is not None and recorded != store_core.inventory(self._owners(key_of(MODELSTORES, body))):
                self._surveys[key_of(MODELSTORES, body)] = ""
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
                log.info("looks for what is Ready on the volume", extra=_about(store))
                self.queue.add(store)
        return False

    def _owners(self, store: Key) -> frozenset[str]:
        fetches = self.mirror.fetches_of_store(store.namespace, store.name)
        return frozenset(str(body["metadata"]["uid"]) for body in fetches)

    def _prime_claim(self, body: Object) -> None:
        """A fetch with a live Job holds its slot before anybody else is looked at."""
        if any(read_job(job).result == "Running" for job in self.mirror.jobs_of_fetch(uid_of(body))):
            self._claims.set(read_fetch(body)[0], "active")

    async def resync(self, *, everybody: bool = True) -> None:
        """List everything again, take note of what the watches missed, and look at whom it concerns, or everybody."""
        await self._intake.list_all(self.vigil.listed)
        if everybody:
            self._intake.wake_all()

    # --- work ---------------------------------------------------------------------------------------------------

    async def work(self) -> None:
        """Take keys and reconcile them, one after the other, for ever."""
        while True:
            key = await self.queue.get()
            try:
                await self._handle(key)
            finally:
                self.queue.done(key, self._intake.has_written)

    async def _handle(self, key: Key) -> None:
        began, is_ok = self._clock.monotonic(), False
        try:
            await (self._reconcile_fetch(key) if key.kind == MODELFETCHES.kind else self._reconcile_store(key))
        except KubeError as error:
            delay = self._come_back(key, error)
            log.warning(
                "the API server refused", extra=_about(key, why=str(error), status=error.status, again_in_s=delay)
            )
        except Exception:
            delay = self.queue.failed(key)
            log.exception("a reconcile failed", extra=_about(key, again_in_s=delay))
        else:
            is_ok = True
            self.queue.succeeded(key)
        finally:
            self._metrics.reconciled(key.kind, self._clock.monotonic() - began, ok=is_ok)

    def _come_back(self, key: Key, error: KubeError) -> float:
        """Have the key looked at again, and return after how many seconds."""
        if error.status == TOO_MANY_REQUESTS:
            self.queue.pause(min(error.retry_after_s or CONFLICT_S, PAUSE_LARGEST_S))
        if not error.is_conflict:
            return self.queue.failed(key, error.retry_after_s or 0.0)
        self.queue.schedule(key, CONFLICT_S)
        return CONFLICT_S

    async def _reconcile_fetch(self, key: Key) -> None:
        body = self.mirror.get(key)
        if body is None:
            self.queue.unschedule(key)
            return
        if self._is_to_be_counted_first(key, body):
            return
        observed = await self._observer.fetch(body)
        if not self._is_there(key, observed.meta.uid):
            return  # what it claimed now nobody would give back
        decision = self._decide(observed)
        if not self._may_act(key, observed, decision):
            return
        try:
            for action in decision.actions:
                await self._act_for(key, observed.meta.uid, action)
        except Refused as refusal:
            if not self._is_there(key, observed.meta.uid):
                return
            decision = self._decide(replace(observed, refusal=str(refusal)))
        self._look_again(key, decision.again_at, observed.now)
        status = decision.status
        if status is not None and await self._say(MODELFETCHES, key, observed.meta, dump(status)):
            self.recorder.tell(observed.meta, observed.fetch.status, status)
            self._metrics.told(observed.fetch.status, status)

    async def _act_for(self, key: Key, uid: str, action: Action) -> None:
        """A Job that is made is remembered: it may come and go, and no status ever tell of it."""
        if not isinstance(action, CreateJob) or self._departed.may_have_started(uid):
            await self._act(key.namespace, action)
        elif self._is_there(key, uid):
            self._departed.starts(uid)
            await self._act_first(key, uid, action)

    async def _act_first(self, key: Key, uid: str, action: CreateJob) -> None:
        try:
            await self._act(key.namespace, action)
        except Refused as refusal:
            if not refusal.was_there:
                self._departed.did_not_start(uid)
            raise

    async def _act(self, namespace: str, action: Action) -> None:
        is_done = await self._applier.act(namespace, action)
        if not is_done and isinstance(action, DeleteJob):
            self._intake.gone(JOBS, Key(JOBS.kind, namespace, action.name), action.uid)

    def _is_to_be_counted_first(self, key: Key, body: Object) -> bool:
        """A fetch that has just come may not start before its store counts it; so it is looked at then, and once."""
        store, is_known = store_of(body), (body.get("status") or {}).get("observedGeneration", -1) >= 0
        if is_known or self.mirror.get(store) is None or self._inventories.is_waiting(store, key):
            return False
        if self._inventories.counts(store, key, uid_of(body)):
            return False
        self._count_soon(store, key)
        return True

    def _count_soon(self, store: Key, key: Key) -> None:
        self.queue.add(store)
        self.queue.schedule(key, UNCOUNTED_S)

    def _is_there(self, key: Key, uid: str) -> bool:
        body = self.mirror.get(key)
        return body is not None and body["metadata"]["uid"] == uid

    def _may_act(self, key: Key, observed: Observed, decision: fetch_core.FetchDecision) -> bool:
        """Nothing may come onto the volume for a fetch that the store's inventory does not count."""
        store = _store_of(observed)
        starts = any(isinstance(action, CreateJob) for action in decision.actions)
        if not starts or self._inventories.counts(store, key, observed.meta.uid):
            return True
        self._count_soon(store, key)
        return False

    def _decide(self, observed: Observed) -> fetch_core.FetchDecision:
        """Decide, and take note of the claim in the same step, before anything is awaited."""
        decision = fetch_core.decide(self._wanted(observed), observed, self._settings)
        store = _store_of(observed)
        before = self._claims.set(observed.fetch, decision.claim)
        if before != decision.claim:
            self.queue.schedule_sooner(store, STORE_DEBOUNCE_S)  # it counts them, and no status may tell of that
        if before != "none" and decision.claim == "none":
            self._wake_next(store)
        return decision

    def _wanted(self, observed: Observed) -> Wanted:
        fetch, store = observed.fetch, observed.store
        if observed.spec_error is not None:
            return Wanted(spec_hash="", order=None)
        hash_ = spec_hash(fetch.spec)
        if not isinstance(store, ModelStore):
            return Wanted(hash_, order=None)
        try:
            return Wanted(hash_, fetch_order(fetch, store, self._settings, attempt="next"))
        except ValueError as error:
            return Wanted(hash_, order=None, error=f"spec.source: {error}")

    def _wake_next(self, store_key: Key) -> None:
        """A slot of this store is free, and with it one of its namespace where these are bounded, too."""
        body = self.mirror.get(store_key)
        bodies = [body] if body is not None else []
        if self._settings.namespace_slots:
            bodies = self.mirror.in_namespace(MODELSTORES, store_key.namespace)
        for store, _ in map(self._observer.read_store, bodies):
            for key in self._claims.next_in_line(store_key.namespace, store.metadata.name, store.spec.slots):
                self.queue.add(key)

    async def _reconcile_store(self, key: Key) -> None:
        body = self.mirror.get(key)
        if body is None:
            self.queue.unschedule(key)
            for kept in (self._surveys, self._refused):
                kept.pop(key, None)
            self._departed.forget(key)
            self._inventories.forget(key)
            return
        owners = self._owners(key)
        self._inventories.narrow(key, owners)
        gone = await self._departed.confirmed(key)
        observed = await self._observer.store(body, owners, gone, self._surveys.get(key))
        decision = store_core.decide(observed, self._settings)
        self._departed.removed(key, decision.removed)
        self._departed.found(key, decision.found)
        if decision.survey is not None:
            self._surveys[key] = decision.survey
        if decision.surveyed:
            self._surveys.pop(key, None)
        self._note_check(key, decision)
        for action in decision.actions:
            await self._act_for_store(key, action)
        status = decision.status.model_dump(mode="json", by_alias=True, exclude_none=True) if decision.status else None
        self._look_again(key, decision.again_at, observed.now)
        await self._say(MODELSTORES, key, observed.store.metadata, status)
        for fetch in self._inventories.written(key, decision.counted):
            self.queue.add(fetch)

    def _note_check(self, key: Key, decision: store_core.StoreDecision) -> None:
        if decision.check is not None:
            self.checks.asks(key, decision.check, decision.asked)
        if decision.unanswered:
            log.warning("a check has failed", extra=_about(key, again_in_s=self.checks.failed(key)))
        if decision.checked is not None:
            for lost in self.checks.answered(key, decision.checked, decision.missing):
                log.warning("what is Ready is not on the volume", extra=_about(lost, store=key.name))
                self.queue.add(lost)

    async def _act_for_store(self, key: Key, action: Action) -> None:
        """What was refused a moment ago is not asked for again, whatever else has the store looked at."""
        now_s = self._clock.monotonic()
        if isinstance(action, CreateJob) and now_s - self._refused.get(key, -math.inf) < store_core.JOB_RETRY_S:
            return
        try:
            await self._act(key.namespace, action)
        except Refused as refusal:
            self._refused[key] = now_s
            log.warning("a Job of the store was refused", extra=_about(key, why=str(refusal)))

    async def _say(self, resource: Resource, key: Key, meta: Any, status: dict[str, Any] | None) -> bool:
        """Write the status where it differs, where only counters do not before the set interval is over; True if so."""
        every_s = self._settings.progress_interval_s
        body = self.mirror.get(key)
        if status is None or body is None or body["metadata"]["uid"] != meta.uid:
            return False
        old = body.get("status") or {}
        if old == status:
            return False
        due_s = self._written.get(meta.uid, -every_s) + every_s - self._clock.monotonic()
        if due_s > 0 and not differs_in_substance(old, status):
            self.queue.schedule_sooner(key, due_s)
            return False
        self._written[meta.uid] = self._clock.monotonic()
        try:
            await self._applier.status(resource, meta, status)
        except KubeError as error:
            if error.is_conflict or error.is_not_found:
                await self._intake.ask(resource, key)
            if error.is_not_found and not self._is_there(key, meta.uid):
                return False
            raise
        return True

    def _look_again(self, key: Key, at: datetime | None, now: datetime) -> None:
        if at is None:
            self.queue.unschedule(key)
        else:
            self.queue.schedule(key, (at - now).total_seconds())


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


def _store_of(observed: Observed) -> Key:
    return Key(MODELSTORES.kind, observed.meta.namespace, observed.fetch.spec.store_ref.name)


def _about(key: Key, **fields: Any) -> dict[str, Any]:
    return {"object": f"{key.kind} {key.namespace}/{key.name}", **fields}
