"""The events of a watch, edited: what each line from the server becomes on its way to the client.

Comes in: lines as the server wrote them. Goes out: steps, which proxy.py takes in order. No I/O and no clock.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from tests.api_faults.actions import Close, Coalesce, Edit, Expire, Lose, Pause, Repeat, Silence
from tests.api_faults.call import about
from tests.api_faults.rules import Match


@dataclass(frozen=True)
class Wait:
    """Go on after `seconds`."""

    seconds: float


@dataclass(frozen=True)
class End:
    """The watch is over."""

    how: Literal["end", "cut", "reset"] = "end"


@dataclass(frozen=True)
class Hush:
    """Keep the watch open and send nothing more."""


Step = bytes | Wait | End | Hush
"""A line is passed on."""

EXPIRED = (
    json.dumps(
        {
            "type": "ERROR",
            "object": {
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Failure",
                "message": "too old resource version: 1 (2)",
                "reason": "Expired",
                "code": 410,
            },
        }
    ).encode()
    + b"\n"
)
"""As the API server says that it no longer knows what came after a revision."""


class Editor:
    """One edit of one watch; it counts the events that its rule means, and tells `edited` once it is made."""

    def __init__(self, match: Match, action: Edit, edited: Callable[[], None] = lambda: None) -> None:
        self._match = match
        self._action = action
        self._edited_one = edited
        self._seen = 0
        self._newest: dict[str, bytes] = {}

    def begin(self) -> list[Step]:
        """Return what comes before the first line."""
        return self._after_so_many([])

    def take(self, line: bytes) -> list[Step]:
        """Return what comes in place of a line."""
        event = json.loads(line)
        meta = event["object"].get("metadata") or {}
        if event["type"] in ("BOOKMARK", "ERROR") or not self._match.names(meta["name"], about(event["object"])):
            return [line]
        self._seen += 1
        return self._after_so_many(self._edited(line, meta))

    def _edited(self, line: bytes, meta: dict[str, Any]) -> list[Step]:
        match self._action:
            case Lose(event) if event == self._seen:
                return self._made([])
            case Repeat(event) if event == self._seen:
                return self._made([line, line])
            case Pause(event, seconds) if event == self._seen:
                return self._made([Wait(seconds), line])
            case Coalesce(first, events) if first <= self._seen < first + events:
                return self._coalesced(line, meta, last=first + events - 1)
        return [line]

    def _coalesced(self, line: bytes, meta: dict[str, Any], *, last: int) -> list[Step]:
        key = f"{meta.get('namespace', '')}/{meta['name']}"
        self._newest.pop(key, None)  # the newest of all comes last
        self._newest[key] = line
        return self._made(list(self._newest.values())) if self._seen == last else []

    def _after_so_many(self, steps: list[Step]) -> list[Step]:
        match self._action:
            case Close(after, how) if after == self._seen:
                return self._made([*steps, End(how)])
            case Silence(after) if after == self._seen:
                return self._made([*steps, Hush()])
            case Expire(after) if after == self._seen:
                return self._made([*steps, EXPIRED, End()])
        return steps

    def _made(self, steps: list[Step]) -> list[Step]:
        self._edited_one()
        return steps


def begin(editors: Iterable[Editor]) -> list[Step]:
    """Return what comes before the first line, by all editors."""
    return [step for editor in editors for step in editor.begin()]


def take(editors: Iterable[Editor], line: bytes) -> list[Step]:
    """Return what comes in place of a line: each editor takes what the one before it let through."""
    steps: list[Step] = [line]
    for editor in editors:
        steps = [made for step in steps for made in (editor.take(step) if isinstance(step, bytes) else [step])]
    return steps
