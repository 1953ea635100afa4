"""An event loop on simulated time: hours pass at once, in the order of the timers."""

import asyncio


class SteppedLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock moves only when nothing is left to do before the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self.elapsed = 0.0

    def time(self) -> float:
        """Return simulated seconds."""
        return self.elapsed

    def _run_once(self) -> None:
        scheduled, ready = self._scheduled, self._ready  # type: ignore[attr-defined]
        if not ready:
            # A cancelled timer may stand before the next one that counts: the loop would really wait for the rest.
            due = [timer.when() for timer in scheduled if not timer.cancelled()]
            self.elapsed = max(self.elapsed, min(due, default=self.elapsed))
        super()._run_once()  # type: ignore[misc]
