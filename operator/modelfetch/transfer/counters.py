"""Progress as counters: the engine's threads add, whoever shows progress pulls a snapshot."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

RATE_WINDOW_S = 5.0
"""Seconds over which the rate is smoothed: long enough to be steady, short enough to show a stall."""


@dataclass(frozen=True)
class Snapshot:
    """Counters at one moment; `bytes_done` counts received and kept bytes, also those not verified yet."""

    bytes_done: int
    files_done: int
    current_files: tuple[str, ...]
    """Begun and not ended, in the order in which they began."""
    bytes_per_second: int


class Counters:
    """Counts bytes per file; safe to use from several threads."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = Lock()
        self._current: dict[str, int] = {}
        self._bytes_ended = 0
        self._files_done = 0
        self._received = 0
        self._samples: deque[tuple[float, int]] = deque([(monotonic(), 0)])

    def begin(self, path: str) -> None:
        """The file counts as current, with nothing received; also when it starts over."""
        with self._lock:
            self._current[path] = 0

    def add(self, path: str, size: int) -> None:
        """Count `size` more bytes of a current file."""
        with self._lock:
            self._current[path] += size
            self._received += size

    @property
    def received(self) -> int:
        """Bytes that came over the network, of all files, also those that were thrown away."""
        return self._received

    def drop(self, path: str, size: int) -> None:
        """Count `size` bytes of a current file as not done: they were thrown away."""
        with self._lock:
            self._current[path] -= size

    def keep(self, path: str, size: int) -> None:
        """Count `size` bytes of a current file that are here from an earlier run: done, but not received."""
        with self._lock:
            self._current[path] += size

    def end(self, path: str, *, done: bool) -> None:
        """The file is no longer current; its bytes stay counted only where it is `done`."""
        with self._lock:
            received = self._current.pop(path)
            if done:
                self._bytes_ended += received
                self._files_done += 1

    def snapshot(self) -> Snapshot:
        """Return the counters now; the rate is over what came since about RATE_WINDOW_S seconds ago."""
        with self._lock:
            now = self._monotonic()
            rate = self._rate(now)
            done = self._bytes_ended + sum(self._current.values())
            return Snapshot(done, self._files_done, tuple(self._current), rate)

    def _rate(self, now: float) -> int:
        self._samples.append((now, self._received))
        while len(self._samples) > 2 and self._samples[1][0] <= now - RATE_WINDOW_S:
            self._samples.popleft()
        since, before = self._samples[0]
        return int((self._received - before) / (now - since)) if now > since else 0
