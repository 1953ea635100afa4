"""An object of the API as a narrow view: what `decide` asks of it, and nothing else.

Comes in: the body of a resource, a Job, a Pod or a claim, as whoever wrote it left it. Goes out: a frozen view of core,
or a parsed resource together with what is wrong with it. Nothing raises on what somebody may have written.
"""

from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from modelfetch.api.fetch import ModelFetch, ModelFetchSpec
from modelfetch.api.fetch_status import ModelFetchStatus
from modelfetch.api.meta import ObjectMeta
from modelfetch.api.source import Source
from modelfetch.api.store import ModelStore, ModelStoreSpec, ModelStoreStatus
from modelfetch.controller.mirror import Object, controller_of
from modelfetch.core import job as jobs
from modelfetch.core.observed import ClaimSeen, JobSeen, PodEnd, PodSeen
from modelfetch.core.retry import Tally
from modelfetch.errors import sanitise
from modelfetch.kube.forms import CONTAINER_STATUSES
from modelfetch.kube.objects import JOBS, Resource
from modelfetch.report import Report, parse

Status = TypeVar("Status", bound=BaseModel)
_GIVEN_UP = frozenset(("DeletionByTaintManager", "DeletionByPodGC"))
"""Reasons for which the cluster ends a Pod without waiting for the word of its node."""
_NOT_SCHEDULED = frozenset(("Unschedulable", "SchedulingGated", "SchedulerError"))
"""Why a Pod has no node; the last where what the scheduler had to prepare there failed, such as the claim's volume."""
_UNSEEN_END = "ContainerStatusUnknown"
_DIGITS = 9
"""Of a number that somebody may have written on a Job; more of them are none of ours."""


def may_have_files(fetch: Object) -> bool:
    """Whether a fetch may have files on the volume, by its status: whether it tells of an attempt."""
    status = fetch.get("status") or {}
    return bool((status.get("attempt") or {}).get("number") or status.get("artifact"))


def is_ready(fetch: Object) -> bool:
    """Whether a fetch says that it is Ready."""
    told = (fetch.get("status") or {}).get("conditions") or ()
    return any((one.get("type"), one.get("status")) == ("Ready", "True") for one in told)


def read_fetch(body: Object) -> tuple[ModelFetch, str | None]:
    """Return a ModelFetch, and what its spec breaks where it does not parse (its spec then holds defaults).

    A status that does not parse counts as none: everything in it can be seen again.
    """
    meta = ObjectMeta.model_validate(body["metadata"])
    status = _status(ModelFetchStatus, body)
    try:
        return ModelFetch(metadata=meta, spec=ModelFetchSpec.model_validate(body.get("spec")), status=status), None
    except ValidationError as error:
        spec = ModelFetchSpec.model_construct(source=Source.model_construct(uri="(invalid)"))
        return ModelFetch.model_construct(metadata=meta, spec=spec, status=status), _first_problem(error)


def read_store(body: Object) -> tuple[ModelStore, str | None]:
    """Return a ModelStore, and what its spec breaks where it does not parse, as read_fetch does."""
    meta = ObjectMeta.model_validate(body["metadata"])
    status = _status(ModelStoreStatus, body)
    try:
        return ModelStore(metadata=meta, spec=ModelStoreSpec.model_validate(body.get("spec")), status=status), None
    except ValidationError as error:
        spec = ModelStoreSpec.model_construct(claim_name="(invalid)")
        return ModelStore.model_construct(metadata=meta, spec=spec, status=status), _first_problem(error)


def _status(kind: type[Status], body: Object) -> Status:
    try:
        return kind.model_validate(body.get("status") or {})
    except ValidationError:
        return kind()


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


def has_ended(report: Report | None) -> bool:
    """Whether a report tells of the end of its attempt."""
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
        tally=Tally(
            failures=_number(annotations.get(jobs.FAILURES_ANNOTATION)),
            disruptions=_number(annotations.get(jobs.DISRUPTIONS_ANNOTATION)),
        ),
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


def fetch_of(body: Object) -> str:
    """Return the uid of the fetch that a Job or Pod is labelled with, empty without one."""
    return str((body["metadata"].get("labels") or {}).get(jobs.FETCH_LABEL, ""))


def may_run(resource: Resource, body: Object) -> bool:
    """Whether a Job may still make Pods, or a Pod's processes may still run."""
    return read_job(body).result == "Running" if resource is JOBS else not read_end(body).terminated


def _pods_open(status: Object) -> int:
    uncounted = status.get("uncountedTerminatedPods") or {}
    counts = (int(status.get(name) or 0) for name in ("active", "terminating"))
    return sum(counts) + sum(len(uncounted.get(name) or ()) for name in ("failed", "succeeded"))


def _number(text: Any) -> int:
    is_number = isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= _DIGITS
    return int(text) if is_number else 0


def read_pod(body: Object, complaint: str | None = None) -> PodSeen:
    """Return the narrow view of a Pod."""
    meta, status = body["metadata"], body.get("status") or {}
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    scheduled, disrupted = conditions.get("PodScheduled", {}), conditions.get("DisruptionTarget", {})
    state = container_state(body)
    waiting, terminated = state.get("waiting") or {}, state.get("terminated") or {}
    refused = scheduled.get("status") == "False" and scheduled.get("reason") in _NOT_SCHEDULED
    return PodSeen(
        name=meta["name"],
        phase=str(status.get("phase", "Pending")),
        node=body["spec"].get("nodeName"),
        reason=str(status.get("reason", "")),
        message=str(disrupted.get("message") or status.get("message") or ""),
        disrupted=_says_disrupted(disrupted),
        given_up=_is_lost(status) and not _was_seen_to_end(state),
        unschedulable=str(scheduled.get("message", "no node fits")) if refused else None,
        waiting_reason=str(waiting.get("reason", "")),
        waiting_message=str(waiting.get("message", "")),
        complaint=complaint,
        exit_code=terminated.get("exitCode"),
        exit_reason=str(terminated.get("reason", "")),
        ran_s=_ran_s(terminated),
        is_cut_off=_is_cut_off(conditions, state),
        deleting=meta.get("deletionTimestamp") is not None,
        grace_s=float(meta.get("deletionGracePeriodSeconds") or 0),
    )


def _ran_s(terminated: Object) -> float | None:
    """Return for how long a container ran, as its node says; None of one that never started."""
    began, ended = (terminated.get(name) for name in ("startedAt", "finishedAt"))
    if began is None or ended is None:
        return None
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()


def _is_cut_off(conditions: Object, state: Object) -> bool:
    """Whether the cluster has taken Ready from a Pod whose container runs, as its node last said: that is silent.

    Ours has no readiness probe: a kubelet that answers calls it ready for as long as it runs.
    """
    ready, containers = (conditions.get(name, {}).get("status") for name in ("Ready", "ContainersReady"))
    return "running" in state and (ready, containers) == ("False", "True")


def read_end(body: Object) -> PodEnd:
    """Return what is known about the end of a Pod."""
    meta, status = body["metadata"], body.get("status") or {}
    states = [container.get("state") or {} for kind in CONTAINER_STATUSES for container in status.get(kind) or ()]
    ours = "terminated" in container_state(body) and status.get("phase") in ("Failed", "Succeeded")
    return PodEnd(
        terminated=ours and all(map(_was_seen_to_end, states)),
        forced=meta.get("deletionTimestamp") is not None and not meta.get("deletionGracePeriodSeconds"),
        lost=_is_lost(status),
    )


def _is_lost(status: Object) -> bool:
    disrupted = {c.get("reason") for c in status.get("conditions") or () if _says_disrupted(c)}
    return status.get("reason") == "NodeLost" or bool(disrupted & _GIVEN_UP)


def _says_disrupted(condition: Object) -> bool:
    return condition.get("type") == "DisruptionTarget" and condition.get("status") == "True"


def _was_seen_to_end(state: Object) -> bool:
    """A kubelet that lost sight of a container while it ran calls it terminated, too, with a reason of its own."""
    return bool((state.get("terminated") or {}).get("reason", _UNSEEN_END) != _UNSEEN_END)


def last_words(state: dict[str, Any]) -> Report | None:
    """Return the termination message of an ended container."""
    return parse(str((state.get("terminated") or {}).get("message") or ""))


def container_state(body: Object) -> dict[str, Any]:
    """Return the state of our container in a Pod, empty before it has one."""
    for container in (body.get("status") or {}).get("containerStatuses") or ():
        if container.get("name") == jobs.CONTAINER:
            return dict(container.get("state") or {})
    return {}
