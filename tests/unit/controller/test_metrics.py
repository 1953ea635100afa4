"""What /metrics says, and that no label of it grows with what users make."""

import re
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from modelfetch.api.fetch_status import ModelFetchStatus
from modelfetch.controller.metrics import OTHER, PUBLISHED, Metrics, Sources
from modelfetch.reasons import Reason
from tests.tree import ROOT

NOTHING = Sources(fetches=lambda: (), queue=lambda: (0, 0.0), watch_ages_s=lambda: (), is_leader=lambda: False)


def samples(metrics: Metrics) -> dict[str, dict[tuple[str, ...], float]]:
    """Return what is exposed: name, then label values in the order of their names, then the value."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            labels = tuple(sample.labels[name] for name in sorted(sample.labels))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def fetch(phase: str | None, **abnormal: str) -> dict[str, Any]:
    """Return a ModelFetch with conditions `abnormal`, by type their reason."""
    conditions = [{"type": kind, "status": "True", "reason": reason} for kind, reason in abnormal.items()]
    return {"status": {"phase": phase, "conditions": conditions}} if phase else {}


def serving(*fetches: dict[str, Any]) -> Metrics:
    """Return metrics over these ModelFetches."""
    metrics = Metrics()
    metrics.serve(Sources(lambda: fetches, lambda: (3, 1.5), lambda: [("Job", 2.0)], lambda: True))
    return metrics


def test_fetches_are_counted_by_phase_and_reason():
    """One that was never looked at is Pending; progress is no reason."""
    metrics = serving(
        fetch(None),
        fetch("Ready"),
        fetch("Ready"),
        fetch("Downloading", Reconciling="Progressing"),
        fetch("Pending", Reconciling="RateLimited"),
        fetch("Failed", Stalled="ChecksumMismatch"),
    )

    assert {
        ("Pending", ""): 1,
        ("Ready", ""): 2,
        ("Downloading", ""): 1,
        ("Pending", "RateLimited"): 1,
        ("Failed", "ChecksumMismatch"): 1,
    } == samples(metrics)["modelfetch_fetches"]


def test_the_state_of_the_moment_is_told():
    """Queue, watches and leadership are asked for at each scrape."""
    told = samples(serving())

    assert {(): 3} == told["modelfetch_reconcile_queue_depth"]
    assert {(): 1.5} == told["modelfetch_reconcile_queue_age_seconds"]
    assert {("Job",): 2} == told["modelfetch_watch_age_seconds"]
    assert {(): 1} == told["modelfetch_leader"]
    assert told["process_resident_memory_bytes"][()] > 1 << 20


def test_strings_from_outside_are_one_label():
    """A status that somebody forged, or that a newer version wrote, makes no new series."""
    told = samples(serving(*[fetch(f"phase-{n}", Stalled=f"reason-{n}") for n in range(100)]))

    assert {(OTHER, OTHER): 100} == told["modelfetch_fetches"]


STARTED = {"attempt": {"number": 1, "jobName": "job", "startedAt": "2026-11-21T12:00:00Z"}}
ARTIFACT = {
    "digest": "sha256:" + "a" * 64,
    "path": "models/demo/model/1",
    "uri": "pvc://models/models/demo/model/1",
    "revision": "b" * 40,
    "files": 1,
    "bytes": 1000,
    "publishedAt": "2026-11-21T12:01:30Z",
}
PROGRESS = {"percent": 100, "bytesTotal": 1000, "bytesDone": 1000, "bytesReused": 400, "filesTotal": 1, "filesDone": 1}
DONE = STARTED | {"artifact": ARTIFACT, "progress": PROGRESS | {"updatedAt": "2026-11-21T12:01:30Z"}}


def status(**fields: Any) -> ModelFetchStatus:
    """Return a status with these fields."""
    return ModelFetchStatus.model_validate(fields)


def failed(reason: str, at: str = "2026-11-21T12:00:10Z") -> ModelFetchStatus:
    """Return a status that tells of a failure."""
    error = {"reason": reason, "message": "it did not work", "remedy": "Wait.", "retryable": True, "at": at}
    return status(**STARTED, lastError=error)


def test_an_attempt_that_published_is_counted_once():
    """With its seconds and what crossed the network; the same artifact in another status is no other attempt."""
    metrics = Metrics()
    metrics.told(status(**STARTED), status(**DONE))
    metrics.told(status(**DONE), status(**DONE, phase="Suspended"))
    told = samples(metrics)

    assert {(PUBLISHED,): 1} == told["modelfetch_attempts_total"]
    assert {(): 90} == told["modelfetch_attempt_duration_seconds_sum"]
    assert {(): 600} == told["modelfetch_fetched_bytes_total"]


@pytest.mark.parametrize(("reason", "label"), [("RateLimited", "RateLimited"), ("FromTheFuture", OTHER)])
def test_an_attempt_that_failed_is_counted_once(reason, label):
    """By its reason; the status that goes on telling of it counts nothing."""
    metrics = Metrics()
    metrics.told(status(**STARTED), failed(reason))
    metrics.told(failed(reason), failed(reason))

    assert {(label,): 1} == samples(metrics)["modelfetch_attempts_total"]


def test_no_label_names_an_object():
    """Whatever happens, the series are at most these: reasons, phases, kinds, verbs, plural names and codes."""
    metrics = serving(*[fetch("Failed", Stalled=reason) for reason in Reason])
    for reason in Reason:
        metrics.told(status(), failed(reason))
    metrics.reconciled("ModelFetch", 0.1, ok=False)
    metrics.requested("GET", "jobs", 200)
    names = {
        name
        for family in text_string_to_metric_families(metrics.text().decode())
        for s in family.samples
        for name in s.labels
    }

    assert {"phase", "reason", "kind", "verb", "resource", "code", "version", "le"} == names
    assert sum(len(series) for series in samples(metrics).values()) < 250


def test_the_page_names_every_metric():
    """docs/metrics.md has a row for each of ours."""
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    ours = {
        family.name
        for family in text_string_to_metric_families(serving().text().decode())
        if family.name.startswith("modelfetch_") and not family.name.endswith("_created")
    }

    assert ours == {
        name.removesuffix("_total") for name in re.findall(r"^\| `(modelfetch_[a-z_]+)", page, re.MULTILINE)
    }
