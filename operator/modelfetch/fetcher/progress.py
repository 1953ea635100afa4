"""Counters of one attempt, told as reports: at once when the step changes, else at most once a second.

Comes in: what the pipeline and the engine's threads have done. Goes out: `Report`s to a sink (a line on standard output,
or the command line's bars). Counters never go back: bytes that had to be thrown away count again only when they pass
what was already told.
"""

import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Self

from modelfetch import report
from modelfetch.report import Report, Resolved, Step

INTERVAL_S = 1.0
WINDOW_S = 10.0
"""The rate is that of the last ten seconds: long enough to be calm, short enough to show a stall."""

Emit = Callable[[Report], None]


class Progress:
    """Thread-safe counters; as a context manager it keeps telling, also while nothing arrives."""

    def __init__(self, emit: Emit, now: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        self._emit, self._now, self._monotonic = emit, now, monotonic
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._ticker = threading.Thread(target=self._tick_until_stopped, name="progress", daemon=True)
        self._step: Step = "Resolving"
        self._resolved: Resolved | None = None
        self._total = self._reused = self._files_total = self._files_done = 0
        self._done_by_file: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        self._received = self._told = 0
        self._current: str | None = None
        self._samples: deque[tuple[float, int]] = deque([(monotonic(), 0)])
        self._last_emit = monotonic()

    def __enter__(self) -> Self:
        self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._ticker.join()

    def enter(self, step: Step) -> None:
        """The attempt is at `step` now; told at once."""
        with self._lock:
            self._step = step
            self._tell()

    def resolve(self, resolved: Resolved, files: int, total_bytes: int) -> None:
        """What is fetched is known: so many files, so many bytes as far as the source lists sizes."""
        with self._lock:
            self._resolved, self._files_total, self._total = resolved, files, total_bytes

    def size(self, path: str, size: int) -> None:
        """A file whose size was not listed turned out to have `size` bytes."""
        with self._lock:
            self._total += size - self._sizes.get(path, 0)
            self._sizes[path] = size

    def reuse(self, size: int) -> None:
        """A file of `size` bytes is in the store already."""
        with self._lock:
            self._reused += size
            self._files_done += 1

    def receive(self, path: str, done: int) -> None:
        """Of `path`, `done` bytes are there now; called from any thread, as often as it likes."""
        with self._lock:
            self._received += done - self._done_by_file.get(path, 0)
            self._done_by_file[path] = done
            self._current = path
            self._tell_if_due()

    def finish(self, path: str, size: int) -> None:
        """The file `path` is verified and in the store."""
        with self._lock:
            self.receive(path, size)
            self._files_done += 1

    def snapshot(self) -> Report:
        """Return the report of this moment, as an event `progress`."""
        with self._lock:
            return Report(
                event="progress", at=self._now(), step=self._step, resolved=self._resolved, progress=self._counters()
            )

    def _counters(self) -> report.Progress:
        self._told = max(self._told, self._reused + self._received)
        total = max(self._total, self._told)
        rate = self._rate()
        return report.Progress(
            bytes_total=total,
            bytes_done=self._told,
            bytes_reused=self._reused,
            files_total=self._files_total,
            files_done=self._files_done,
            current_file=self._current[:512] if self._current else None,
            bytes_per_second=rate,
            eta_seconds=-(-(total - self._told) // rate) if rate and total > self._told else None,
        )

    def _rate(self) -> int:
        now = self._monotonic()
        while len(self._samples) > 1 and self._samples[1][0] <= now - WINDOW_S:
            self._samples.popleft()
        since, received = self._samples[0]
        if now - self._samples[-1][0] >= INTERVAL_S:
            self._samples.append((now, self._received))
        return max(0, int((self._received - received) / (now - since))) if now > since else 0

    def _tell_if_due(self) -> None:
        if self._monotonic() - self._last_emit >= INTERVAL_S:
            self._tell()

    def _tell(self) -> None:
        self._last_emit = self._monotonic()
        self._emit(self.snapshot())

    def _tick_until_stopped(self) -> None:
        while not self._stop.wait(INTERVAL_S):
            with self._lock:
                self._tell_if_due()
