"""What passed the proxy: every request with its number, in the order in which they came; and the revisions it led to.

Comes in: calls as they arrive, answers as they are given. Goes out: `Record`s, one line of JSON each. Secrets do not
come in: of a body only its hash is kept, of the headers only who speaks.
"""

import hashlib
import json
import threading
import time
from dataclasses import asdict, dataclass, replace

from tests.api_faults.call import WRITES, Call


@dataclass(frozen=True)
class Record:
    """One request. `digest` is of its body, `status` what the client was told (0: nothing), `revision` the server's.

    `at_s` is when it came, in seconds of the monotonic clock.
    """

    number: int
    call: Call
    digest: str
    agent: str
    at_s: float
    status: int = 0
    revision: int = 0

    @property
    def line(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))


class Log:
    """All records; safe to use from any thread."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._revisions: list[int] = []
        self._lock = threading.Lock()

    def arrived(self, call: Call, body: bytes, agent: str) -> Record:
        """Number a request, from 1, and keep it; it has no answer yet."""
        with self._lock:
            digest = hashlib.sha256(body).hexdigest()[:16]
            record = Record(len(self._records) + 1, call, digest, agent, time.monotonic())
            self._records.append(record)
        return record

    def committed(self, record: Record, revision: int) -> None:
        """Take note of the revision with which the server answered, whether the client hears of it or not."""
        with self._lock:
            self._records[record.number - 1] = replace(self._latest(record), revision=revision)
            if record.call.verb in WRITES and revision > max(self._revisions, default=0):
                self._revisions.append(revision)

    def answered(self, record: Record, status: int) -> None:
        """Take note of what the client was told."""
        with self._lock:
            self._records[record.number - 1] = replace(self._latest(record), status=status)

    def _latest(self, record: Record) -> Record:
        return self._records[record.number - 1]

    def records(self) -> list[Record]:
        """Return all requests so far."""
        with self._lock:
            return list(self._records)

    def writes(self) -> list[Record]:
        """Return the requests that change something."""
        return [record for record in self.records() if record.call.verb in WRITES]

    def before(self, writes: int) -> int | None:
        """Return the revision before the last so many writes, or before the first; None where there was none."""
        with self._lock:
            reached = self._revisions[-writes:]
        return reached[0] - 1 if reached else None
