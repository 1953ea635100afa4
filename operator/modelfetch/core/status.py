"""The status of a ModelFetch from how it stands: assembled here, with the texts for `kubectl get`'s columns."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from modelfetch.api.fetch import ModelFetch
from modelfetch.api.fetch_status import (
    ArtifactStatus,
    AttemptStatus,
    Display,
    LastError,
    ModelFetchStatus,
    ProgressStatus,
    ResolvedStatus,
)
from modelfetch.api.meta import StatusModel
from modelfetch.api.source import describe
from modelfetch.core import conditions
from modelfetch.core.conditions import Standing, timestamp
from modelfetch.core.observed import JobSeen
from modelfetch.core.outcome import Failure, Published
from modelfetch.core.retry import Tally
from modelfetch.report import Progress, Report, Resolved

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_VOLATILE = ("progress", "queue", "fetches")


def human_size(size_bytes: float) -> str:
    """Return a size for people: `86.7 MiB`."""
    for unit in _UNITS:
        if size_bytes < 1024 or unit == _UNITS[-1]:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1024
    raise AssertionError("unreachable: the last unit takes any size")


def human_time(seconds: int) -> str:
    """Return a time for people in the two largest units: `1h30m`, `45s`."""
    hours, rest = divmod(max(seconds, 0), 3600)
    minutes, secs = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m"
    return f"{minutes}m{secs}s" if minutes else f"{secs}s"


def resolved_status(resolved: Resolved) -> ResolvedStatus:
    """Return what the fetcher resolved, in the form of the status."""
    return ResolvedStatus(**resolved.model_dump())


def progress_status(progress: Progress, read_at: datetime) -> ProgressStatus:
    """Return the fetcher's counters with the percentage and the time at which it read them."""
    percent = 0 if progress.bytes_total == 0 else min(100, 100 * progress.bytes_done // progress.bytes_total)
    return ProgressStatus(percent=percent, updated_at=timestamp(read_at), **progress.model_dump())


def artifact_status(published: Published, claim_name: str, root: str, volume: str | None) -> ArtifactStatus:
    """Return the artifact as consumers address it: a path on the claim, not in the store; `volume` is behind that."""
    artifact = published.artifact
    path = f"{root}/{artifact.path}" if root else artifact.path
    return ArtifactStatus(
        digest=artifact.digest,
        path=path,
        uri=f"pvc://{claim_name}/{path}",
        revision=artifact.commit,
        files=artifact.files,
        bytes=artifact.bytes,
        self_asserted=artifact.self_asserted,
        published_at=timestamp(published.at),
        volume_name=volume,
    )


def attempt_status(job: JobSeen, tally: Tally, node: str | None = None) -> AttemptStatus:
    """Return what the status tells of the attempt that a Job is, with what has gone wrong up to now."""
    started = timestamp(job.created_at)
    return AttemptStatus(number=job.attempt, job_name=job.name, started_at=started, node=node, **asdict(tally))


def last_error(failure: Failure, *, retryable: bool) -> LastError:
    """Return why an attempt failed, with what to do."""
    row = failure.reason.row
    return LastError(
        reason=failure.reason,
        message=conditions.fit(failure.message, 1024),
        remedy=row.remedy if retryable else row.last_remedy,
        retryable=retryable,
        file=None if failure.file is None else conditions.fit(failure.file, 512),
        at=timestamp(failure.at),
    )


def assemble(
    fetch: ModelFetch, standing: Standing, now: datetime, report: Report | None = None, **changes: Any
) -> ModelFetchStatus:
    """Return the whole next status: `standing` as conditions and phase, `report`'s facts, `changes`, the rest kept.

    Fields that speak of a wait (queue, nextRetryTime) do not outlive it: they are set by `changes` or absent.
    """
    old = fetch.status
    generation = fetch.metadata.generation
    values: dict[str, Any] = {"queue": None, "next_retry_time": None}
    if report is not None and report.resolved is not None:
        values["resolved"] = resolved_status(report.resolved)
    if report is not None:
        values["progress"] = progress_status(report.progress, report.at)
    values |= changes
    values |= {
        "observed_generation": generation,
        "phase": standing.phase,
        "conditions": conditions.make(standing, old.conditions, generation, now),
    }
    status = old.model_copy(update=values)
    return status.model_copy(update={"display": display(fetch, status)})


def display(fetch: ModelFetch, status: ModelFetchStatus) -> Display:
    """Return the texts of the columns."""
    progress, resolved, artifact = status.progress, status.resolved, status.artifact
    moving = status.phase == "Downloading" and progress is not None
    size = artifact.bytes if artifact is not None and status.phase == "Ready" else resolved and resolved.total_bytes
    commit = artifact.revision if artifact is not None and status.phase == "Ready" else resolved and resolved.commit
    return Display(
        source=_source_text(fetch)[:256],
        revision=(commit or "")[:7] or None,
        progress=_progress_text(status),
        size=human_size(size) if size else None,
        speed=f"{human_size(progress.bytes_per_second or 0)}/s" if moving and progress is not None else None,
        eta=human_time(progress.eta_seconds) if moving and progress and progress.eta_seconds is not None else None,
    )


def _source_text(fetch: ModelFetch) -> str:
    source = fetch.spec.source
    return str(source.uri) if source.uri is not None else describe(source.normalise())


def _progress_text(status: ModelFetchStatus) -> str | None:
    if status.phase == "Ready":
        return "100%"
    if status.queue is not None:
        return f"queued #{status.queue.position}"
    if status.progress is None or status.progress.percent is None:
        return None
    return f"{status.progress.percent}%"


def dump(status: StatusModel) -> dict[str, Any]:
    """Return the status as it is applied: absent fields left out, so that server-side apply removes them."""
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)


def differs_in_substance(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """True when more than counters, queue positions and counts of fetches changed; those may wait for a later write."""
    return _substance(old) != _substance(new)


def _substance(status: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in status.items() if key not in (*_VOLATILE, "display")}
    shown = dict(status.get("display") or {})
    return kept | {"display": {key: shown.get(key) for key in ("source", "revision", "size")}}
