"""How many connections are worth having, found by trying: samples of the whole transfer in, a wished number out. Pure.

Comes before: crew.py, which measures. Comes after: crew.py again, which opens and closes connections to match. Links
that give each connection a share grow with every one; links that are full, or servers that throttle, do not, and some
get slower (huggingface.js 2350 and 2352, huggingface_hub 4893). So a step is kept only while the total grows by it.
"""

from dataclasses import dataclass

GROWTH = 1.05
"""A step is kept when the total grows to this much at least."""

QUICK_GROWTH = 1.3
"""Seen even in a short window, this much is taken for growth at once: ramps stay short where they pay."""

SHORT_WINDOW_S = 0.1
LONG_WINDOW_S = 1.0
"""A step that did not show quickly is judged by a window of this length."""

SETTLE_S = 5.0
"""How long new connections may take until all of them bring bytes."""

HOLD_S = 10.0
HOLD_LIMIT_S = 120.0
"""Between tries on a plateau: at first and at most, doubled after each try that brought nothing."""

COLLAPSE = 0.5
"""Below this part of the best rate, on a plateau, fewer connections are tried."""

HELD = 0.05
"""Connections that wait this part of their time for memory are quicker than the hash or the disk: more bring nothing.
One connection over loopback waits 5 to 25 % of it, one that is limited by its link next to nothing."""

REFUSALS_APART_S = 2.0
"""Refusals nearer to each other than this are one: all connections get them at once."""


@dataclass(frozen=True)
class _Sample:
    """Bytes, and seconds that connections waited for memory, in all by `now`."""

    now: float
    received: int
    held_s: float


@dataclass(frozen=True)
class _Window:
    """Time from a first sample on."""

    first: _Sample
    is_settled: bool = True

    def lasts_s(self, last: _Sample) -> float:
        """Return the seconds since the first sample."""
        return last.now - self.first.now

    def rate(self, last: _Sample) -> float:
        """Return bytes per second since the first sample."""
        return (last.received - self.first.received) / self.lasts_s(last)

    def held(self, last: _Sample, connections: int) -> float:
        """Return the part of their time that connections waited since the first sample."""
        return (last.held_s - self.first.held_s) / (self.lasts_s(last) * connections)


class Tuner:
    """Seeks the plateau of the total rate, from `start` connections up to `limit`, never more."""

    def __init__(self, limit: int, start: int = 1) -> None:
        self.limit = max(1, limit)
        self.wished = min(max(1, start), self.limit)
        """How many connections there should be now."""
        self._kept = self.wished
        self._step = self.wished
        self._best: float | None = None
        self._window: _Window | None = None
        self._changed_at: float | None = None
        self._skip = True
        self._hold_s = HOLD_S
        self._hold_until: float | None = None
        self._refused_at: float | None = None
        self._is_held = False

    def sample(self, now: float, received: int, flowing: int, held_s: float = 0.0) -> int:
        """Take the bytes `received` in all by `now`, over `flowing` connections that bring bytes; return `wished`.

        `held_s` is how long all connections together have waited for memory. Times are seconds of any clock that does
        not go back. One sample after a change is skipped. Before all wished connections flow a step can only prove
        good, not bad.
        """
        sample, is_settled = _Sample(now, received, held_s), self._is_settled(now, flowing)
        if self._window is None or is_settled != self._window.is_settled:
            self._window = None if self._skip else _Window(sample, is_settled)
            self._skip = False
        elif self._window.lasts_s(sample) >= SHORT_WINDOW_S:
            self._is_held = self._window.held(sample, max(1, flowing)) >= HELD
            self._judge(sample)
        return self.wished

    def refused(self, now: float) -> None:
        """A server asked to slow down (429, 503): half the connections, for a while."""
        if self._refused_at is not None and now - self._refused_at < REFUSALS_APART_S:
            return
        self._refused_at = now
        self._fall_back(now)

    def _is_settled(self, now: float, flowing: int) -> bool:
        if self._changed_at is None:
            self._changed_at = now
        return flowing >= self.wished or now - self._changed_at >= SETTLE_S

    def _judge(self, sample: _Sample) -> None:
        assert self._window is not None
        now, rate, elapsed = sample.now, self._window.rate(sample), self._window.lasts_s(sample)
        if not self._window.is_settled:
            if self._best is not None and self.wished > self._kept and rate >= self._best * QUICK_GROWTH:
                self._keep_step(now, rate, is_quick=True)
        elif self._best is None:
            self._measure_base(sample, rate)
        elif self.wished > self._kept:
            self._judge_step(now, rate, elapsed)
        elif elapsed >= LONG_WINDOW_S:
            self._judge_plateau(sample, rate)

    def _measure_base(self, sample: _Sample, rate: float) -> None:
        self._best = rate
        self._window = _Window(sample)
        if self._hold_until is None and rate > 0:
            self._try_more(sample.now)

    def _judge_step(self, now: float, rate: float, elapsed: float) -> None:
        assert self._best is not None
        is_quick = elapsed < LONG_WINDOW_S
        if rate >= self._best * (QUICK_GROWTH if is_quick else GROWTH):
            self._keep_step(now, rate, is_quick=is_quick)
        elif not is_quick:
            self._go_to(self._kept, now)
            self._step //= 2
            if self._step:
                self._try_more(now)
            else:
                self._rest(now)

    def _keep_step(self, now: float, rate: float, *, is_quick: bool) -> None:
        self._kept, self._best, self._hold_s = self.wished, rate, HOLD_S
        self._step = min(self._step * 2, self._kept) if is_quick else max(1, self._step // 2)
        self._try_more(now)

    def _judge_plateau(self, sample: _Sample, rate: float) -> None:
        assert self._best is not None
        if rate < self._best * COLLAPSE and self.wished > 1:
            self._fall_back(sample.now)
            return
        self._best = rate
        self._window = _Window(sample)
        if self._hold_until is None or sample.now >= self._hold_until:
            self._step = 1
            self._try_more(sample.now)

    def _try_more(self, now: float) -> None:
        more = min(self._kept + max(1, self._step), self.limit)
        if more <= self._kept:
            self._rest(now)
        elif self._is_held:
            # The next window may show otherwise: nothing was tried that brought nothing.
            self._hold_until = now
        else:
            self._go_to(more, now)

    def _rest(self, now: float) -> None:
        self._hold_until = now + self._hold_s
        self._hold_s = min(self._hold_s * 2, HOLD_LIMIT_S)
        self._step = 1

    def _fall_back(self, now: float) -> None:
        self._kept = max(1, self.wished // 2)
        # So that it goes on falling where fewer do not get their share either.
        self._best = self._best and self._best / 2
        self._go_to(self._kept, now)
        self._rest(now)

    def _go_to(self, number: int, now: float) -> None:
        self.wished, self._changed_at, self._window, self._skip = number, now, None, True


def shares(wished: int, room: list[int]) -> list[int]:
    """Return how many of `wished` connections each file gets: at least one, at most its `room`, as even as that goes.

    Files beyond `wished` still get one each.
    """
    given = [1] * len(room)
    left = wished - len(room)
    while left > 0:
        open_ = [number for number, most in enumerate(room) if given[number] < most]
        if not open_:
            break
        for number in sorted(open_, key=lambda number: given[number])[:left]:
            given[number] += 1
            left -= 1
    return given
