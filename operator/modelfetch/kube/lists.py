"""Reads the JSON of a list while it arrives: each item as soon as it is whole.

Comes in: the body in pieces, cut anywhere. Goes out: the items in their order, and at the end what the list says of
itself. So a list of ten thousand objects is never in memory as a whole, though it is asked for as one.
"""

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any

_BEGIN = re.compile(r'"items"\s*:\s*\[')
_BETWEEN = re.compile(r"[\s,]*")


class ListReader:
    """One list."""

    def __init__(self) -> None:
        self._bytes = codecs.getincrementaldecoder("utf-8")()
        self._scan = json.JSONDecoder().raw_decode
        self._head = ""
        """What comes before the first item, empty until that is known."""
        self._text = ""
        """What has arrived after that and was not given out."""
        self.envelope: dict[str, Any] = {}
        """The list without its items, once it has ended."""

    def feed(self, piece: bytes) -> list[dict[str, Any]]:
        """Take in what comes next; return the items that are whole by now and were not before.

        Raises ValueError where this is no list of objects.
        """
        self._text += self._bytes.decode(piece)
        if not self._head and (begin := _BEGIN.search(self._text)):
            self._head, self._text = self._text[: begin.end()], self._text[begin.end() :]
        return list(self._items()) if self._head else []

    def end(self) -> None:
        """Know what the list says of itself; raises ValueError where something is missing."""
        self.envelope = as_object(json.loads(self._head + self._text + self._bytes.decode(b"", final=True)))

    @property
    def token(self) -> str:
        """By what the next page is asked for, empty where there is none."""
        return str((self.envelope.get("metadata") or {}).get("continue") or "")

    def _items(self) -> Iterator[dict[str, Any]]:
        at = self._next(0)
        while self._text[at : at + 1] not in ("", "]"):
            try:
                item, at = self._scan(self._text, at)
            except json.JSONDecodeError:
                break  # its end is still to come
            at = self._next(at)
            yield as_object(item)
        self._text = self._text[at:]

    def _next(self, at: int) -> int:
        between = _BETWEEN.match(self._text, at)
        assert between is not None, "it may be empty"
        return between.end()


def as_object(value: Any) -> dict[str, Any]:
    """Return what the server has sent, or a part of it, where it is an object; raises ValueError where it is not."""
    if not isinstance(value, dict):
        raise ValueError(f"the answer is no object but {str(value)[:100]}")
    return value
