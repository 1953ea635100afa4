"""How long running Pods have told nothing new, as seen from here: no clock of a node is compared with our own."""

from collections.abc import Callable
from datetime import datetime


class Silences:
    """The last report of each running Pod, by uid; `monotonic` gives seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._heard: dict[str, tuple[datetime | None, float]] = {}

    def heard(self, uid: str, told_at: datetime | None) -> float:
        """Take in the time of the newest report that was read, None without one; return seconds without a new one."""
        now = self._monotonic()
        known = self._heard.get(uid)
        if known is None or told_at not in (None, known[0]):
            known = self._heard[uid] = (told_at, now)
        return now - known[1]

    def forget(self, uid: str) -> None:
        """The Pod is gone, or has ended."""
        self._heard.pop(uid, None)
