"""What tests of sources and programs share: egress rules that allow loopback, and a session behind them."""

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modelfetch.api.order import Egress, FetchOrder, Order, OrderTransfer
from modelfetch.api.source import HttpSource, HuggingFaceSource
from modelfetch.devcluster.hub import FixtureHub
from modelfetch.fetcher.attempt import Surroundings, carry_out
from modelfetch.report import Report
from modelfetch.transfer.clock import Clock
from modelfetch.transfer.curl import Limits, Session
from modelfetch.transfer.guard import Credential, EgressRules, parse_url
from modelfetch.transfer.retry import Retry

EGRESS = Egress(allow_networks=("127.0.0.0/8",), allow_ports=(), allow_http=True)
_NUMBERS = itertools.count(1)
CLOCK = Clock(monotonic=time.monotonic, now=lambda: datetime.now(UTC))


@contextmanager
def loopback_session(
    waits: list[float] | None = None, retries: int = 3, egress: Egress = EGRESS, stall_timeout_s: float = 10.0
) -> Iterator[Session]:
    """Hold a session to loopback whose retries do not wait: the delays are appended to `waits`."""
    told = [] if waits is None else waits

    def note(delay_s: float) -> bool:
        told.append(delay_s)
        return False

    retry = Retry(retries=retries, chance=random.Random(0).random, wait=note, monotonic=time.monotonic)
    rules, limits = EgressRules.from_order(egress), Limits(stall_timeout_s=stall_timeout_s)
    with Session(rules, CLOCK, threading.Event(), limits=limits, retry=retry) as session:
        yield session


def credential(address: str, token: str) -> Credential:
    """Return a token bound to the origin of `address`."""
    return Credential(parse_url(address).origin, token)


def order_for(
    source: HuggingFaceSource | HttpSource, *, name: str = "model", retries: int = 2, **fields: Any
) -> FetchOrder:
    """Return an order of a test's owner that may use loopback; `fields` are further fields of the order."""
    given: dict[str, Any] = {
        "namespace": "tests",
        "name": name,
        "owner": "uid-1",
        "attempt": f"attempt-{next(_NUMBERS)}",
        "egress": EGRESS,
        "transfer": OrderTransfer(request_retries=retries, stall_timeout_s=5, deadline_s=120),
    }
    return FetchOrder(source=source, **{**given, **fields})


def from_hub(hub: FixtureHub, repo: str, **fields: Any) -> FetchOrder:
    """Return an order for a repository of `hub`; `revision`, `path` and `repo_type` belong to the source."""
    own = {field: fields.pop(field) for field in ("revision", "path", "repo_type") if field in fields}
    return order_for(HuggingFaceSource.model_validate({"repo": repo, "endpoint": hub.endpoint, **own}), **fields)


def fetch(order: Order, volume: Path, token: str | None = None, emit: Callable[[Report], None] | None = None) -> Report:
    """Carry `order` out on `volume` and return its last report."""
    told = emit or (lambda _report: None)
    read_token = None if token is None else lambda: token
    return carry_out(order, Surroundings(str(volume), told, threading.Event(), CLOCK, read_token))


def published_files(volume: Path, name: str = "model") -> dict[str, bytes]:
    """Return the files of the model's current revision; none where nothing is published."""
    current = volume / "models" / "tests" / name / "current"
    return {str(path.relative_to(current)): path.read_bytes() for path in current.rglob("*") if path.is_file()}
