"""What a server has sent, read from its access log.

In: the log that nginx and paced.py write alike, a line a request. Out: `Traffic` of the time since a mark.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

FORMAT = "CONNECTION END_S TIME_S STATUS BODY_BYTES METHOD PATH"
"""The columns of a line, separated by blanks; times in seconds."""
_QUIET_S = 0.15


@dataclass(frozen=True)
class Request:
    """One answered request; `end_s` on the server's clock."""

    connection: str
    end_s: float
    time_s: float
    status: int
    body_bytes: int
    method: str
    path: str

    @classmethod
    def parse(cls, line: str) -> "Request":
        """Return the request of a line of the log."""
        connection, end, took, status, size, method, path = line.split(" ", 6)
        return cls(connection, float(end), float(took), int(status), int(size), method, path)


@dataclass(frozen=True)
class Traffic:
    """Requests of one contender's run."""

    requests: tuple[Request, ...]

    @property
    def files(self) -> tuple[Request, ...]:
        """Requests for files, without those of the hub's API and of listings."""
        return tuple(request for request in self.requests if "/resolve/" in request.path and request.path[-1] != "/")

    @property
    def body_bytes(self) -> int:
        """Bytes of files that were sent."""
        return sum(request.body_bytes for request in self.files if request.method == "GET")

    def connections_at_end(self, part: float = 0.1) -> int:
        """Return how many connections carried a file's bytes in the last `part` of the time."""
        if not self.files:
            return 0
        end = max(request.end_s for request in self.files)
        begin = min(request.end_s - request.time_s for request in self.files)
        border = end - part * (end - begin)
        return len({request.connection for request in self.files if request.end_s > border and request.body_bytes})


class AccessLog:
    """Reads what has come to a log since the last look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()
        self._offset = os.path.getsize(path)

    def mark(self) -> None:
        """Forget what was logged so far."""
        self._settle()
        self._offset = os.path.getsize(self._path)

    def since_mark(self) -> Traffic:
        """Return what was logged since the mark, once nothing more is coming."""
        self._settle()
        with self._path.open(encoding="utf-8", errors="replace") as log:
            log.seek(self._offset)
            return Traffic(tuple(Request.parse(line) for line in log.read().splitlines()))

    def _settle(self) -> None:
        """Wait until the log has not grown for a moment: a request that was cut off is logged a little later."""
        size, since = -1, time.monotonic()
        while time.monotonic() - since < _QUIET_S:
            if (now := os.path.getsize(self._path)) != size:
                size, since = now, time.monotonic()
            time.sleep(0.01)
