"""A run on a volume that may fall silent: a call that the kernel does not return can be neither ended nor waited for.

Comes in: an order and its surroundings. Goes out: the last report; or, when the volume has not answered for too long,
one of StorageUnavailable, while the run still hangs: the program then tells it and leaves at once. It cannot end for
good before the kernel gives its threads back, so nobody begins another one beside it.
"""

import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NoReturn

from modelfetch.api.order import FetchOrder, Order, OrderTransfer
from modelfetch.errors import FetchError
from modelfetch.fetcher import outcome
from modelfetch.fetcher.attempt import Surroundings, carry_out
from modelfetch.reasons import Reason
from modelfetch.report import Report

STALLS = 4
"""How many stall timeouts a volume may be silent: four minutes by default. Servers that fail over take two."""

_LOOK_S = 1.0


@dataclass(frozen=True)
class Attended:
    """How a run ended; where `is_stuck`, threads of it hang in the kernel and the program must not wait for them."""

    report: Report
    is_stuck: bool


def attend(order: Order, around: Surroundings) -> Attended:
    """Carry the order out, for as long as the volume answers; what is emitted ends before this returns."""
    transfer = order.transfer if isinstance(order, FetchOrder) else OrderTransfer()
    limit_s, teller = STALLS * transfer.stall_timeout_s, _Teller(around.emit)
    ended: list[Report] = []

    def work() -> None:
        ended.append(carry_out(order, replace(around, emit=teller.tell)))

    run = threading.Thread(target=work, name="run", daemon=True)
    pulse = _Pulse(around.volume, around.clock.monotonic)
    run.start()
    pulse.start()
    while run.is_alive():
        run.join(_LOOK_S)
        if pulse.silence_s() > limit_s and run.is_alive():
            error = FetchError(
                Reason.STORAGE_UNAVAILABLE, f"expected the volume to answer within {limit_s:g} s, it is silent"
            )
            last = teller.end() or Report(event="progress", at=around.clock.now(), step="Resolving")
            return Attended(outcome.failed(last, error), True)
    pulse.stop()
    return Attended(ended[0], False)


def leave(code: int) -> NoReturn:
    """End the program with this exit code without waiting for any thread; what was written is written."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class _Teller:
    """Hands reports on until it is ended, and keeps the last one."""

    def __init__(self, emit: Callable[[Report], None]) -> None:
        self._emit = emit
        self._last: Report | None = None
        self._is_over = False
        self._lock = threading.Lock()

    def tell(self, report: Report) -> None:
        """Hand a report on."""
        with self._lock:
            if not self._is_over:
                self._last = report
                self._emit(report)

    def end(self) -> Report | None:
        """Nothing is handed on any more; return the last that was."""
        with self._lock:
            self._is_over = True
            return self._last


class _Pulse:
    """Asks the volume something small from time to time, in a thread that may hang in it."""

    def __init__(self, volume: str, monotonic: Callable[[], float]) -> None:
        self._volume = volume
        self._monotonic = monotonic
        self._asked_s: float | None = None
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more; an answer that is still out is not waited for."""
        self._is_over.set()
        self._thread.join(_LOOK_S)

    def silence_s(self) -> float:
        """Return for how many seconds an answer has been out."""
        asked_s = self._asked_s
        return 0.0 if asked_s is None else self._monotonic() - asked_s

    def _run(self) -> None:
        while not self._is_over.wait(_LOOK_S):
            self._asked_s = self._monotonic()
            try:
                os.statvfs(self._volume)
            except OSError:
                pass  # an error is an answer: whoever works on the volume meets it, too
            self._asked_s = None
