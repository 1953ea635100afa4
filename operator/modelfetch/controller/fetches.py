"""One look at a ModelFetch: observed, decided, acted for, and its status written; then it is known when to look again.

Comes in: a key from the queue. Goes out: API calls, and in the queue whom a free slot concerns. What is to be done is
core/fetch.py's to say.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from modelfetch.api.fetch import ModelFetch
from modelfetch.api.fetch_status import ModelFetchStatus
from modelfetch.api.store import ModelStore
from modelfetch.controller.apply import Applier, NotDeleted, Refused
from modelfetch.controller.intake import STORE_DEBOUNCE_S, Intake
from modelfetch.controller.memory import Memory
from modelfetch.controller.mirror import Key, Object, store_of, uid_of
from modelfetch.controller.observe import Observer
from modelfetch.controller.statuses import Statuses
from modelfetch.controller.views import is_ready, read_fetch, read_job
from modelfetch.core.actions import Action, CreateJob, DeleteJob
from modelfetch.core.decisions import FetchDecision
from modelfetch.core.defect import after_defect
from modelfetch.core.fetch import decide
from modelfetch.core.job import fetch_order, spec_hash
from modelfetch.core.observed import Observed, Settings, Wanted
from modelfetch.core.status import dump
from modelfetch.kube.objects import MODELFETCHES, MODELSTORES

EDIT_S = 1.0
"""Seconds that an edit stands before a running attempt, or Ready, is ended for it: it may be taken back."""
NO_TIME_S = 0.001
"""What a sum of times may lack: a timer over less than that would be due at once, again and again."""
UNCOUNTED_S = 5.0
"""Seconds until a fetch that its store's inventory does not count is looked at again, should nothing wake it before."""

Tell = Callable[[ModelFetch, ModelFetchStatus], None]
"""Takes a fetch as it was seen and the status that was written of it."""


class Fetches:
    """The reconcile of one ModelFetch; `tell` is told of each status that was written."""

    def __init__(
        self,
        intake: Intake,
        observer: Observer,
        applier: Applier,
        statuses: Statuses,
        memory: Memory,
        settings: Settings,
        tell: Tell,
    ) -> None:
        self._mirror, self._queue = intake.mirror, intake.queue
        self._observer = observer
        self._applier = applier
        self._statuses = statuses
        self._claims, self._inventories, self._departed = memory.claims, memory.inventories, memory.departed
        self._edits = memory.edits
        self._settings = settings
        self._tell = tell

    def prime(self, body: Object) -> None:
        """Take in one from the first list: its slot or its place in the line, before anybody else is looked at."""
        runs = self._runs(uid_of(body))
        if runs or not _is_known(body) or body["status"].get("phase") == "Queued":
            self._claims.set(read_fetch(body)[0], "active" if runs else "waiting")
        self._departed.starts(uid_of(body))  # by an operator before this one, which ended right after

    def went(self, body: Object) -> None:
        """It is gone: its slot is free, and what it may have left is to be removed."""
        uid = uid_of(body)
        if self._claims.drop(uid) != "none":
            self._wake_next(store_of(body))
        self._edits.forget(uid)
        self._departed.went(body)

    async def reconcile(self, key: Key) -> None:
        """Do what is to be done now, and say what is so; raises KubeError."""
        body = self._mirror.get(key)
        if body is None:
            self._queue.unschedule(key)
            return
        if self._is_to_be_counted_first(key, body) or self._is_being_edited(key, body):
            return
        observed = await self._observer.fetch(body)
        if not self._mirror.is_there(key, observed.meta.uid):
            return  # what it claimed now nobody would give back
        decision = self._decide(observed)
        if not self._may_act(key, observed, decision):
            return
        denied = await self._carry_out(key, observed, decision)
        if denied is not None:
            if not self._mirror.is_there(key, observed.meta.uid):
                return
            decision = self._decide(denied)
        self._queue.look_again(key, decision.again_at, observed.now)
        await self._write(key, observed.fetch, decision.status)

    async def tell_of_defect(self, key: Key, words: str, now: datetime) -> None:
        """Have the status say that a look has failed; raises KubeError."""
        body = self._mirror.get(key)
        if body is None:
            return
        fetch, _ = read_fetch(body)
        await self._write(key, fetch, after_defect(fetch, words, now))

    async def _write(self, key: Key, fetch: ModelFetch, status: ModelFetchStatus | None) -> None:
        if status is not None and await self._statuses.write(MODELFETCHES, key, fetch.metadata, dump(status)):
            self._tell(fetch, status)

    async def _carry_out(self, key: Key, observed: Observed, decision: FetchDecision) -> Observed | None:
        """Act; return what was observed with the API server's words, where it did not let it happen.

        Nothing starts while a Job stays that has to go first; whatever else has to go is asked for.
        """
        kept = ""
        for action in decision.actions:
            if kept and isinstance(action, CreateJob):
                continue
            try:
                await self._act(key, observed.meta.uid, action)
            except Refused as refusal:
                return replace(observed, refusal=str(refusal))
            except NotDeleted as no:
                kept = kept or str(no)
        return replace(observed, kept=kept) if kept else None

    async def _act(self, key: Key, uid: str, action: Action) -> None:
        """A Job that is made is remembered: it may come and go, and no status ever tell of it."""
        if isinstance(action, CreateJob) and not self._departed.may_have_started(uid):
            if self._mirror.is_there(key, uid):
                self._departed.starts(uid)
                await self._act_first(key, uid, action)
            return
        try:
            await self._applier.act(key.namespace, action)
        except NotDeleted:
            if not isinstance(action, DeleteJob) or not action.in_passing:
                raise

    async def _act_first(self, key: Key, uid: str, action: CreateJob) -> None:
        try:
            await self._applier.act(key.namespace, action)
        except Refused as refusal:
            if not refusal.was_there:
                self._departed.did_not_start(uid)
            raise

    def _runs(self, uid: str) -> bool:
        return any(read_job(job).result == "Running" for job in self._mirror.jobs_of_fetch(uid))

    def _is_being_edited(self, key: Key, body: Object) -> bool:
        """An edit that is seen for the first time waits where it ends an attempt, or Ready: it may be taken back."""
        meta, uid = body["metadata"], uid_of(body)
        is_edit = _is_known(body) and body["status"]["observedGeneration"] != meta.get("generation")
        if not is_edit or "deletionTimestamp" in meta or not (self._runs(uid) or is_ready(body)):
            self._edits.forget(uid)
            return False
        left_s = EDIT_S - self._edits.seen_s(uid)
        is_new = left_s > NO_TIME_S
        if is_new:
            self._queue.schedule(key, left_s)
        return is_new

    # --- counted before it starts ---------------------------------------------------------------------------------

    def _is_to_be_counted_first(self, key: Key, body: Object) -> bool:
        """A fetch that has just come may not start before its store counts it; so it is looked at then, and once."""
        store = store_of(body)
        if _is_known(body) or self._mirror.get(store) is None or self._inventories.is_waiting(store, key):
            return False
        if self._inventories.counts(store, key, uid_of(body)):
            return False
        self._count_soon(store, key)
        return True

    def _may_act(self, key: Key, observed: Observed, decision: FetchDecision) -> bool:
        """Nothing may come onto the volume for a fetch that the store's inventory does not count."""
        store = _store_of(observed)
        starts = any(isinstance(action, CreateJob) for action in decision.actions)
        if not starts or self._inventories.counts(store, key, observed.meta.uid):
            return True
        self._count_soon(store, key)
        return False

    def _count_soon(self, store: Key, key: Key) -> None:
        self._queue.add(store)
        self._queue.schedule(key, UNCOUNTED_S)

    # --- what is wanted, decided and claimed ----------------------------------------------------------------------

    def _decide(self, observed: Observed) -> FetchDecision:
        """Decide, and take note of the claim in the same step, before anything is awaited."""
        decision = decide(self._wanted(observed), observed, self._settings)
        store = _store_of(observed)
        before = self._claims.set(observed.fetch, decision.claim)
        if before != decision.claim:
            self._queue.schedule_sooner(store, STORE_DEBOUNCE_S)  # it counts them, and no status may tell of that
        if before not in ("none", decision.claim) and decision.claim != "active":
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
        body = self._mirror.get(store_key)
        bodies = [body] if body is not None else []
        if self._settings.namespace_slots:
            bodies = self._mirror.in_namespace(MODELSTORES, store_key.namespace)
        for store, _ in map(self._observer.read_store, bodies):
            for key in self._claims.next_in_line(store_key.namespace, store.metadata.name, store.spec.slots):
                self._queue.add(key)


def _is_known(body: Object) -> bool:
    """Whether it was ever looked at, as its status tells."""
    return bool((body.get("status") or {}).get("observedGeneration", -1) >= 0)


def _store_of(observed: Observed) -> Key:
    return Key(MODELSTORES.kind, observed.meta.namespace, observed.fetch.spec.store_ref.name)
