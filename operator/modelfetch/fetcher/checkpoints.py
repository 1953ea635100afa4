"""Makes what was received durable while the fetch goes on, and shows others that this attempt is at work.

Comes in: an ingest. Goes out: a checkpoint every second or every 64 MiB, whatever comes first, so that a power cut
costs at most what came since; a sign of life every few seconds.
"""

import threading
from types import TracebackType
from typing import Self

from modelfetch.errors import FetchError
from modelfetch.store.ingest import Ingest

INTERVAL_S = 1.0
BYTES = 64 * 1024 * 1024
BEAT_INTERVALS = 5
"""Intervals between two signs of life; far below attempts.LIVING_S."""


class Checkpoints:
    """A thread that checkpoints `ingest` every `interval_s` seconds while the context is held."""

    def __init__(self, ingest: Ingest, interval_s: float = INTERVAL_S) -> None:
        self._ingest = ingest
        self._interval_s = interval_s
        self._wake = threading.Event()
        self._is_over = False
        self._written = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True
        self._wake.set()
        self._thread.join()

    def wrote(self, size: int) -> None:
        """Count `size` bytes that are not durable yet."""
        with self._lock:
            self._written += size
            is_due = self._written >= BYTES
        if is_due:
            self._wake.set()

    def _run(self) -> None:
        beats = 0
        while not self._is_over:
            self._wake.wait(self._interval_s)
            self._wake.clear()
            with self._lock:
                self._written = 0
            beats += 1
            try:
                self._ingest.checkpoint()
                if beats % BEAT_INTERVALS == 0:
                    self._ingest.journal.beat()
            except FetchError:
                continue  # the files have been told, and those that write next meet the same volume
