"""Shares the connections of a fetcher out to the large files under way, and seeks how many are worth having.

Comes in: files that begin and end, whether others wait, what was received in all, servers that ask for fewer requests.
Goes out: receivers that are started, and the number that each file shall have. Small files have connections of their
own; these files use what those leave of the budget.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread

from modelfetch.transfer.reception import Reception
from modelfetch.transfer.segments import SEGMENT_BYTES
from modelfetch.transfer.tuner import Tuner, shares

TICK_S = 0.05
"""Between two samples for the tuner."""

SHORT_BYTES = 8 * SEGMENT_BYTES
"""A request that ends early wastes what is on its way, a megabyte or so: for files of this size a tenth and more."""

Start = Callable[[], None]
"""Starts one receiver, which has entered its reception already."""


class Lanes:
    """Connections of large files, at most `budget` together with those of small ones, and at least one for each."""

    def __init__(
        self,
        tuner: Tuner,
        budget: int,
        received: Callable[[], int],
        monotonic: Callable[[], float],
        is_waiting: Callable[[], bool],
    ) -> None:
        self._tuner = tuner
        self._is_waiting = is_waiting
        self._most = tuner.limit
        self._budget = budget
        self._received = received
        self._monotonic = monotonic
        self._files: dict[Reception, Start] = {}
        self._beside = 0
        self._held_before_s = 0.0
        """How long receivers of files that have ended waited for memory."""
        self._ended = Event()
        self._lock = Lock()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Take samples and share out, in a thread, while the block runs."""
        thread = Thread(target=self._run, name="transfer-lanes")
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    @contextmanager
    def feed(self, reception: Reception, start: Start) -> Iterator[None]:
        """Give the file of `reception` its share until the block ends; its first receiver has entered already."""
        with self._lock:
            self._files[reception] = start
            self._share()
        try:
            start()
            yield
        finally:
            with self._lock:
                del self._files[reception]
                self._held_before_s += reception.held_s

    @contextmanager
    def beside(self) -> Iterator[None]:
        """One connection is used by somebody else while the block runs."""
        with self._lock:
            self._beside += 1
        try:
            yield
        finally:
            with self._lock:
                self._beside -= 1

    def busy(self) -> None:
        """A server asked for fewer requests."""
        with self._lock:
            self._tuner.refused(self._monotonic())
            self._share()

    def _run(self) -> None:
        while not self._ended.wait(TICK_S):
            with self._lock:
                self._sample()
                self._share()

    def _sample(self) -> None:
        self._tuner.limit = max(1, min(self._most, self._budget - self._beside, sum(self._rooms())))
        flowing = sum(reception.flowing for reception in self._files)
        held_s = self._held_before_s + sum(reception.held_s for reception in self._files)
        self._tuner.sample(self._monotonic(), self._received(), flowing, held_s)

    def _share(self) -> None:
        # A stalled connection also makes the tuner fall back: without one more, nobody would be left to take over.
        spare = any(file.is_late() for file in self._files)
        most = min(self._tuner.wished + spare, self._most, self._budget - self._beside)
        for reception, share in zip(list(self._files), shares(most, self._rooms()), strict=True):
            for _ in range(reception.want(share)):
                self._files[reception]()

    def _rooms(self) -> list[int]:
        """Return for each file how many connections it may have: a short one is divided when no other file waits."""
        is_waiting = self._is_waiting()
        return [1 if is_waiting and _is_short(file) else file.room() for file in self._files]


def _is_short(file: Reception) -> bool:
    return file.expected_size is not None and file.expected_size <= SHORT_BYTES
