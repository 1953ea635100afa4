"""Carries out the actions of the rules on the way from a request to its reply.

In: a request's actions. Out, in three steps: an answer that replaces the true one, a changed answer (bytes, ETag), a
changed reply (lengths, ranges, headers, pace, cuts). Before: rules.py; after: wire.py sends what comes out. All pure,
except that a bomb is compressed here.
"""

import gzip
import zlib
from collections.abc import Mapping
from dataclasses import replace
from functools import reduce

from modelfetch.devcluster.hub.content import Content
from modelfetch.devcluster.hub.damage import corrupted
from modelfetch.devcluster.hub.message import Answer, Reply, Request
from modelfetch.devcluster.hub.rules import (
    Action,
    Close,
    ContentRange,
    Corrupt,
    Cut,
    ETag,
    Gzip,
    Headers,
    IgnoreRange,
    Length,
    Rate,
    Redirect,
    Replace,
    Stall,
    Status,
)


def instead(request: Request, places: Mapping[str, str]) -> Answer | None:
    """Return the answer that a status or redirect action gives in place of the true one, else None.

    `places` has the URLs `hub` and `cdn`.
    """
    for action in request.actions:
        if isinstance(action, Status):
            return Answer(action.status, Content.of(action.body.encode()), dict(action.headers))
        if isinstance(action, Redirect):
            return Answer(action.status, headers=_location(action, request, places))
    return None


def changed_request(request: Request) -> Request:
    """Return the request without its Range when an action ignores it."""
    if not any(isinstance(action, IgnoreRange) for action in request.actions):
        return request
    return replace(request, headers={name: value for name, value in request.headers.items() if name != "range"})


def changed_answer(answer: Answer, request: Request) -> Answer:
    """Return the answer with other bytes or another ETag where actions say so."""
    for action in request.actions:
        if isinstance(action, Corrupt):
            answer = replace(answer, content=corrupted(answer.content, action))
        elif isinstance(action, Replace):
            answer = _replaced(answer, action)
        elif isinstance(action, ETag):
            answer = _retagged(answer, action)
    return answer


def changed_reply(reply: Reply, request: Request) -> Reply:
    """Return the reply as it is to be sent, after every action that shapes the wire."""
    return reduce(_apply, request.actions, reply)


def _location(action: Redirect, request: Request, places: Mapping[str, str]) -> dict[str, str]:
    if action.location is None:
        return {}
    here = places[request.port]
    known = {"{self}": here + request.target, "{path}": request.target, "{hub}": places["hub"], "{cdn}": places["cdn"]}
    location = action.location
    for mark, value in known.items():
        location = location.replace(mark, value)
    return {"Location": location}


def _replaced(answer: Answer, action: Replace) -> Answer:
    body = action.body.encode()
    if action.pad:
        body = body[: answer.content.size].ljust(answer.content.size)
    kind = {} if action.content_type is None else {"Content-Type": action.content_type}
    return replace(answer, content=Content.of(body), headers={**answer.headers, **kind})


def _retagged(answer: Answer, action: ETag) -> Answer:
    headers = {name: value for name, value in answer.headers.items() if name not in ("ETag", "X-Linked-ETag")}
    if action.value is not None and "X-Linked-ETag" in answer.headers:
        headers["X-Linked-ETag"] = action.value
    return replace(answer, etag=action.value, headers=headers, honour_if_range=action.honour_if_range)


def _apply(reply: Reply, action: Action) -> Reply:
    match action:
        case Length():
            return _length(reply, action)
        case ContentRange():
            return _content_range(reply, action)
        case Headers():
            return _headers(reply, action)
        case Gzip():
            return _gzip(reply, action)
    return _paced(reply, action)


def _paced(reply: Reply, action: Action) -> Reply:
    match action:
        case Cut(after=after, reset=reset):
            return replace(reply, cut_after=after, reset=reset)
        case Close(header_bytes=count, reset=reset):
            return replace(reply, header_bytes=count, reset=reset)
        case Stall(after=int(after), seconds=seconds):
            return replace(reply, stall_after=after, stall_s=seconds)
        case Rate(bytes_per_s=rate, after=after):
            return replace(reply, rate=rate, rate_after=after)
    return reply


def _length(reply: Reply, action: Length) -> Reply:
    if action.how == "declared":
        return replace(reply, declared=max(0, reply.stop - reply.start + action.delta))
    stop = min(reply.content.size, max(reply.start, reply.stop + action.delta))
    if action.how == "body":
        return replace(reply, stop=stop, declared=stop - reply.start)
    chunked = action.how.startswith("chunked")
    return replace(reply, stop=stop, declared=None, chunked=chunked, end_chunks=action.how != "chunked-open")


def _content_range(reply: Reply, action: ContentRange) -> Reply:
    if reply.status != 206:
        return reply
    size = reply.content.size
    start = min(max(0, reply.start + action.shift), size)
    stop = max(start, min(size, reply.stop if action.shift <= 0 else reply.stop + action.shift))
    said = (reply.start, reply.stop) if action.hide_shift else (start, stop)
    reply = replace(reply, start=start, stop=stop, declared=stop - start)
    if action.drop:
        return reply.with_header("Content-Range", None)
    template = action.value or "bytes {start}-{end}/{total}"
    for mark, number in (("{start}", said[0]), ("{end}", said[1] - 1), ("{total}", size)):
        template = template.replace(mark, str(number))
    return reply.with_header("Content-Range", template)


def _headers(reply: Reply, action: Headers) -> Reply:
    for name in action.remove:
        reply = reply.with_header(name, None)
    for name, value in action.values.items():
        reply = reply.with_header(name, value)
    more = tuple((f"X-Filler-{number}", "x" * action.size) for number in range(action.count))
    return replace(reply, headers=(*reply.headers, *more))


def _gzip(reply: Reply, action: Gzip) -> Reply:
    body = reply.content.read(reply.start, reply.stop)
    packed = _bomb(action.bomb_bytes) if action.bomb_bytes else gzip.compress(body, mtime=0)
    reply = replace(reply, content=Content.of(packed), start=0, stop=len(packed), declared=len(packed))
    return reply.with_header("Content-Encoding", "gzip")


def _bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = bytes(1024 * 1024)
    parts = [packer.compress(block) for _ in range(size // len(block))]
    return b"".join([*parts, packer.compress(bytes(size % len(block))), packer.flush()])
