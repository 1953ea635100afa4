"""How long running Pods have told nothing new, as seen from here: no clock of a node is compared with our own."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True, slots=True)
class _Heard:
    told_at: datetime | None
    since_s: float
    read_at_s: float


class Silences:
    """The last report of each running Pod, by uid; `monotonic` gives seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._heard: dict[str, _Heard] = {}

    def heard(self, uid: str, told_at: datetime | None) -> float:
        """Take in the time of the newest report that was read, None without one; return seconds without a new one."""
        now = self._monotonic()
        known = self._heard.get(uid)
        if known is None or told_at not in (None, known.told_at):
            known = _Heard(told_at, now, now)
        self._heard[uid] = replace(known, read_at_s=now)
        return now - known.since_s

    def last(self, uid: str) -> float:
        """Return what `heard` returned last: who was not asked has not kept silent."""
        known = self._heard.get(uid)
        return known.read_at_s - known.since_s if known is not None else 0.0

    def forget(self, uid: str) -> None:
        """The Pod is gone, or has ended."""
        self._heard.pop(uid, None)
