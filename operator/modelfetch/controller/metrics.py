"""What Prometheus is told of the operator. Every label has a bounded set of values: no name, namespace or address.

Comes in: counts from the loop and the client as they happen; the mirror and the queue when somebody asks. Goes out: the
text of /metrics. Names and units by Prometheus' conventions; one registry for each operator, so that tests have theirs.
"""

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from modelfetch import __version__
from modelfetch.api.fetch_status import ModelFetchStatus, Phase
from modelfetch.core.conditions import PLAIN_REASONS
from modelfetch.reasons import Reason

Object = dict[str, Any]

PUBLISHED = "Published"
"""The label's value of an attempt that did well, where others have their reason."""

OTHER = "Other"
"""The label's value where a string comes from outside and is none that we know."""
_STEPS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_FETCHES_S = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)
_REASONS = frozenset(Reason)
_PHASES = frozenset(get_args(Phase))
_ABNORMAL = ("Stalled", "Reconciling")


@dataclass(frozen=True)
class Sources:
    """What is asked for at each scrape. Ages in seconds; `queue` is how many keys are ready, and the oldest's age."""

    fetches: Callable[[], Iterable[Object]]
    queue: Callable[[], tuple[int, float]]
    watch_ages_s: Callable[[], Iterable[tuple[str, float]]]
    is_leader: Callable[[], bool]


class Metrics:
    """The operator's metrics; see docs/metrics.md for what each one means."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._attempts = self._counter(
            "attempts", "Attempts that ended, or could not start: Published, or why not.", "reason"
        )
        self._bytes = self._counter("fetched_bytes", "Bytes that published attempts brought over the network.")
        self._attempt_s = Histogram(
            "modelfetch_attempt_duration_seconds",
            "From the start of an attempt to what it published.",
            buckets=_FETCHES_S,
            registry=self._registry,
        )
        self._reconcile_s = Histogram(
            "modelfetch_reconcile_duration_seconds",
            "Time that one look at a resource took, its writes included.",
            ["kind"],
            buckets=_STEPS_S,
            registry=self._registry,
        )
        self._errors = self._counter("reconcile_errors", "Looks that failed and come back later.", "kind")
        self._requests = self._counter(
            "api_requests", "Requests to the API server; code 0 without an answer.", "verb", "resource", "code"
        )

    def _counter(self, name: str, words: str, *labels: str) -> Counter:
        return Counter(f"modelfetch_{name}", words, labels, registry=self._registry)

    def serve(self, sources: Sources) -> None:
        """From now on a scrape asks `sources`, too."""
        self._registry.register(_Scrape(sources))

    def text(self) -> bytes:
        """Return Prometheus' text format."""
        return generate_latest(self._registry)

    def reconciled(self, kind: str, seconds: float, *, ok: bool) -> None:
        """A look at a resource of `kind` ended."""
        self._reconcile_s.labels(kind).observe(seconds)
        if not ok:
            self._errors.labels(kind).inc()

    def requested(self, verb: str, resource: str, code: int) -> None:
        """The API server answered `code`, 0 where it did not."""
        self._requests.labels(verb, resource, str(code)).inc()

    def told(self, before: ModelFetchStatus, after: ModelFetchStatus) -> None:
        """A status went from `before` to `after`: an attempt that ended, or could not start, is counted."""
        error, known = after.last_error, before.last_error
        if error is not None and (known is None or (error.at, error.reason) != (known.at, known.reason)):
            self._attempts.labels(_known(error.reason)).inc()
        artifact, earlier = after.artifact, before.artifact
        if artifact is not None and (earlier is None or artifact.published_at != earlier.published_at):
            self._published(after, artifact.published_at)

    def _published(self, status: ModelFetchStatus, published_at: str) -> None:
        self._attempts.labels(PUBLISHED).inc()
        if status.attempt is not None and status.attempt.started_at is not None:
            self._attempt_s.observe(max(0.0, _seconds(published_at) - _seconds(status.attempt.started_at)))
        if status.progress is not None:
            self._bytes.inc(max(0, (status.progress.bytes_done or 0) - (status.progress.bytes_reused or 0)))


class _Scrape(Collector):
    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """Yield what is true at this moment."""
        tally = Tally(map(_phase_and_reason, self._sources.fetches()))
        yield _gauge("fetches", "ModelFetches by phase, and why where they are not ready.", ("phase", "reason"), tally)
        depth, age_s = self._sources.queue()
        yield _gauge("reconcile_queue_depth", "Resources that wait to be looked at.", (), {(): depth})
        yield _gauge("reconcile_queue_age_seconds", "How long the oldest of them has waited.", (), {(): age_s})
        ages = {(kind,): age for kind, age in self._sources.watch_ages_s()}
        yield _gauge("watch_age_seconds", "Since the last event of a kind.", ("kind",), ages)
        yield _gauge("leader", "1 where this replica leads.", (), {(): float(self._sources.is_leader())})
        yield _gauge("build_info", "1, for its label.", ("version",), {(__version__,): 1})


def _gauge(name: str, words: str, labels: tuple[str, ...], values: Any) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"modelfetch_{name}", words, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric(key, value)
    return family


def _phase_and_reason(body: Object) -> tuple[str, str]:
    status = body.get("status") or {}
    phase = status.get("phase") or "Pending"
    abnormal = {c.get("type"): c.get("reason", "") for c in status.get("conditions") or () if c.get("status") == "True"}
    reason = next((abnormal[kind] for kind in _ABNORMAL if kind in abnormal), "")
    return phase if phase in _PHASES else OTHER, "" if phase == "Ready" else _known(reason)


def _known(reason: str) -> str:
    if reason in _REASONS:
        return reason
    return "" if not reason or reason in PLAIN_REASONS else OTHER


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
