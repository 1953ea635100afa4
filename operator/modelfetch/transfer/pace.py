"""The minimum rate of a transfer, as arithmetic on times and counts that the caller hands in."""

MINIMUM_BYTES_PER_S = 1024
"""Below this for a whole stall timeout, a connection counts as stalled (a byte a second would go on for ever)."""


class Pace:
    """Notices when less than the minimum rate arrived over `window_s` seconds; waiting for our own disk is left out."""

    def __init__(self, window_s: float, now: float) -> None:
        self._window_s = window_s
        self._quota = MINIMUM_BYTES_PER_S * window_s
        self._since = now
        self._bytes = 0

    def received(self, size: int, now: float) -> None:
        """Count `size` bytes that came at `now`."""
        self._bytes += size
        if self._bytes >= self._quota:
            self._since, self._bytes = now, 0

    def held_up(self, duration_s: float) -> None:
        """Leave out `duration_s` seconds in which we did not read."""
        self._since += duration_s

    def is_stalled(self, now: float) -> bool:
        """Return whether a whole window passed without its quota of bytes."""
        return now - self._since >= self._window_s
