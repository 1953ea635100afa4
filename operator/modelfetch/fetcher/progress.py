"""Counters of one attempt, told as reports: at once when the step changes, and once a second in between.

Comes in: what the pipeline knows and what the engine's counters say at the moment. Goes out: `Report`s to a sink (a
line on standard output, or the command line's bars). What is told never goes back: bytes that were thrown away count
again only when they pass what was told before.
"""

import threading
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Self

from modelfetch import report
from modelfetch.report import Report, Resolved, Step
from modelfetch.transfer.counters import Snapshot

INTERVAL_S = 1.0

Emit = Callable[[Report], None]
"""Takes a report; called from several threads, one call at a time."""


class Progress:
    """What an attempt has to tell; as a context manager it keeps telling by itself, also while nothing arrives."""

    def __init__(self, emit: Emit, now: Callable[[], datetime], counters: Callable[[], Snapshot], step: Step) -> None:
        self._emit, self._now, self._counters = emit, now, counters
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._ticker = threading.Thread(target=self._tell_until_stopped, name="progress", daemon=True)
        self._step: Step = step
        self._resolved: Resolved | None = None
        self._sizes: dict[str, int] = {}
        self._bytes_reused = self._files_reused = self._files_total = self._bytes_told = 0

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
            self._emit(self._report())

    def resolve(self, resolved: Resolved, sizes: dict[str, int | None]) -> None:
        """What is fetched is known: the files, each with its size as far as the source lists it."""
        with self._lock:
            self._resolved, self._files_total = resolved, len(sizes)
            self._sizes = {path: size for path, size in sizes.items() if size is not None}

    def learn_size(self, path: str, size: int) -> None:
        """A file whose size was not listed has `size` bytes."""
        with self._lock:
            self._sizes[path] = size

    def reuse(self, path: str, size: int) -> None:
        """A file of `size` bytes is in the store already."""
        with self._lock:
            self._sizes[path] = size
            self._bytes_reused += size
            self._files_reused += 1

    def latest(self) -> Report:
        """Return the report of this moment."""
        with self._lock:
            return self._report()

    def _report(self) -> Report:
        return Report(
            event="progress", at=self._now(), step=self._step, resolved=self._resolved, progress=self._progress()
        )

    def _progress(self) -> report.Progress:
        moved = self._counters()
        self._bytes_told = max(self._bytes_told, self._bytes_reused + moved.bytes_done)
        total, rate = max(sum(self._sizes.values()), self._bytes_told), moved.bytes_per_second
        left = total - self._bytes_told
        return report.Progress(
            bytes_total=total,
            bytes_done=self._bytes_told,
            bytes_reused=self._bytes_reused,
            files_total=self._files_total,
            files_done=self._files_reused + moved.files_done,
            current_file=moved.current_files[0][:512] if moved.current_files else None,
            bytes_per_second=rate,
            eta_seconds=-(-left // rate) if rate and left else None,
        )

    def _tell_until_stopped(self) -> None:
        while not self._stop.wait(INTERVAL_S):
            with self._lock:
                self._emit(self._report())
