"""A keyed queue: each key is in work at most once at a time, waits at most once, and comes back when it is due.

Comes in: keys from intake.py, due times from fetches.py and stores.py. Goes out: keys to the workers of loop.py. Time
is the event loop's own clock, so tests run it on simulated time.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Hashable
from datetime import datetime
from typing import Generic, TypeVar

Key = TypeVar("Key")

BACKOFF_FIRST_S = 1.0
BACKOFF_LARGEST_S = 60.0
"""Seconds; a reconcile that fails for a reason of the API server comes back after these at most."""


class KeyedQueue(Generic[Key]):
    """Keys that wait to be worked on; a key added while it is in work comes again right after."""

    def __init__(self, comes_first: Callable[[Key], bool] = lambda _: False) -> None:
        """Keys for which `comes_first` holds are few, and others wait for them."""
        self._comes_first = comes_first
        self._first: deque[Key] = deque()
        self._ready: deque[Key] = deque()
        self._waiting: dict[Key, float] = {}
        self._in_work: dict[Key, float] = {}
        """Since when."""
        self._again: defaultdict[Key, set[Hashable]] = defaultdict(set)
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}
        self._arrived = asyncio.Event()
        self._ended = asyncio.Event()
        self._is_closed = False
        self._pause: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Number of keys that are ready to be worked on."""
        return len(self._waiting)

    def oldest_s(self) -> float:
        """Seconds that the first of them has waited; 0.0 where none does."""
        return asyncio.get_running_loop().time() - next(iter(self._waiting.values())) if self._waiting else 0.0

    def add(self, key: Key, news: Hashable = None) -> None:
        """Have `key` worked on as soon as a worker is free; `news` is what `done` is asked about, None for anything."""
        if key in self._in_work:
            self._again[key].add(news)
        elif key not in self._waiting:
            line = self._first if self._comes_first(key) else self._ready
            self._waiting[key] = asyncio.get_running_loop().time()
            line.append(key)
            self._arrived.set()

    def schedule(self, key: Key, delay_s: float) -> None:
        """Have `key` worked on after `delay_s` seconds; replaces the time set before."""
        self.unschedule(key)
        loop = asyncio.get_running_loop()
        self._timers[key] = loop.call_later(max(delay_s, 0.0), self._due, key)

    def schedule_sooner(self, key: Key, delay_s: float) -> None:
        """Have `key` worked on after `delay_s` seconds, unless it is due earlier already."""
        timer = self._timers.get(key)
        if timer is None or timer.when() > asyncio.get_running_loop().time() + delay_s:
            self.schedule(key, delay_s)

    def look_again(self, key: Key, at: datetime | None, now: datetime) -> None:
        """Have `key` worked on at the time that its work of `now` has named, or not before somebody asks."""
        if at is None:
            self.unschedule(key)
        else:
            self.schedule(key, (at - now).total_seconds())

    def unschedule(self, key: Key) -> None:
        """Forget the time set for `key`."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()

    def _due(self, key: Key) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def pause(self, delay_s: float) -> None:
        """Give out no key for `delay_s` seconds, or for as long as was said before, where that is longer."""
        loop = asyncio.get_running_loop()
        if self._is_closed or (self._pause is not None and self._pause.when() >= loop.time() + delay_s):
            return
        if self._pause is not None:
            self._pause.cancel()
        self._pause = loop.call_later(delay_s, self._go_on)

    def _go_on(self) -> None:
        self._pause = None
        self._arrived.set()

    async def get(self) -> Key:
        """Return the next key and count it as in work; waits for one, for ever once closed."""
        while self._is_closed or self._pause is not None or not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        key = (self._first or self._ready).popleft()
        del self._waiting[key]
        self._in_work[key] = asyncio.get_running_loop().time()
        return key

    def done(self, key: Key, is_known: Callable[[Hashable], bool] = lambda _: False) -> None:
        """Say that the work on `key` has ended; it comes again where there was news that this work has not known."""
        self._in_work.pop(key, None)
        self._ended.set()
        if not all(map(is_known, self._again.pop(key, ()))):
            self.add(key)

    def failed(self, key: Key, at_least_s: float = 0.0) -> float:
        """Schedule `key` after a delay that doubles with each failure in a row; return the delay in seconds."""
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        delay = max(at_least_s, min(BACKOFF_LARGEST_S, BACKOFF_FIRST_S * 2.0 ** min(count, 10)))
        self.schedule(key, delay)
        return delay

    def succeeded(self, key: Key) -> None:
        """Forget the failures of `key`."""
        self._failures.pop(key, None)

    async def until_idle(self) -> None:
        """Wait until no key is in work."""
        while self._in_work:
            await self._next_end()

    async def until_begun(self) -> None:
        """Wait until every key that is ready now has been given out; others may come meanwhile."""
        now = asyncio.get_running_loop().time()
        while self._waiting and next(iter(self._waiting.values())) <= now:
            await self._next_end()

    async def until_done(self) -> None:
        """Wait until the work on every key that is ready or in work now has ended; others may come meanwhile."""
        await self.until_begun()
        now = asyncio.get_running_loop().time()
        while any(since <= now for since in self._in_work.values()):
            await self._next_end()

    async def _next_end(self) -> None:
        self._ended.clear()
        await self._ended.wait()

    def close(self) -> None:
        """No further key is given out, no timer is left; what is in work goes on."""
        self._is_closed = True
        for timer in (*self._timers.values(), *([self._pause] if self._pause is not None else [])):
            timer.cancel()
        self._timers.clear()
