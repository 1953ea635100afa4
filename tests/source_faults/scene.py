"""Where a fault of a source is tried: a volume, a real fetch onto it over real connections, time that can be turned.

Comes in: what to fetch, from servers that misbehave. Goes out: `Ending`, judged by `require_published` and
`require_ended`. Whatever happens, every blob on the volume must have its name's digest, and neither token nor query
string may be in anything that was said. Waits of the fetch take no time: they only turn its clock.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Lock
from typing import Any

from modelfetch.api.order import Egress, FetchOrder, OrderTransfer
from modelfetch.api.source import HttpSource, HuggingFaceSource
from modelfetch.cli import output
from modelfetch.devcluster.hub import FixtureHub
from modelfetch.fetcher.attempt import Surroundings, carry_out
from modelfetch.reasons import Reason
from modelfetch.report import Report
from modelfetch.transfer.clock import Clock
from tests.loopback import EGRESS, from_hub, order_for, published_files

TOKEN = "canary.5d20b7.must.not.be.seen"
SIGNATURE = "signature.e41c.must.not.be.seen"
"""Stands in query strings: whoever knows a signed address can use it."""

DEADLINE_S = 3600.0
STALL_S = 20.0
SECRETS = (TOKEN, SIGNATURE, "Bearer", "Traceback", "sig=")

_START = datetime(2026, 1, 1, tzinfo=UTC)


class Turned:
    """A clock that runs as ever and jumps where somebody says so.

    `waits` are the seconds of each wait; `on_wait` is called before each.
    """

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.on_wait: Callable[[], None] = lambda: None
        self.stop = _Stop(self)
        self.clock = Clock(self.monotonic, lambda: _START + timedelta(seconds=self._jumped_s))
        self._jumped_s = 0.0
        self._lock = Lock()

    def monotonic(self) -> float:
        """Return the seconds of the turned clock."""
        return time.monotonic() + self._jumped_s

    def jump(self, seconds: float) -> None:
        """It is `seconds` later."""
        with self._lock:
            self._jumped_s += seconds

    def note_wait(self, seconds: float) -> None:
        """Somebody waited `seconds`."""
        self.on_wait()
        self.waits.append(seconds)
        self.jump(seconds)


class _Stop(Event):
    """The event that ends a fetch; waiting for it takes no time."""

    def __init__(self, turned: Turned) -> None:
        super().__init__()
        self._turned = turned

    def wait(self, timeout: float | None = None) -> bool:
        """Return at once whether the event is set, after turning the clock."""
        assert timeout is not None
        if not self.is_set():
            self._turned.note_wait(timeout)
        return self.is_set()


@dataclass(frozen=True)
class Remote:
    """A file by URL: where it is, and the bytes that its publisher promises."""

    url: str
    content: bytes
    has_size: bool = True
    has_digest: bool = True

    def listed(self, path: str) -> dict[str, object]:
        """Return the entry of an order."""
        digest = {"sha256": hashlib.sha256(self.content).hexdigest()} if self.has_digest else {}
        return {"url": self.url, "path": path, **digest, **({"size": len(self.content)} if self.has_size else {})}


@dataclass(frozen=True)
class Ending:
    """How a fetch ended: its last report, what consumers see, everything it said, its waits and its duration."""

    report: Report
    files: dict[str, bytes]
    said: str
    damaged: list[str]
    waits: list[float]
    took_s: float

    @property
    def message(self) -> str:
        """What was expected, what came, where; empty when all went well."""
        return self.report.message or ""


@dataclass
class Scene:
    """A volume and the settings of the fetches onto it; `egress` allows loopback.

    `connections` are those of one file that is fetched alone, and for each of `parallel` files at once.
    """

    volume: Path
    connections: int = 1
    parallel: int = 4
    retries: int = 5
    deadline_s: float = DEADLINE_S
    stall_s: float = STALL_S
    egress: Egress = EGRESS
    token: str | None = None
    turned: Turned = field(default_factory=Turned)

    def fetch(self, url: str, content: bytes, *, has_size: bool = True, has_digest: bool = True) -> Ending:
        """Return how a fetch of the one file `file` at `url` ended, whose publisher promises `content`."""
        return self._fetch({"file": Remote(url, content, has_size, has_digest)}, 1)

    def fetch_all(self, files: Mapping[str, Remote]) -> Ending:
        """Return how a fetch of several files by URL ended."""
        return self._fetch(files, self.parallel)

    def _fetch(self, files: Mapping[str, Remote], parallel: int) -> Ending:
        source = HttpSource.model_validate({"files": [remote.listed(path) for path, remote in files.items()]})
        return self.run(order_for(source, **self._settings(parallel)))

    def fetch_hub(self, hub: FixtureHub, repo: str, **fields: Any) -> Ending:
        """Return how a fetch of a repository ended."""
        return self.run(from_hub(hub, repo, **{**self._settings(self.parallel), **fields}))

    def fetch_endpoint(self, endpoint: str, repo: str) -> Ending:
        """Return how a fetch of a repository of the hub at `endpoint` ended."""
        source = HuggingFaceSource.model_validate({"repo": repo, "endpoint": endpoint})
        return self.run(order_for(source, **self._settings(self.parallel)))

    def _settings(self, parallel: int) -> dict[str, Any]:
        transfer = OrderTransfer(
            parallel_files=parallel,
            connections_per_file=self.connections,
            stall_timeout_s=self.stall_s,
            deadline_s=self.deadline_s,
            request_retries=self.retries,
        )
        return {"transfer": transfer, "egress": self.egress, "has_token": self.token is not None}

    def run(self, order: FetchOrder) -> Ending:
        """Return how an order ended."""
        said: list[str] = []
        read_token = None if self.token is None else lambda: self.token or ""
        clock, stop = self.turned.clock, self.turned.stop
        around = Surroundings(str(self.volume), lambda report: said.append(report.line()), stop, clock, read_token)
        began, waited = self.turned.monotonic(), len(self.turned.waits)
        report = carry_out(order, around)
        took_s = self.turned.monotonic() - began
        told = "\n".join([*said, report.line(), *(output.failure(report) if report.reason else ())])
        files = published_files(self.volume)
        return Ending(report, files, told, damaged(self.volume), self.turned.waits[waited:], took_s)


def damaged(volume: Path) -> list[str]:
    """Return the blobs whose bytes are not those of their name."""
    blobs = [path for path in (volume / "blobs" / "sha256").rglob("*") if path.is_file()]
    return [path.name for path in blobs if hashlib.sha256(path.read_bytes()).hexdigest() != path.name]


def require_published(ending: Ending, files: Mapping[str, bytes]) -> None:
    """Return when a fetch ended well, and what consumers see is `files`, byte for byte."""
    _require_oracles(ending)

    assert True is ending.report.ok, ending.message
    # The bytes themselves would make a message of megabytes.
    assert sorted(files) == sorted(ending.files)
    assert [] == [path for path, content in files.items() if ending.files[path] != content]


def require_ended(ending: Ending, reason: Reason, *words: str) -> None:
    """Return when a fetch ended with exactly `reason`, with `words` in its message, and nothing for anyone to see."""
    _require_oracles(ending)
    report = ending.report

    assert (False, reason) == (report.ok, report.reason), ending.message
    assert (reason.row.last_remedy, reason.row.retryable) == (report.remedy, report.retryable)
    assert [] == [word for word in words if word not in ending.message], ending.message
    assert [] == sorted(ending.files)


def _require_oracles(ending: Ending) -> None:
    assert ([], []) == (ending.damaged, [secret for secret in SECRETS if secret in ending.said]), ending.said
    assert ending.took_s <= DEADLINE_S
