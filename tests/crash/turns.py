"""Several programs in one, step by step: an order that a seed chooses, the same each time.

Comes in: functions that call a hook at each step. Goes out: which of them failed. One thread runs at a time.
"""

import random
import threading
from collections.abc import Callable

from modelfetch.errors import FetchError


class Turns:
    """Lets one of several threads go on at a time; `watch` is told the number of each turn, counted from 0."""

    def __init__(self, seed: int, watch: Callable[[int], None] = lambda _turn: None) -> None:
        self._random = random.Random(seed)
        self._watch = watch
        self._turn = 0
        self._lock = threading.Lock()
        self._calls: dict[str, threading.Semaphore] = {}
        self._waiting: set[str] = set()
        self._running: set[str] = set()

    def run(self, acts: dict[str, Callable[[Callable[[str], None]], None]]) -> dict[str, FetchError]:
        """Run all acts to their ends and return which of them failed."""
        errors: dict[str, FetchError] = {}
        self._running = set(acts)
        self._calls = {name: threading.Semaphore(0) for name in acts}

        def play(name: str) -> None:
            self._wait(name)  # what comes before the first step is not done at once with others, either
            try:
                acts[name](lambda _step: self._take_turn(name))
            except FetchError as error:
                errors[name] = error
            finally:
                with self._lock:
                    self._running.discard(name)
                    self._choose()

        threads = [threading.Thread(target=play, args=(name,)) for name in sorted(acts)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return errors

    def _take_turn(self, name: str) -> None:
        self._wait(name)
        self._turn += 1
        self._watch(self._turn - 1)

    def _wait(self, name: str) -> None:
        with self._lock:
            self._waiting.add(name)
            self._choose()
        self._calls[name].acquire()

    def _choose(self) -> None:
        """Call the next one, once all wait."""
        if self._running and self._waiting == self._running:
            chosen = self._random.choice(sorted(self._waiting))
            self._waiting.discard(chosen)
            self._calls[chosen].release()
