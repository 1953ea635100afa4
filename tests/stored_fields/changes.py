"""What may be wrong with a value that is stored somewhere: of another type, empty, absent, huge, or of no such form.

Comes in: a body as it is stored. Goes out: the places in it, and what to put there. Nothing is listed by hand: a field
that is new in a body is changed as all others are.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

Path = tuple[str | int, ...]

ABSENT = object()
"""In place of a value: the field is not there."""
CHANGES = ("of another type", "empty", "absent", "huge", "malformed")
MANY = 300
"""Of items, where one or two are usual."""
LONG = 20_000
"""Characters, where some words are usual."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield where something stands in a body, from the outside to the inside; of a list the first item."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*path, key))
    if isinstance(value, list):
        for number, item in enumerate(value[:1]):
            yield from places(item, (*path, number))


KEPT_BY_THE_SERVER = ("name", "namespace", "uid", "resourceVersion", "generation")
"""Of metadata: without these there is no object, and the API server alone writes them."""


def fields(bodies: Iterable[Any]) -> list[Path]:
    """Return every place in these bodies once, but for what the API server keeps itself."""
    found = dict.fromkeys(place for body in bodies for place in places(body))
    return [place for place in found if place != ("metadata",) and place[:2] not in _KEPT]


_KEPT = [("metadata", name) for name in KEPT_BY_THE_SERVER]


def changed(value: Any, change: str) -> Any:
    """Return what stands in the place of `value` then; `value` itself where the change would be none."""
    if change == "absent":
        return ABSENT
    if value is None:
        return value
    return {"of another type": _other, "empty": _empty, "huge": _huge, "malformed": _malformed}[change](value)


def put(body: Any, path: Path, value: Any) -> Any:
    """Return a copy of a body with `value` at a place; the body itself where it has no such place."""
    step, rest = path[0], path[1:]
    if not _has(body, step):
        return body
    inner = put(body[step], rest, value) if rest else value
    if inner is body[step]:
        return body
    if isinstance(body, dict):
        return {key: inner if key == step else item for key, item in body.items() if key != step or inner is not ABSENT}
    return [
        inner if number == step else item for number, item in enumerate(body) if number != step or inner is not ABSENT
    ]


def at(body: Any, path: Path) -> Any:
    """Return what stands at a place of a body, None where it has no such place."""
    for step in path:
        if not _has(body, step):
            return None
        body = body[step]
    return body


def _has(body: Any, step: str | int) -> bool:
    if isinstance(step, int):
        return isinstance(body, list) and step < len(body)
    return isinstance(body, dict) and step in body


def _other(value: Any) -> Any:
    if isinstance(value, dict):
        return ["x"]
    if isinstance(value, list):
        return {"x": "y"}
    return {"x": 1} if isinstance(value, bool) else "many" if isinstance(value, int | float) else 7


def _empty(value: Any) -> Any:
    return type(value)()


def _huge(value: Any) -> Any:
    if isinstance(value, dict):
        own = next(iter(value.values()), "x")
        return value | {f"k{number}": own for number in range(MANY)}
    if isinstance(value, list):
        return value * MANY
    if isinstance(value, str):
        return _huge_text(value)
    return value if isinstance(value, bool) else 10**30


def _huge_text(value: str) -> str:
    if _TIME.fullmatch(value):
        return "9999-12-31T23:59:59Z"
    return "9" * LONG if value.isdigit() else value + "x" * LONG


def _malformed(value: Any) -> Any:
    if isinstance(value, str) and _TIME.fullmatch(value):
        return value.removesuffix("Z")  # of no zone
    if isinstance(value, str) and value.isdigit() and len(value) < len(str(2**63)):
        return "\u00b2"  # a digit, and no number
    return [None, 7, *value] if isinstance(value, list) else value
