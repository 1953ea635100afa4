"""The two clocks of a transfer, handed in by the programs so that tests can turn them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Clock:
    """`monotonic` in seconds measures every duration; `now` (with time zone) only reads dates that a server sent."""

    monotonic: Callable[[], float]
    now: Callable[[], datetime]
