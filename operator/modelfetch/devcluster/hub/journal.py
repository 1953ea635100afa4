"""The log of every request the hub answered, for tests and for `GET /_fixture/requests`.

In: a record per request, opened before the answer and filled while it is sent. Out: records in order of arrival. A
token is known here by its name only, cookies by their presence only.
"""

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from modelfetch.devcluster.hub.message import Request

_HIDDEN = ("authorization", "cookie", "proxy-authorization")


@dataclass
class Record:
    """One request as it came and what has been sent for it so far.

    `credentials` is `absent`, `unknown` (a token the hub does not know), `other` (not a bearer token) or a token's
    name. `bytes_sent` counts body bytes given to the network, chunk framing left out; `status` 0 means that no header
    was sent.
    """

    number: int
    connection: int
    port: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    credentials: str
    rules: tuple[str, ...] = ()
    status: int = 0
    bytes_sent: int = 0
    done: bool = False

    @property
    def range(self) -> str | None:
        """The Range header, None when there was none."""
        return self.headers.get("range")

    def describe(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        return {**asdict(self), "headers": dict(self.headers), "range": self.range}


@dataclass
class Journal:
    """Records in order of arrival; safe to use from any thread."""

    _records: list[Record] = field(default_factory=list)
    _made: int = 0
    _change: threading.Condition = field(default_factory=threading.Condition, repr=False)

    def open(self, request: Request, connection: int, rules: tuple[str, ...]) -> Record:
        """Add the record of `request` and return it."""
        path, _, query = request.target.partition("?")
        headers = {name: "present" if name in _HIDDEN else value for name, value in request.headers.items()}
        with self._change:
            self._made += 1
            made = (
                self._made,
                connection,
                request.port,
                request.method,
                path,
                query,
                headers,
                request.credentials,
                rules,
            )
            record = Record(*made)
            self._records.append(record)
            self._change.notify_all()
        return record

    def close(self, record: Record) -> None:
        """Mark `record` as finished: nothing more will be sent for it."""
        with self._change:
            record.done = True
            self._change.notify_all()

    def records(self) -> list[Record]:
        """Return all records so far."""
        with self._change:
            return list(self._records)

    def clear(self) -> None:
        """Forget all records; numbers go on."""
        with self._change:
            self._records.clear()

    def wait_until_idle(self, deadline_s: float) -> bool:
        """Return True as soon as no request is being answered, False when that takes longer than `deadline_s`."""
        with self._change:
            return self._change.wait_for(lambda: all(record.done for record in self._records), deadline_s)

    def wait_for(self, count: int, deadline_s: float) -> bool:
        """Return True as soon as there are `count` records, False when that takes longer than `deadline_s`."""
        with self._change:
            return self._change.wait_for(lambda: len(self._records) >= count, deadline_s)
