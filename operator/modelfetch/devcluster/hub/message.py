"""A request as it came and an answer as it is to be sent: plain values between the handlers, the faults and the wire.

In: parsed by wire.py. Out: `Answer` (what a handler says), turned by `answer_range` into a `Reply` (what goes on the
wire).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, unquote

from modelfetch.devcluster.hub.content import Content
from modelfetch.devcluster.hub.rules import Action

NOTHING = Content.of(b"")

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True)
class Request:
    """One request; header names are lower case, `target` is path and query as on the wire, `token` a token's name."""

    port: str
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""
    token: str | None = None
    credentials: str = "absent"
    actions: tuple[Action, ...] = ()

    @property
    def path(self) -> str:
        """The path, still percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def segments(self) -> list[str]:
        """The decoded parts of the path between slashes."""
        return [unquote(part) for part in self.path.strip("/").split("/")]

    @property
    def query(self) -> dict[str, list[str]]:
        """The decoded query."""
        return parse_qs(self.target.partition("?")[2], keep_blank_values=True)


@dataclass(frozen=True)
class Answer:
    """What a handler says: a status, headers and a body, of which ranges may be asked when `ranges` is set."""

    status: int
    content: Content = NOTHING
    headers: Mapping[str, str] = field(default_factory=dict)
    etag: str | None = None
    ranges: bool = False
    honour_if_range: bool = True


@dataclass(frozen=True)
class Reply:
    """What goes on the wire: headers, the bytes [start, stop) of `content`, and how they are sent.

    `declared` is the Content-Length, None for none. Positions count bytes of this body. After `cut_after`, or when what
    was declared is not what was sent, the connection is closed.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    content: Content
    start: int
    stop: int
    declared: int | None
    chunked: bool = False
    end_chunks: bool = True
    cut_after: int | None = None
    header_bytes: int | None = None
    reset: bool = False
    stall_after: int | None = None
    stall_s: float | None = None
    rate: float | None = None
    rate_after: int = 0

    def with_header(self, name: str, value: str | None) -> "Reply":
        """Return the reply with this header set, or removed when `value` is None."""
        kept = tuple(pair for pair in self.headers if pair[0].lower() != name.lower())
        return replace(self, headers=kept if value is None else (*kept, (name, value)))


def reply_to(answer: Answer, request: Request) -> Reply:
    """Return the reply to `request`, with conditions and a single range honoured as RFC 9110 says."""
    headers = dict(answer.headers)
    if answer.etag is not None:
        headers.setdefault("ETag", answer.etag)
    if answer.ranges:
        headers.setdefault("Accept-Ranges", "bytes")
    size = answer.content.size
    whole = Reply(answer.status, tuple(headers.items()), answer.content, 0, size, size)
    if answer.status != 200 or request.method not in ("GET", "HEAD"):
        return whole
    if _not_modified(answer, request):
        return replace(whole, status=304, stop=0, declared=None)
    span = _asked_range(answer, request)
    if span is None:
        return whole
    return _partial(whole, *span)


def _partial(whole: Reply, start: int, stop: int) -> Reply:
    size = whole.content.size
    if start >= size or stop <= start:
        refused = replace(whole, status=416, content=NOTHING, stop=0, declared=0)
        return refused.with_header("Content-Range", f"bytes */{size}")
    part = replace(whole, status=206, start=start, stop=stop, declared=stop - start)
    return part.with_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")


def _not_modified(answer: Answer, request: Request) -> bool:
    asked = request.headers.get("if-none-match")
    return asked is not None and answer.etag is not None and asked.removeprefix("W/") == answer.etag.removeprefix("W/")


def _asked_range(answer: Answer, request: Request) -> tuple[int, int] | None:
    """Return [start, stop) of the one range asked for; None when there is none, several, or If-Range does not hold."""
    match = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if not answer.ranges or match is None or match.groups() == ("", "") or not _if_range_holds(answer, request):
        return None
    first, last, size = match[1], match[2], answer.content.size
    if first == "":
        return (max(0, size - int(last)), size) if int(last) else (size, size)
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) + 1, size) if last else size


def _if_range_holds(answer: Answer, request: Request) -> bool:
    asked = request.headers.get("if-range")
    if asked is None or not answer.honour_if_range:
        return True
    # A strong comparison: a weak tag never holds, and a date holds only when it is the very one we sent.
    strong = answer.etag is not None and not answer.etag.startswith("W/")
    return (strong and asked == answer.etag) or asked == answer.headers.get("Last-Modified")
