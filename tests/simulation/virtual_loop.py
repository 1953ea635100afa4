"""An event loop on virtual time: no second really passes, nothing waits, and the same calls come in the same order.

It has what the operator uses of asyncio: tasks, futures, events, timers, sleep. Time moves only in `advance_to`.
"""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

EPOCH = datetime(2030, 1, 1, tzinfo=UTC)


class VirtualLoop(asyncio.AbstractEventLoop):
    """Runs callbacks when it is told to; use as a context manager, which makes it the running loop."""

    def __init__(self) -> None:
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._numbers = itertools.count()
        self._now_s = 0.0

    def __enter__(self) -> Self:
        """Make this the loop that `asyncio.get_running_loop` returns."""
        asyncio._set_running_loop(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """No loop runs afterwards."""
        asyncio._set_running_loop(None)

    def run_ready(self) -> None:
        """Run until nothing is left to do at this moment."""
        while self._ready:
            handle = self._ready.popleft()
            if not handle.cancelled():
                handle._run()

    def next_timer(self) -> float | None:
        """Return the time at which something is due next, None where nothing is."""
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def advance_to(self, moment_s: float) -> None:
        """It is that time now; what is due becomes ready."""
        self._now_s = max(self._now_s, moment_s)
        while (due := self.next_timer()) is not None and due <= self._now_s:
            self._ready.append(heapq.heappop(self._timers)[2])

    # What asyncio asks of a loop

    def time(self) -> float:
        """Return the virtual time, in seconds."""
        return self._now_s

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.Handle:
        """Have `callback` run next."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        """Have `callback` run after so many seconds."""
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        """Have `callback` run at that time."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._numbers), timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer is passed over when its time comes."""

    def create_future(self) -> "asyncio.Future[Any]":
        """Return a future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(self, coro: Coroutine[Any, Any, Any], **named: Any) -> "asyncio.Task[Any]":  # type: ignore[override]
        """Return a task that runs on this loop."""
        return asyncio.Task(coro, loop=self, **named)

    def get_debug(self) -> bool:
        """Return False: nothing is traced."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Raise what a callback died of."""
        raise context.get("exception") or AssertionError(context["message"])


class VirtualClock:
    """The clocks of a machine of one world, whose time of day was `start` when the loop began."""

    def __init__(self, loop: VirtualLoop, start: datetime = EPOCH) -> None:
        self._loop, self._start = loop, start

    def now(self) -> datetime:
        """Return the time of day, in UTC."""
        return self._start + timedelta(seconds=self._loop.time())

    def monotonic(self) -> float:
        """Return the virtual seconds."""
        return self._loop.time()

    def stamp(self, after_s: float = 0.0) -> str:
        """Return the time of day as the API server writes it: whole seconds."""
        return (self.now() + timedelta(seconds=after_s)).strftime("%Y-%m-%dT%H:%M:%SZ")
