"""The rule language: which requests a fault meets, and what the fault is.

In: rules from Python or as JSON from `POST /_fixture/rules`. Out: for each request the actions of every rule that
meets it, in the order the rules were added. After: faults.py carries the actions out. Unknown fields and values are
refused.

Example: the second GET of any safetensors file on the CDN ends after 1000 bytes:

    {"match": {"method": "GET", "port": "cdn", "path": "\\.safetensors", "nth": 2}, "actions": [{"do": "cut", "after":
    1000}]}
"""

import re
import threading
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

PortName = Literal["hub", "cdn"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Status(_Strict):
    """Answer with this status instead of the true answer."""

    do: Literal["status"] = "status"
    status: int = Field(ge=200, le=599)
    headers: dict[str, str] = {}
    body: str = ""


class Delay(_Strict):
    """Wait before anything is answered."""

    do: Literal["delay"] = "delay"
    seconds: float = Field(ge=0, le=3600)


class Close(_Strict):
    """Close the connection before the header, or after `header_bytes` of it; with `reset` by RST."""

    do: Literal["close"] = "close"
    header_bytes: int = Field(default=0, ge=0)
    reset: bool = False


class Cut(_Strict):
    """Close the connection after `after` bytes of the body; with `reset` by RST."""

    do: Literal["cut"] = "cut"
    after: int = Field(ge=0)
    reset: bool = False


class Corrupt(_Strict):
    """Serve other bytes at `offset` of the file (negative: from its end): flipped, zeroed, or swapped blocks.

    `flip` inverts the lowest bit of `length` bytes; `zero` writes zeros; `swap` exchanges the `length` bytes at
    `offset` with the `length` bytes that follow them. The size stays.
    """

    do: Literal["corrupt"] = "corrupt"
    how: Literal["flip", "zero", "swap"] = "flip"
    offset: int = 0
    length: int = Field(default=1, ge=1, le=1 << 26)


class Replace(_Strict):
    """Serve `body` instead of the file; with `pad` filled with blanks or cut to the file's size."""

    do: Literal["replace"] = "replace"
    body: str
    pad: bool = False
    content_type: str | None = None


class Length(_Strict):
    """Lie about the length of the body.

    `declared` adds `delta` to Content-Length while the body stays; `body` cuts -`delta` bytes off the body and declares
    the shortened length; `absent` sends no length and ends by closing; `chunked` sends chunks, `delta` bytes fewer,
    well ended; `chunked-open` the same without the last chunk.
    """

    do: Literal["length"] = "length"
    how: Literal["declared", "body", "absent", "chunked", "chunked-open"] = "declared"
    delta: int = 0


class ContentRange(_Strict):
    """Answer a range request with another Content-Range (`{start}`, `{end}`, `{total}` are filled in) or other bytes.

    `value` None leaves the header true. `shift` moves the bytes that are sent, and the true header with them unless
    `hide_shift`. `drop` leaves the header out.
    """

    do: Literal["content-range"] = "content-range"
    value: str | None = None
    shift: int = 0
    hide_shift: bool = False
    drop: bool = False


class IgnoreRange(_Strict):
    """Answer a range request with 200 and everything."""

    do: Literal["ignore-range"] = "ignore-range"


class ETag(_Strict):
    """Send another ETag: `value` with its quotes, None for none at all.

    Without `honour_if_range` a stale If-Range passes, and gets a part of the new file.
    """

    do: Literal["etag"] = "etag"
    value: str | None = None
    honour_if_range: bool = True


class Headers(_Strict):
    """Set and remove headers; add `count` more headers of `size` bytes each."""

    do: Literal["headers"] = "headers"
    values: dict[str, str] = {}
    remove: tuple[str, ...] = ()
    count: int = Field(default=0, ge=0, le=100_000)
    size: int = Field(default=0, ge=0, le=1 << 26)


class Gzip(_Strict):
    """Send the body gzip-encoded whatever was asked; with `bomb_bytes` the body is that many zeros, compressed."""

    do: Literal["gzip"] = "gzip"
    bomb_bytes: int = Field(default=0, ge=0, le=1 << 34)


class Stall(_Strict):
    """Stop after `after` bytes of the body (None: before the header) for `seconds` (None: until the client leaves)."""

    do: Literal["stall"] = "stall"
    after: int | None = Field(default=None, ge=0)
    seconds: float | None = Field(default=None, ge=0)


class Rate(_Strict):
    """Send no faster than `bytes_per_s` from byte `after` of the body on; 1 is a trickle."""

    do: Literal["rate"] = "rate"
    bytes_per_s: float = Field(default=1, gt=0)
    after: int = Field(default=0, ge=0)


class Redirect(_Strict):
    """Redirect to `location`, where `{self}`, `{path}`, `{hub}`, `{cdn}` are filled in; None sends no Location."""

    do: Literal["redirect"] = "redirect"
    location: str | None = "{self}"
    status: Literal[301, 302, 303, 307, 308] = 302


class Paging(_Strict):
    """Let a listing never end.

    The next page has the `same` cursor, always a `new` one, or is at `url` (`{hub}` and `{cdn}` are filled in).
    """

    do: Literal["paging"] = "paging"
    how: Literal["same", "new", "url"] = "same"
    url: str | None = None


class Listing(_Strict):
    """Change the entries of a listing: `drop` and `patch` by path, `append` raw ones.

    Tree listings name files `path`, model infos `rfilename`; a patch or an appended entry is merged as it is given, and
    gets the other name and `type` filled in where they are missing.
    """

    do: Literal["listing"] = "listing"
    append: tuple[dict[str, Any], ...] = ()
    patch: dict[str, dict[str, Any]] = {}
    drop: tuple[str, ...] = ()


Action = (
    Status | Delay | Close | Cut | Corrupt | Replace | Length | ContentRange | IgnoreRange | ETag | Headers | Gzip |
    Stall | Rate | Redirect | Paging | Listing
)  # fmt: skip


class Match(_Strict):
    """What a request must be to be met; everything left out matches.

    `path` is a regexp searched in path and query as they came on the wire. `headers` maps names to a regexp, or to None
    for "must be absent". Of the requests that match, the first `skip` pass unharmed, then `count` are met (None: all);
    `nth` n is short for skip n-1, count 1.
    """

    method: str | None = None
    path: str = ""
    port: PortName | None = None
    headers: dict[str, str | None] = {}
    nth: int | None = Field(default=None, ge=1)
    skip: int = Field(default=0, ge=0)
    count: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        for pattern in filter(None, [self.path, *self.headers.values()]):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"'{pattern}' is no regexp: {error}") from error
        return self

    def fits(self, method: str, target: str, port: str, headers: Mapping[str, str]) -> bool:
        """Return whether this request is one that counts; `headers` has lower-case names."""
        if self.method not in (None, method) or self.port not in (None, port):
            return False
        return re.search(self.path, target) is not None and all(
            name.lower() not in headers
            if wanted is None
            else re.search(wanted, headers.get(name.lower(), "")) is not None
            for name, wanted in self.headers.items()
        )

    def takes(self, number: int) -> bool:
        """Return whether the request that fits for the `number`th time (from 1) is met."""
        if self.nth is not None:
            return number == self.nth
        return number > self.skip and (self.count is None or number <= self.skip + self.count)


class Rule(_Strict):
    """Requests, and the actions they meet, in order."""

    match: Match = Match()
    actions: tuple[Annotated[Action, Field(discriminator="do")], ...] = Field(min_length=1)
    name: str | None = None


_RULES = TypeAdapter(list[Rule])


def parse_rules(text: bytes) -> list[Rule]:
    """Return the rules in the JSON `text`: one rule or a list. Raises pydantic's ValidationError."""
    return _RULES.validate_json(text if text.lstrip().startswith(b"[") else b"[%b]" % text)


class RuleBook:
    """The rules in force; safe to use from any thread."""

    def __init__(self) -> None:
        self._rules: dict[str, Rule] = {}
        self._fitted: Counter[str] = Counter()
        self._met: Counter[str] = Counter()
        self._made = 0
        self._lock = threading.Lock()

    def add(self, rule: Rule) -> str:
        """Put `rule` in force and return its name; one of the same name is replaced and counts from zero."""
        with self._lock:
            self._made += 1
            name = rule.name or f"rule-{self._made}"
            self._rules[name] = rule
            self._fitted.pop(name, None)
            self._met.pop(name, None)
        return name

    def remove(self, name: str) -> bool:
        """Put the rule out of force; False when there is none of that name."""
        with self._lock:
            return self._rules.pop(name, None) is not None

    def clear(self) -> None:
        """Put all rules out of force."""
        with self._lock:
            self._rules.clear()

    def hits(self, name: str) -> int:
        """Return how many requests the rule has met."""
        with self._lock:
            return self._met[name]

    def take(self, method: str, target: str, port: str, headers: Mapping[str, str]) -> tuple[list[str], list[Action]]:
        """Count this request; return the names of the rules that it meets and their actions, in order."""
        names: list[str] = []
        actions: list[Action] = []
        with self._lock:
            for name, rule in self._rules.items():
                if not rule.match.fits(method, target, port, headers):
                    continue
                self._fitted[name] += 1
                if rule.match.takes(self._fitted[name]):
                    self._met[name] += 1
                    names.append(name)
                    actions.extend(rule.actions)
        return names, actions

    def describe(self) -> list[dict[str, Any]]:
        """Return the rules in force as JSON, each with its name and hits."""
        with self._lock:
            rules = [(name, rule, self._met[name]) for name, rule in self._rules.items()]
        return [{**rule.model_dump(mode="json"), "name": name, "hits": hits} for name, rule, hits in rules]
