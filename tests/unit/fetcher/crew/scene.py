"""A hub with a large file, attempts that were there before, and pauses that take no time."""

import hashlib
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from modelfetch.api.order import FetchOrder
from modelfetch.devcluster.hub import FixtureHub, Rate
from modelfetch.fetcher.attempt import Surroundings, carry_out
from modelfetch.report import Report
from modelfetch.store.fs import Filesystem
from modelfetch.store.journal import Begun, Claim, Granted, Head, Record, Segment
from modelfetch.store.processes import Process
from modelfetch.store.store import Store
from modelfetch.transfer.reader import Identity
from modelfetch.transfer.segments import SEGMENT_BYTES
from tests.loopback import CLOCK
from tests.unit.store.partials import (
    CONTENT,
    DIGESTS,
    ELSEWHERE,
    FIRST,
    SECOND,
    THIRD,
    V1,
    leave,
    plant,
    state_after,
)

SIZE = len(CONTENT)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SMALL = {"config.json": b"{}", "README.md": b"hello"}
FILES = {**SMALL, "model.safetensors": CONTENT}
PATIENCE_S = 120.0
PACE = Rate(bytes_per_s=6 * 1024 * 1024)
KEPT = [Segment(0, start, SEGMENT_BYTES, digest) for start, digest in zip((FIRST, SECOND), DIGESTS, strict=False)]
"""What a journal says of the first two segments of the large file."""
OTHER_STATE = state_after(64)[:32] + state_after(SECOND)[32:]
"""A state that fits the length of the first segment, but not its bytes."""
BEFORE, LATE = 1.0, 4e9
"""Stamps of claims that go before and behind any that is made now."""


def sent(hub: FixtureHub) -> int:
    """Return how many bytes of large files crossed the network."""
    return sum(record.bytes_sent for record in hub.requests if record.port == "cdn")


def asked(hub: FixtureHub) -> list[str | None]:
    return [record.range for record in hub.requests if record.port == "cdn"]


def wait_until(condition: Callable[[], bool]) -> None:
    """Return as soon as others have made it true."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Hasty(threading.Event):
    """A stop that nobody waits for: each pause ends at once, after `act` was told how many there were before."""

    def __init__(self, act: Callable[[int], None] = lambda _pauses: None) -> None:
        super().__init__()
        self.pauses = 0
        self._act = act

    def wait(self, timeout: float | None = None) -> bool:
        """Return at once whether it was set."""
        self._act(self.pauses)
        self.pauses += 1
        return self.is_set()


def hurried(order: FetchOrder, volume: Path, stop: Hasty) -> Report:
    return carry_out(order, Surroundings(str(volume), lambda _report: None, stop, CLOCK))


def other(volume: Path, *records: Record, process: Process = ELSEWHERE, version: Identity = V1) -> Path:
    """Leave the folder of an attempt that seems to be at work on the large file, and has its first two segments."""
    with Store.open(str(volume), Filesystem()) as store:
        folder = leave(store, "other", [FIRST, SECOND], process)
        head = Head("other", "tests/first/uid-1", process)
        plant(store, folder.parts, [head, *records, Begun(0, SHA256, version), *KEPT])
    return volume / folder


def held(hub: FixtureHub, volume: Path, process: Process = ELSEWHERE) -> Path:
    """Leave one that fetches the large file of the hub, and was there first."""
    with urllib.request.urlopen(f"{hub.endpoint}/org/name/resolve/main/model.safetensors") as answer:
        version = replace(V1, etag=answer.headers["ETag"])
    hub.journal.clear()
    return other(volume, Claim(SHA256, SIZE, BEFORE), Granted(), process=process, version=version)


LAST_ONLY = [f"bytes={THIRD}-{SIZE - 1}"]
