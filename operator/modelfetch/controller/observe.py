"""From the mirror and the API to one snapshot: the only place where the operator looks at the world.

Comes in: a key. Goes out: `Observed` or `StoreObserved`, complete, for core's `decide`. Reads beside the mirror are a
claim's phase, the last line of a running Pod's log and a stuck Pod's events, each within a budget over all resources.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from modelfetch.api.fetch import ModelFetch, ModelFetchSpec
from modelfetch.api.fetch_status import ModelFetchStatus
from modelfetch.api.meta import ObjectMeta
from modelfetch.api.order import RemovalTarget
from modelfetch.api.source import Source
from modelfetch.api.store import ModelStore, ModelStoreSpec, ModelStoreStatus
from modelfetch.controller.claims import Claims
from modelfetch.controller.complaints import Complaints
from modelfetch.controller.mirror import Key, Mirror, Object, controller_of
from modelfetch.controller.pace import Budget, Clock
from modelfetch.controller.silences import Silences
from modelfetch.core import job as jobs
from modelfetch.core.observed import UNKNOWN, ClaimSeen, JobSeen, Observed, PodEnd, PodSeen, Slot, Unknown
from modelfetch.core.store import StoreObserved
from modelfetch.errors import sanitise
from modelfetch.kube.client import Kube, KubeError, Resource
from modelfetch.kube.objects import CLAIMS, JOBS, MODELFETCHES, MODELSTORES, PODS
from modelfetch.report import Report, parse

READS_PER_S = 20.0
"""Log and event reads over all Pods (design.md section 3)."""
CLAIM_FRESH_S = 5.0
WRITERS = (JOBS, PODS)
"""Until these have ended somebody may write: a Job that the garbage collector deletes goes before its Pod has ended."""
LOG_BYTES = 16 * 1024
_GIVEN_UP = frozenset(("DeletionByTaintManager", "DeletionByPodGC"))
"""Reasons for which the cluster ends a Pod without waiting for the word of its node."""
_UNSEEN_END = "ContainerStatusUnknown"
_DIGITS = 9
"""Of a number that somebody may have written on a Job; more of them are none of ours."""


class Observer:
    """Looks at one resource at a time."""

    def __init__(self, kube: Kube, mirror: Mirror, claims: Claims, clock: Clock, namespace_slots: int = 0) -> None:
        """`namespace_slots` are how many fetches may run in a namespace, 0 for as many as its stores allow."""
        self._kube = kube
        self._mirror = mirror
        self._claims = claims
        self._namespace_slots = namespace_slots
        self._clock = clock
        self._budget = Budget(READS_PER_S, clock.monotonic)
        self._claims_read: dict[tuple[str, str], tuple[float, ClaimSeen | Unknown | None]] = {}
        self._complaints = Complaints(kube, clock, self._budget)
        self._silences = Silences(clock.monotonic)
        self._stores: dict[str, tuple[Object, ModelStore, str | None]] = {}
        self._last_pods: dict[str, Object] = {}
        """By the uid of a Job that is there: the last of its Pods that went, which may be why it fails in a moment."""

    async def fetch(self, body: Object) -> Observed:
        """Return everything about one ModelFetch, from one look."""
        fetch, spec_error = read_fetch(body)
        meta = fetch.metadata
        pods: dict[str, PodSeen] = {}
        reports: dict[str, Report] = {}
        bodies = self._mirror.jobs_of_fetch(meta.uid)
        seen = tuple([await self._look_at_job(meta.namespace, job, pods, reports) for job in bodies])
        store, store_error = self._store_of(fetch)
        runs = any(job.result == "Running" and not _has_ended(reports.get(job.uid)) for job in seen)
        return Observed(
            now=self._clock.now(),
            fetch=fetch,
            spec_error=spec_error,
            store=store,
            store_error=store_error,
            claim=await self._claim(store) if isinstance(store, ModelStore) and not runs else UNKNOWN,
            jobs=seen,
            pods=pods,
            reports=reports,
            slot=self._slot(fetch, store),
            running=self._claims.running,
            predecessor_runs=self._predecessor_runs(meta),
        )

    def forget(self, resource: Resource, body: Object) -> None:
        """An object is gone: nothing about it is kept, but how a Pod ended whose Job has still to be judged."""
        uid = str(body["metadata"]["uid"])
        for kept in (self._stores, self._last_pods):
            kept.pop(uid, None)
        self._complaints.forget(uid)
        self._silences.forget(uid)
        if resource is PODS:
            job = controller_of(body)
            self._last_pods |= {job: body} if self._mirror.has_job(job) else {}

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
            _fetch_of(body)
            for resource in WRITERS
            for body in self._mirror.in_namespace(resource, namespace)
            if _fetch_of(body) not in there and _may_run(resource, body)
        )

    def _predecessor_runs(self, meta: ObjectMeta) -> bool:
        """Whether a Pod of a fetch that had this name before may still run."""
        return any(
            _fetch_of(body) != meta.uid and _may_run(resource, body)
            for resource in WRITERS
            for body in self._mirror.made_for(resource, meta.namespace, meta.name)
        )

    def _slot(self, fetch: ModelFetch, store: ModelStore | None) -> Slot:
        if store is None:
            return Slot(granted=False, position=1)
        if not self._namespace_slots:
            return self._claims.slot(fetch, {store.metadata.name: store.spec.slots})
        bodies = self._mirror.in_namespace(MODELSTORES, store.metadata.namespace)
        stores = {one.metadata.name: one.spec.slots for one, _ in map(self.read_store, bodies)}
        return self._claims.slot(fetch, stores, self._namespace_slots)

    async def _claim(self, store: ModelStore) -> ClaimSeen | Unknown | None:
        """Return the claim, None where it does not exist; asked at most every few seconds."""
        key = (store.metadata.namespace, store.spec.claim_name)
        known = self._claims_read.get(key)
        if known is not None and self._clock.monotonic() - known[0] < CLAIM_FRESH_S:
            return known[1]
        claim: ClaimSeen | Unknown | None
        try:
            body = await self._kube.find(CLAIMS, *key)
            claim = None if body is None else read_claim(body)
        except KubeError:
            claim = UNKNOWN
        if not isinstance(claim, ClaimSeen) or claim.volume:  # the volume of one that waits may be there at once
            self._claims_read[key] = (self._clock.monotonic(), claim)
        return claim

    async def _look_at_job(
        self, namespace: str, body: Object, pods: dict[str, PodSeen], reports: dict[str, Report]
    ) -> JobSeen:
        """Return the view of a Job; its newest Pod and what that reported go into `pods` and `reports`."""
        job = read_job(body)
        bodies = self._mirror.pods_of_job(job.uid)
        stuck = not bodies and job.result == "Running" and not job.deleting
        refusal = await self._complaints.about_job(namespace, body, stuck=stuck)
        job = replace(job, pods=tuple(map(read_end, bodies)))
        if bodies:
            pod = max(bodies, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))
            state = _container_state(pod)
            complaint = await self._complaints.about_pod(namespace, pod, state)
            report = await self._report(namespace, pod, state)
            if report is not None:
                reports[job.uid] = report
            pods[job.uid] = replace(read_pod(pod, complaint), silent_s=self._silent_s(pod, state, report))
        elif job.result != "Running" and job.uid in self._last_pods:
            gone = self._last_pods[job.uid]
            report = _last_words(_container_state(gone))
            pods[job.uid] = read_pod(gone)
            reports |= {job.uid: report} if report is not None else {}
        return replace(job, refusal=refusal)

    def _silent_s(self, pod: Object, state: dict[str, Any], report: Report | None) -> float:
        uid = str(pod["metadata"]["uid"])
        if "running" in state:
            return self._silences.heard(uid, report.at if report is not None else None)
        self._silences.forget(uid)
        return 0.0

    async def _report(self, namespace: str, pod: Object, state: dict[str, Any]) -> Report | None:
        """The termination message of an ended container, else the progress in the last line of a running one's log."""
        if "terminated" in state:
            return _last_words(state)
        if "running" not in state or not self._budget.take():
            return None
        name = pod["metadata"]["name"]
        try:
            text = await self._kube.log_tail(PODS, namespace, name, jobs.CONTAINER, lines=3, limit_bytes=LOG_BYTES)
        except KubeError:
            return None  # the Pod has just ended or its node does not answer: the next look tells
        report = parse(text)
        # Other programs' warnings, with words of the source in them, stand in the log, too: no result is taken from it.
        return report if report is not None and report.event == "progress" else None

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
            if (job["metadata"].get("labels") or {}).get(jobs.TASK_LABEL) in ("remove", "survey")
        ]
        seen = tuple([await self._look_at_job(meta.namespace, job, pods, reports) for job in bodies])
        fetches = self._mirror.fetches_of_store(meta.namespace, meta.name)
        living = tuple(str(f["metadata"]["uid"]) for f in self._mirror.in_namespace(MODELFETCHES, meta.namespace))
        return StoreObserved(
            now=self._clock.now(),
            store=store,
            spec_error=spec_error,
            claim=await self._claim(store) if spec_error is None else UNKNOWN,
            counts=self._claims.counts(meta.namespace, meta.name, fetches),
            owners=owners,
            gone=gone,
            writing=self._writing(meta.namespace, living),
            living=living,
            survey=survey,
            jobs=seen,
            reports=reports,
        )


def owners_with_files(fetches: list[Object]) -> list[str]:
    """Return the uids of the fetches that may have files on the volume: those with an attempt."""
    return [
        str(body["metadata"]["uid"])
        for body in fetches
        if ((body.get("status") or {}).get("attempt") or {}).get("number") or (body.get("status") or {}).get("artifact")
    ]


def read_fetch(body: Object) -> tuple[ModelFetch, str | None]:
    """Return a ModelFetch, and what its spec breaks where it does not parse (its spec then holds defaults).

    A status that does not parse counts as none: everything in it can be seen again.
    """
    meta = ObjectMeta.model_validate(body["metadata"])
    try:
        status = ModelFetchStatus.model_validate(body.get("status") or {})
    except ValidationError:
        status = ModelFetchStatus()
    try:
        return ModelFetch(metadata=meta, spec=ModelFetchSpec.model_validate(body.get("spec")), status=status), None
    except ValidationError as error:
        spec = ModelFetchSpec.model_construct(source=Source.model_construct(uri="(invalid)"))
        return ModelFetch.model_construct(metadata=meta, spec=spec, status=status), _first_problem(error)


def read_store(body: Object) -> tuple[ModelStore, str | None]:
    """Return a ModelStore, and what its spec breaks where it does not parse, as read_fetch does."""
    meta = ObjectMeta.model_validate(body["metadata"])
    try:
        status = ModelStoreStatus.model_validate(body.get("status") or {})
    except ValidationError:
        status = ModelStoreStatus()
    try:
        return ModelStore(metadata=meta, spec=ModelStoreSpec.model_validate(body.get("spec")), status=status), None
    except ValidationError as error:
        spec = ModelStoreSpec.model_construct(claim_name="(invalid)")
        return ModelStore.model_construct(metadata=meta, spec=spec, status=status), _first_problem(error)


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(step) for step in ("spec", *first["loc"]))
    return sanitise(f"{where}: {first['msg']}")


def read_claim(body: Object) -> ClaimSeen:
    """Return the narrow view of a PersistentVolumeClaim."""
    return ClaimSeen(
        phase=str((body.get("status") or {}).get("phase", "Pending")),
        uid=str(body["metadata"].get("uid", "")),
        volume=str((body.get("spec") or {}).get("volumeName") or ""),
    )


def _has_ended(report: Report | None) -> bool:
    return report is not None and report.event == "result"


def _claim_of(annotation: Any) -> ClaimSeen | None:
    uid, _, volume = annotation.partition("/") if isinstance(annotation, str) else ("", "", "")
    return ClaimSeen(uid=uid, volume=volume) if uid else None


def read_job(body: Object) -> JobSeen:
    """Return the narrow view of a Job."""
    meta, status = body["metadata"], body.get("status") or {}
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    ended_as = {c["type"]: c for c in status.get("conditions") or () if c.get("status") == "True"}
    failed, complete = ended_as.get("Failed"), ended_as.get("Complete")
    end = failed or complete
    return JobSeen(
        name=meta["name"],
        uid=meta["uid"],
        owner_uid=controller_of(body),
        spec_hash=str(annotations.get(jobs.HASH_ANNOTATION, "")),
        attempt=_number(labels.get(jobs.ATTEMPT_LABEL)),
        failures=_number(annotations.get(jobs.FAILURES_ANNOTATION)),
        task=str(labels.get(jobs.TASK_LABEL, "")),
        created_at=datetime.fromisoformat(meta["creationTimestamp"]),
        deleting=meta.get("deletionTimestamp") is not None,
        result="Failed" if failed else "Complete" if complete else "Running",
        failure_reason=str((failed or {}).get("reason", "")),
        finished_at=datetime.fromisoformat(end["lastTransitionTime"]) if end else None,
        volume=str(annotations.get(jobs.VOLUME_ANNOTATION, "")),
        claim=_claim_of(annotations.get(jobs.CLAIM_ANNOTATION)),
        made_of=str(annotations.get(jobs.MADE_OF_ANNOTATION, "")),
        pods_ended=int(status.get("failed") or 0) + int(status.get("succeeded") or 0),
        pods_open=_pods_open(status),
        proven=tuple(name for name in str(annotations.get(jobs.ENDED_ANNOTATION, "")).split(",") if name),
    )


def _fetch_of(body: Object) -> str:
    """Return the uid of the fetch that a Job or Pod is labelled with, empty without one."""
    return str((body["metadata"].get("labels") or {}).get(jobs.FETCH_LABEL, ""))


def _may_run(resource: Resource, body: Object) -> bool:
    """Whether a Job may still make Pods, or a Pod's processes may still run."""
    return read_job(body).result == "Running" if resource is JOBS else not read_end(body).terminated


def _pods_open(status: Object) -> int:
    uncounted = status.get("uncountedTerminatedPods") or {}
    counts = (int(status.get(name) or 0) for name in ("active", "terminating"))
    return sum(counts) + sum(len(uncounted.get(name) or ()) for name in ("failed", "succeeded"))


def _number(text: Any) -> int:
    is_number = isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= _DIGITS
    return int(text) if is_number else 0


def read_pod(body: Object, mount_failure: str | None = None) -> PodSeen:
    """Return the narrow view of a Pod."""
    meta, status = body["metadata"], body.get("status") or {}
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    scheduled, disrupted = conditions.get("PodScheduled", {}), conditions.get("DisruptionTarget", {})
    state = _container_state(body)
    waiting, terminated = state.get("waiting") or {}, state.get("terminated") or {}
    ending = meta.get("deletionTimestamp")
    refused = scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable"
    return PodSeen(
        name=meta["name"],
        phase=str(status.get("phase", "Pending")),
        node=body["spec"].get("nodeName"),
        reason=str(status.get("reason", "")),
        disrupted=disrupted.get("status") == "True",
        unschedulable=str(scheduled.get("message", "no node fits")) if refused else None,
        waiting_reason=str(waiting.get("reason", "")),
        waiting_message=str(waiting.get("message", "")),
        mount_failure=mount_failure,
        exit_code=terminated.get("exitCode"),
        exit_reason=str(terminated.get("reason", "")),
        deleting=ending is not None,
        gone_by=datetime.fromisoformat(ending) if ending is not None else None,
    )


def read_end(body: Object) -> PodEnd:
    """Return what is known about the end of a Pod."""
    meta, status = body["metadata"], body.get("status") or {}
    disrupted = {c.get("reason") for c in status.get("conditions") or () if _says_disrupted(c)}
    states = [
        container.get("state") or {}
        for kind in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
        for container in status.get(kind) or ()
    ]
    ours = "terminated" in _container_state(body) and status.get("phase") in ("Failed", "Succeeded")
    return PodEnd(
        terminated=ours and all(map(_was_seen_to_end, states)),
        forced=meta.get("deletionTimestamp") is not None and not meta.get("deletionGracePeriodSeconds"),
        lost=status.get("reason") == "NodeLost" or bool(disrupted & _GIVEN_UP),
    )


def _says_disrupted(condition: Object) -> bool:
    return condition.get("type") == "DisruptionTarget" and condition.get("status") == "True"


def _was_seen_to_end(state: Object) -> bool:
    """A kubelet that lost sight of a container while it ran calls it terminated, too, with a reason of its own."""
    return bool((state.get("terminated") or {}).get("reason", _UNSEEN_END) != _UNSEEN_END)


def _last_words(state: dict[str, Any]) -> Report | None:
    """Return the termination message of an ended container."""
    return parse(str((state.get("terminated") or {}).get("message") or ""))


def _container_state(body: Object) -> dict[str, Any]:
    for container in (body.get("status") or {}).get("containerStatuses") or ():
        if container.get("name") == jobs.CONTAINER:
            return dict(container.get("state") or {})
    return {}
