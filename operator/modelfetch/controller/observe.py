"""From the mirror and the API to one snapshot: the only place where the operator looks at the world.

Comes in: a key. Goes out: `Observed` or `StoreObserved`, complete, for core's `decide`. Reads beside the mirror are a
claim's phase, the last line of a running Pod's log and a stuck Pod's events, each within a budget over all resources.
"""

from dataclasses import replace

from modelfetch.api.fetch import ModelFetch
from modelfetch.api.meta import ObjectMeta
from modelfetch.api.order import RemovalTarget
from modelfetch.api.store import ModelStore
from modelfetch.controller.checks import Checks
from modelfetch.controller.claims import Claims
from modelfetch.controller.complaints import Complaints
from modelfetch.controller.mirror import Key, Mirror, Object, controller_of, key_of
from modelfetch.controller.pace import Budget, Clock
from modelfetch.controller.reports import Reports
from modelfetch.controller.since import Since
from modelfetch.controller.views import (
    container_state,
    fetch_of,
    has_ended,
    last_words,
    may_run,
    read_claim,
    read_end,
    read_fetch,
    read_job,
    read_pod,
    read_store,
)
from modelfetch.core import job as jobs
from modelfetch.core.observed import UNKNOWN, ClaimSeen, JobSeen, Observed, PodSeen, Slot, Unknown
from modelfetch.core.outcome import UNBOUND_S
from modelfetch.core.store import TARGETS_PER_JOB, StoreObserved
from modelfetch.errors import sanitise
from modelfetch.kube.client import Kube
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import CLAIMS, JOBS, MODELFETCHES, MODELSTORES, PODS, Resource
from modelfetch.report import Report

READS_PER_S = 20.0
"""Log and event reads over all Pods (design.md section 3)."""
CLAIM_FRESH_S = 5.0
WRITERS = (JOBS, PODS)
"""Until these have ended somebody may write: a Job that the garbage collector deletes goes before its Pod has ended."""


ClaimRead = tuple[ClaimSeen | Unknown | None, str | None]
"""A claim, None where it does not exist; and the API server's words where it may not be read."""


class Observer:
    """Looks at one resource at a time."""

    def __init__(
        self, kube: Kube, mirror: Mirror, claims: Claims, checks: Checks, clock: Clock, namespace_slots: int = 0
    ) -> None:
        """`namespace_slots` are how many fetches may run in a namespace, 0 for as many as its stores allow."""
        self._kube = kube
        self._mirror = mirror
        self._claims = claims
        self._checks = checks
        self._namespace_slots = namespace_slots
        self._clock = clock
        self._claims_read: dict[tuple[str, str], tuple[float, ClaimRead]] = {}
        budget = Budget(READS_PER_S, clock.monotonic)
        self._complaints = Complaints(kube, clock, budget)
        self._reports = Reports(kube, clock, budget)
        self._ends = Since(clock.monotonic)
        """Since when a Job is finished, and a Pod told to end."""
        self._unplaced = Since(clock.monotonic)
        """Since when a Pod has no node, and the scheduler does not say why."""
        self._stores: dict[str, tuple[Object, ModelStore, str | None]] = {}
        self._last_pods: dict[str, Object] = {}
        """By the uid of a Job that is there: the last of its Pods that went, which may be why it fails in a moment."""
        self._vanished: dict[str, str] = {}
        """By the uid of a fetch: its last Job that went while it ran, and not because the operator deleted it."""

    async def fetch(self, body: Object) -> Observed:
        """Return everything about one ModelFetch, from one look."""
        fetch, spec_error = read_fetch(body)
        meta = fetch.metadata
        pods: dict[str, PodSeen] = {}
        reports: dict[str, Report] = {}
        bodies = self._mirror.jobs_of_fetch(meta.uid)
        seen = tuple([await self._look_at_job(meta.namespace, job, pods, reports) for job in bodies])
        store, store_error = self._store_of(fetch)
        runs = any(job.result == "Running" and not has_ended(reports.get(job.uid)) for job in seen)
        is_asked_for = not runs or any(pod.unplaced_s >= UNBOUND_S for pod in pods.values())
        claim: ClaimSeen | Unknown | None = UNKNOWN
        claim_error = None
        if isinstance(store, ModelStore) and is_asked_for:
            claim, claim_error = await self._claim(store, runs=runs)
        return Observed(
            now=self._clock.now(),
            fetch=fetch,
            spec_error=spec_error,
            store=store,
            store_error=store_error,
            claim=claim,
            claim_error=claim_error,
            jobs=seen,
            pods=pods,
            reports=reports,
            slot=self._slot(fetch, store),
            running=self._claims.running,
            is_lost=self._checks.is_lost(body),
            predecessor_runs=self._predecessor_runs(meta),
            strays=await self._strays(meta),
            vanished=self._vanished.get(meta.uid, ""),
        )

    def forget(self, resource: Resource, body: Object, *, was_deleted_by_us: bool = False) -> None:
        """An object is gone: nothing about it is kept, but how a Pod ended whose Job has still to be judged."""
        uid = str(body["metadata"]["uid"])
        for kept in (self._stores, self._last_pods, self._vanished):
            kept.pop(uid, None)
        self._complaints.forget(uid)
        self._reports.forget(uid)
        self._ends.forget(uid)
        self._unplaced.forget(uid)
        if resource is PODS:
            job = controller_of(body)
            if self._mirror.has_job(job):
                self._last_pods[job] = body
        elif resource is JOBS and not was_deleted_by_us:
            self._job_vanished(body)

    def _job_vanished(self, body: Object) -> None:
        meta = body["metadata"]
        name = str((meta.get("annotations") or {}).get(jobs.NAME_ANNOTATION, ""))
        is_wanted = self._mirror.is_there(Key(MODELFETCHES.kind, meta["namespace"], name), fetch_of(body))
        if is_wanted and read_job(body).result == "Running":
            self._vanished[fetch_of(body)] = meta["name"]

    def _store_of(self, fetch: ModelFetch) -> tuple[ModelStore | None, str | None]:
        """Return the store that a fetch names, as the mirror knows it, or None and what is wrong with it."""
        body = self._mirror.get(Key(MODELSTORES.kind, fetch.metadata.namespace, fetch.spec.store_ref.name))
        store, error = self.read_store(body) if body is not None else (None, None)
        return (store, None) if error is None else (None, f"is invalid: {error}")

    def read_store(self, body: Object) -> tuple[ModelStore, str | None]:
        """Return what read_store returns; a version that the mirror has is read once, however many fetches ask."""
        uid = str(body["metadata"]["uid"])
        known = self._stores.get(uid)
        if known is None or known[0] is not body:
            known = self._stores[uid] = (body, *read_store(body))
        return known[1:]

    def _writing(self, namespace: str, living: tuple[str, ...]) -> frozenset[str]:
        """Return the uids of fetches that are gone whose Pods may still run."""
        there = frozenset(("", *living))
        return frozenset(
            fetch_of(body)
            for resource in WRITERS
            for body in self._mirror.in_namespace(resource, namespace)
            if fetch_of(body) not in there and may_run(resource, body)
        )

    async def _writing_unseen(self, namespace: str, uids: list[str]) -> frozenset[str]:
        """Return whose Pods may still run of fetches that are gone, as the API server says.

        What is written once their files were removed would stay for ever, and a watch may be behind. Of more than it
        is asked for at a time the others count as writing. Raises KubeError.
        """
        asked = uids[:TARGETS_PER_JOB]
        if not asked:
            return frozenset()
        pods = await self._kube.list(PODS, namespace, labels=f"{jobs.FETCH_LABEL} in ({','.join(asked)})")
        return frozenset(uids[TARGETS_PER_JOB:]) | {fetch_of(pod) for pod in pods if may_run(PODS, pod)}

    def _predecessor_runs(self, meta: ObjectMeta) -> bool:
        """Whether a Pod of a fetch that had this name before may still run."""
        return any(
            fetch_of(body) != meta.uid and may_run(resource, body)
            for resource in WRITERS
            for body in self._mirror.made_for(resource, meta.namespace, meta.name)
        )

    async def _strays(self, meta: ObjectMeta) -> tuple[PodSeen, ...]:
        """Return the Pods of this fetch that run though their Jobs are gone, as the API server says.

        Nobody else would ever tell that one of them has gone, where a watch has missed it. Raises KubeError.
        """
        seen = [pod for pod in self._mirror.made_for(PODS, meta.namespace, meta.name) if self._is_stray(pod, meta)]
        if not seen:
            return ()
        listed = await self._kube.list(PODS, meta.namespace, labels=f"{jobs.FETCH_LABEL}={meta.uid}")
        there = {str(pod["metadata"]["uid"]) for pod in listed}
        return tuple(self._read_pod(pod) for pod in seen if str(pod["metadata"]["uid"]) in there)

    def _is_stray(self, pod: Object, meta: ObjectMeta) -> bool:
        has_ended = (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded")
        return fetch_of(pod) == meta.uid and not has_ended and not self._mirror.has_job(controller_of(pod))

    def _read_pod(self, body: Object, complaint: str | None = None) -> PodSeen:
        seen = read_pod(body, complaint)
        uid = str(body["metadata"]["uid"])
        ending_s = self._ends.seen_s(uid) if seen.deleting else 0.0
        is_unplaced = seen.phase == "Pending" and seen.node is None and seen.unschedulable is None
        if not is_unplaced:
            self._unplaced.forget(uid)
        return replace(seen, ending_s=ending_s, unplaced_s=self._unplaced.seen_s(uid) if is_unplaced else 0.0)

    def _slot(self, fetch: ModelFetch, store: ModelStore | None) -> Slot:
        if store is None:
            return Slot(granted=False, position=1)
        if not self._namespace_slots:
            return self._claims.slot(fetch, {store.metadata.name: store.spec.slots})
        bodies = self._mirror.in_namespace(MODELSTORES, store.metadata.namespace)
        stores = {one.metadata.name: one.spec.slots for one, _ in map(self.read_store, bodies)}
        return self._claims.slot(fetch, stores, self._namespace_slots)

    async def _claim(self, store: ModelStore, *, runs: bool = False) -> ClaimRead:
        """Return the claim, asked for at most every few seconds; but the volume of one that waits may be there at once.

        That is nothing to an attempt that `runs`.
        """
        key = (store.metadata.namespace, store.spec.claim_name)
        known = self._claims_read.get(key)
        is_fresh = known is not None and self._clock.monotonic() - known[0] < CLAIM_FRESH_S
        if known is not None and is_fresh and (runs or not _waits_for_its_volume(known[1])):
            return known[1]
        claim: ClaimSeen | Unknown | None
        why = None
        try:
            body = await self._kube.find(CLAIMS, *key)
            claim = None if body is None else read_claim(body)
        except KubeError as error:
            claim = UNKNOWN
            if error.is_forbidden:  # nothing that passes by itself
                why = sanitise(f"PersistentVolumeClaim '{key[1]}' cannot be read: {error.message}")
        self._claims_read[key] = (self._clock.monotonic(), (claim, why))
        return claim, why

    async def _look_at_job(
        self, namespace: str, body: Object, pods: dict[str, PodSeen], reports: dict[str, Report]
    ) -> JobSeen:
        """Return the view of a Job; its newest Pod and what that reported go into `pods` and `reports`."""
        job = read_job(body)
        bodies = self._mirror.pods_of_job(job.uid)
        stuck = not bodies and job.result == "Running" and not job.deleting
        refusal = await self._complaints.about_job(namespace, body, stuck=stuck)
        finished_s = self._ends.seen_s(job.uid) if job.result != "Running" else 0.0
        job = replace(job, pods=tuple(map(read_end, bodies)), finished_s=finished_s)
        if bodies:
            pod = max(bodies, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))
            state = container_state(pod)
            complaint = await self._complaints.about_pod(namespace, pod, state)
            report = await self._reports.of(namespace, pod, state)
            if isinstance(report, Report):
                reports[job.uid] = report
            pods[job.uid] = replace(
                self._read_pod(pod, complaint),
                silent_s=self._reports.silent_s(pod, state, report),
                log_refusal=self._reports.refusal(str(pod["metadata"]["uid"])),
            )
        elif job.result != "Running" and job.uid in self._last_pods:
            gone = self._last_pods[job.uid]
            report = last_words(container_state(gone))
            pods[job.uid] = read_pod(gone)
            reports |= {job.uid: report} if report is not None else {}
        return replace(job, refusal=refusal)

    async def store(
        self, body: Object, owners: frozenset[str], gone: tuple[RemovalTarget, ...], survey: str | None
    ) -> StoreObserved:
        """Return everything about one ModelStore, from one look; `owners` were taken before `gone`.

        `survey` is None where no survey is wanted, else the name of its Job, empty before there is one.
        """
        store, spec_error = self.read_store(body)
        meta = store.metadata
        pods: dict[str, PodSeen] = {}
        reports: dict[str, Report] = {}
        bodies = [
            job
            for job in self._mirror.jobs_of_store(meta.namespace, jobs.label_value(meta.name))
            if (job["metadata"].get("labels") or {}).get(jobs.TASK_LABEL) in ("remove", "survey", "check")
        ]
        seen = tuple([await self._look_at_job(meta.namespace, job, pods, reports) for job in bodies])
        fetches = self._mirror.fetches_of_store(meta.namespace, meta.name)
        living = tuple(str(f["metadata"]["uid"]) for f in self._mirror.in_namespace(MODELFETCHES, meta.namespace))
        writing = self._writing(meta.namespace, living)
        unsure = sorted({target.owner for target in gone} - writing)
        return StoreObserved(
            now=self._clock.now(),
            store=store,
            spec_error=spec_error,
            claim=(await self._claim(store))[0] if spec_error is None else UNKNOWN,
            counts=self._claims.counts(meta.namespace, meta.name, fetches),
            owners=owners,
            gone=gone,
            writing=writing | await self._writing_unseen(meta.namespace, unsure),
            living=living,
            survey=survey,
            unchecked=self._checks.unchecked(key_of(MODELSTORES, body)),
            check_id=self._checks.id,
            check=self._checks.job(key_of(MODELSTORES, body)),
            jobs=seen,
            reports=reports,
        )


def _waits_for_its_volume(read: ClaimRead) -> bool:
    return isinstance(read[0], ClaimSeen) and not read[0].volume
