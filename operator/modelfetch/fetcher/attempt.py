"""One run of an order on a volume, from its parts to its last report; what the fetcher and `modelfetch pull` share.

Comes in: an order, the volume's folder, where reports go, how the token is read, an event that stops it. Goes out: the
last report. Nothing is raised: every error becomes a report with its reason, every defect one with `Internal`.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Event

from modelfetch.api.order import FetchOrder, Order
from modelfetch.errors import FetchError
from modelfetch.fetcher import outcome
from modelfetch.fetcher.crew import Parts
from modelfetch.fetcher.pipeline import run
from modelfetch.fetcher.progress import Emit, Progress
from modelfetch.fetcher.secrecy import Secrecy
from modelfetch.reasons import Reason
from modelfetch.report import Artifact, Report, Step
from modelfetch.sources.registry import Access, ReadToken, open_source
from modelfetch.store.fs import Filesystem
from modelfetch.store.store import Store
from modelfetch.transfer.clock import Clock
from modelfetch.transfer.counters import Counters
from modelfetch.transfer.curl import Limits, Session
from modelfetch.transfer.engine import Bounds, Engine
from modelfetch.transfer.guard import EgressRules
from modelfetch.transfer.retry import Retry

_FIRST_STEPS: dict[str, Step] = {
    "fetch": "Resolving",
    "remove": "Removing",
    "survey": "Surveying",
    "check": "Checking",
}
Trace = Callable[[BaseException], None]
"""Takes a defect, for somebody who looks for its cause."""


@dataclass(frozen=True)
class Surroundings:
    """Where an order is carried out: `volume` is the claim's folder, `stop` ends the run within a second or two."""

    volume: str
    emit: Emit
    stop: Event
    clock: Clock
    read_token: ReadToken | None = None
    trace: Trace | None = None


def carry_out(order: Order, around: Surroundings) -> Report:
    """Return the last report of a run; it has not been emitted. Nothing of the run goes on afterwards."""
    counters = Counters(around.clock.monotonic)
    secrecy = Secrecy(around.read_token)
    progress = Progress(
        lambda report: around.emit(secrecy.keep(report)), around.clock.now, counters.snapshot, _FIRST_STEPS[order.task]
    )
    try:
        with progress:
            if not isinstance(order, FetchOrder):
                # Here, not above: fetches, which people wait for, never need it.
                from modelfetch.fetcher import tending

                return outcome.tended(progress.latest(), tending.tend(order, around.volume))
            artifact = _fetch(order, replace(around, read_token=secrecy.read_token), progress, counters)
        return secrecy.keep(outcome.published(progress.latest(), artifact))
    except FetchError as error:
        return secrecy.keep(outcome.failed(progress.latest(), error))
    except Exception as error:  # noqa: BLE001 - the last border: a defect must end in a report, too
        if around.trace is not None:
            around.trace(error)
        return secrecy.keep(outcome.failed(progress.latest(), outcome.defect(error)))


def _fetch(order: FetchOrder, around: Surroundings, progress: Progress, counters: Counters) -> Artifact:
    deadline = around.clock.monotonic() + order.transfer.deadline_s
    retry = Retry(order.transfer.request_retries, random.random, around.stop.wait, around.clock.monotonic, deadline)
    limits = Limits(stall_timeout_s=order.transfer.stall_timeout_s, deadline=deadline)
    rules = EgressRules.from_order(order.egress)

    def make_engine(store: Store) -> Engine:
        bounds = Bounds(order.limits.max_file_size, store.free_bytes)
        return Engine(order.transfer, retry, around.stop, counters, bounds)

    def check() -> None:
        if around.stop.is_set():
            raise FetchError(Reason.CANCELLED, "the fetch was stopped")
        if around.clock.monotonic() >= deadline:
            raise FetchError(
                Reason.DEADLINE_EXCEEDED, f"expected the fetch to end within {order.transfer.deadline_s:g} s"
            )

    def pause(seconds: float) -> None:
        around.stop.wait(seconds)
        check()

    with Session(rules, around.clock, around.stop, limits=limits, retry=retry, ca_file=order.egress.ca_file) as session:
        source = open_source(order, Access(session, around.read_token))
        parts = Parts(
            source=source,
            open_store=lambda: Store.open(around.volume, Filesystem(), path=order.root),
            make_engine=make_engine,
            progress=progress,
            check=check,
            pause=pause,
        )
        return run(order, parts)
