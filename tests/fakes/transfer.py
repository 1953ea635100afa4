"""Small stand-ins around the engine: a file in memory, waits that take no time, sessions for servers on loopback."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import ip_network

from modelfetch.transfer.clock import Clock
from modelfetch.transfer.curl import Limits, Session
from modelfetch.transfer.guard import EgressRules
from modelfetch.transfer.reader import Identity, IsOver, Opened, Sink, Span, never
from modelfetch.transfer.retry import Retry
from modelfetch.transfer.sink import NOTHING, Kept

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
LOOPBACK = EgressRules((ip_network("127.0.0.0/8"), ip_network("::1/128")), frozenset(), allow_http=True)
CLOCK = Clock(time.monotonic, lambda: NOW)


class MemorySink:
    """A FileSink in memory; `failure` is raised by the next write where set, `left` is what an earlier run left."""

    def __init__(self, failure: Exception | None = None, content: bytes = b"", left: Kept = NOTHING) -> None:
        self._content = bytearray(content)
        self.left = left
        self.identities: list[Identity] = []
        self.states: list[tuple[int, bytes | None]] = []
        self.truncations: list[int] = []
        self.failure = failure
        self._lock = threading.Lock()

    @property
    def content(self) -> bytes:
        """What is in the file."""
        with self._lock:
            return bytes(self._content)

    def kept(self, check: Callable[[], None]) -> Kept:
        """Return what was said to be here; nothing after it was cut."""
        check()
        return NOTHING if self.truncations else self.left

    def opened(self, identity: Identity) -> None:
        """Remember what is being served."""
        self.identities.append(identity)

    def read_at(self, offset: int, room: memoryview) -> None:
        """Fill `room`."""
        with self._lock:
            room[:] = self._content[offset : offset + len(room)]

    def hashed(self, size: int, state: bytes | None) -> None:
        """Remember how far the hash has come."""
        self.states.append((size, state))

    def write_at(self, offset: int, data: memoryview) -> None:
        """Put `data` at `offset`, zeros before it where nothing is yet."""
        if self.failure is not None:
            raise self.failure
        with self._lock:
            self._content.extend(bytes(max(0, offset + len(data) - len(self._content))))
            self._content[offset : offset + len(data)] = data

    def truncate(self, size: int) -> None:
        """Cut to `size` bytes."""
        self.truncations.append(size)
        with self._lock:
            del self._content[size:]


class Waits:
    """Takes the place of a sleep: remembers the seconds, returns at once."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> bool:
        """Remember `seconds`; nobody has stopped the fetch."""
        self.seconds.append(seconds)
        return False


class ScriptedReader:
    """A Reader that hands out `content` by `steps`: each read asks the next one what to do; the last stays."""

    def __init__(self, *steps: Callable[[Span, Sink, Opened], None]) -> None:
        self.steps = list(steps)
        self.reads: list[tuple[Span, Identity | None]] = []

    def read(self, span: Span, sink: Sink, expected: Identity | None, opened: Opened, is_over: IsOver = never) -> None:
        """Do what the next step says."""
        self.reads.append((span, expected))
        self.steps[min(len(self.reads), len(self.steps)) - 1](span, sink, opened)


def retry(retries: int = 5, wait: Callable[[float], bool] | None = None, deadline: float | None = None) -> Retry:
    """Return a Retry that waits no time and always draws the longest delay."""
    return Retry(retries, lambda: 1.0, wait or Waits(), time.monotonic, deadline)


def open_session(
    rules: EgressRules = LOOPBACK,
    stop: threading.Event | None = None,
    limits: Limits | None = None,
    retry: Retry | None = None,
    ca_file: str | None = None,
) -> Session:
    """Return a session that may reach loopback; close it after use."""
    return Session(rules, CLOCK, stop or threading.Event(), limits=limits, retry=retry, ca_file=ca_file)
