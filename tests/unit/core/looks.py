"""Builders for the core's tests: a valid look at a ModelFetch by default, plus what a case is about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from modelfetch.api.fetch import RECONCILE_ANNOTATION, ModelFetch
from modelfetch.api.store import ModelStore
from modelfetch.core import fetch as core
from modelfetch.core.decisions import FetchDecision
from modelfetch.core.job import fetch_order, job_name, made_of, spec_hash, volume_of
from modelfetch.core.observed import ClaimSeen, JobSeen, Observed, PodEnd, PodSeen, Settings, Slot, Wanted
from modelfetch.core.retry import Tally
from modelfetch.core.status import dump
from modelfetch.reasons import Reason
from modelfetch.report import Artifact, Report, Resolved

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
SETTINGS = Settings(image="example.com/modelfetch:1")
CLAIM = ClaimSeen("Bound", "claim-uid", "pv-1")
UID = "11111111-2222-3333-4444-555555555555"
ARTIFACT = Artifact(
    digest="sha256:" + "a" * 64, path="models/demo/minilm/c0ffee-aaaa", commit="c" * 40, files=2, bytes=2048
)


def store(**spec: Any) -> ModelStore:
    """Return a ModelStore `default` on the claim `models`."""
    return ModelStore.model_validate(
        {
            "metadata": {"name": "default", "namespace": "demo", "uid": "store-uid", "generation": 1},
            "spec": {"claimName": "models", **spec},
        }
    )


def fetch(spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None, **meta: Any) -> ModelFetch:
    """Return a ModelFetch `minilm` of a hub's repository."""
    return ModelFetch.model_validate(
        {
            "metadata": {
                "name": "minilm",
                "namespace": "demo",
                "uid": UID,
                "generation": 1,
                "creationTimestamp": "2026-11-21T11:59:00Z",
                **meta,
            },
            "spec": {"source": {"uri": "hf://acme/minilm"}, **(spec or {})},
            "status": status or {},
        }
    )


def look(of: ModelFetch | None = None, **changes: Any) -> Observed:
    """Return a look with a store, a bound claim, a free slot and no Job."""
    seen = Observed(now=NOW, fetch=of or fetch(), store=store(), claim=CLAIM, slot=Slot(granted=True, position=1))
    return replace(seen, **changes)


def wanted(seen: Observed) -> Wanted:
    """Return what the spec of a look asks for."""
    if not isinstance(seen.store, ModelStore):
        return Wanted(spec_hash(seen.fetch.spec), order=None)
    return Wanted(spec_hash(seen.fetch.spec), fetch_order(seen.fetch, seen.store, SETTINGS, "next"))


def decide(seen: Observed) -> FetchDecision:
    """Return the decision on a look."""
    return core.decide(wanted(seen), seen, SETTINGS)


def after(seen: Observed, **changes: Any) -> Observed:
    """Return the next look, once the status that was decided on `seen` is written."""
    status = decide(seen).status
    assert status is not None, "the decision left the status as it was"
    written = seen.fetch.model_copy(update={"status": type(status).model_validate(dump(status))})
    return replace(seen, **{"fetch": written, **changes})


def job(of: ModelFetch | None = None, attempt: int = 1, **changes: Any) -> JobSeen:
    """Return the running Job of an attempt."""
    hash_ = spec_hash((of or fetch()).spec)
    seen = JobSeen(
        name=job_name(UID, hash_, attempt),
        uid=f"job-{attempt}",
        owner_uid=UID,
        spec_hash=hash_,
        attempt=attempt,
        tally=Tally(),
        task="fetch",
        created_at=NOW - timedelta(seconds=30),
        volume=volume_of(store()),
        made_of=made_of(store(), SETTINGS),
        claim=CLAIM,
    )
    return replace(seen, **changes)


def ended_job(of: ModelFetch | None = None, attempt: int = 1, **changes: Any) -> JobSeen:
    """Return the failed Job of an attempt that ended just now."""
    end = {"result": "Failed", "finished_at": NOW, "pods": (PodEnd(terminated=True),), "pods_ended": 1}
    return job(of, attempt, **(end | changes))


def pod(**changes: Any) -> PodSeen:
    """Return a running Pod."""
    return replace(PodSeen(name="pod-1", phase="Running", node="node-1"), **changes)


def progress(step: str = "Downloading", done: int = 512, total: int = 1024) -> Report:
    """Return a report in the middle of an attempt."""
    return Report.model_validate(
        {
            "event": "progress",
            "at": NOW,
            "step": step,
            "resolved": _RESOLVED,
            "progress": {"bytesTotal": total, "bytesDone": done, "bytesPerSecond": 100, "etaSeconds": 5},
        }
    )


def failure(reason: Reason, message: str = "it did not work", step: str = "Downloading") -> Report:
    """Return the last report of an attempt that failed."""
    return Report.model_validate(
        {"event": "result", "at": NOW, "step": step, "ok": False, "reason": reason, "message": message}
    )


def success() -> Report:
    """Return the last report of an attempt that published."""
    return Report.model_validate(
        {
            "event": "result",
            "at": NOW,
            "step": "Publishing",
            "resolved": _RESOLVED,
            "progress": {"bytesTotal": 2048, "bytesDone": 2048},
            "ok": True,
            "artifact": ARTIFACT,
        }
    )


_RESOLVED = Resolved(revision="main", commit="c" * 40, total_bytes=2048, file_count=2)


def published() -> Observed:
    """Return the first look at a fetch after its attempt published."""
    return look(jobs=(job(result="Complete", finished_at=NOW),), pods={"job-1": pod()}, reports={"job-1": success()})


def ready() -> Observed:
    """Return the look at a fetch whose attempt published, with that already in its status."""
    return after(published())


def condition(seen: FetchDecision, type_: str) -> tuple[str, str] | None:
    """Return (status, reason) of a condition of a decision, or None where it is absent."""
    assert seen.status is not None, "the decision left the status as it was"
    return next(((c.status, c.reason) for c in seen.status.conditions if c.type == type_), None)


def failed(reason: Reason, attempt: int = 1, **tally: int) -> Observed:
    """Return a look at an attempt that has ended with `reason`, after what `tally` names."""
    return look(
        jobs=(ended_job(attempt=attempt, tally=Tally(**tally)),),
        pods={f"job-{attempt}": pod()},
        reports={f"job-{attempt}": failure(reason)},
    )


def asking(seen: Observed, value: str = "now") -> Observed:
    """Return `seen` after somebody asked for another try."""
    meta = seen.meta.model_copy(update={"annotations": {RECONCILE_ANNOTATION: value}})
    return replace(seen, fetch=seen.fetch.model_copy(update={"metadata": meta}))


def edited(seen: Observed) -> Observed:
    """Return `seen` with the next generation of the same spec."""
    meta = seen.meta.model_copy(update={"generation": seen.meta.generation + 1})
    return replace(seen, fetch=seen.fetch.model_copy(update={"metadata": meta}))


def with_spec(seen: Observed, **spec: Any) -> Observed:
    """Return `seen` after its spec was edited; what is not named is as in `fetch`."""
    return replace(seen, fetch=seen.fetch.model_copy(update={"spec": fetch(spec).spec}))
