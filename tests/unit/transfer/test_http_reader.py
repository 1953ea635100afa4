"""The Reader of an HTTP file against scripted servers: what it asks, what it believes, what it hands on."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.answers import Head
from modelfetch.transfer.curl import Session
from modelfetch.transfer.guard import Credential, parse_url
from modelfetch.transfer.http_reader import RESOLUTIONS, HttpReader
from modelfetch.transfer.reader import Identity, RangeIgnored, Span
from tests.fakes.evil_server import DATE, Answer, Script, evil_server, file_answer, in_turn, serve_file
from tests.fakes.transfer import open_session

CONTENT = bytes(range(256)) * 1000
SIZE = len(CONTENT)
V1 = Identity('"v1"', None, SIZE)
PART = Span(1000, 5000)


@pytest.fixture
def session() -> Iterator[Session]:
    """Give a session that may reach loopback."""
    with open_session() as opened:
        yield opened


class Reading:
    """What one read handed over."""

    def __init__(self) -> None:
        self._content = bytearray()
        self.identity: Identity | None = None

    @property
    def content(self) -> bytes:
        """The bytes so far."""
        return bytes(self._content)

    def take(self, data: memoryview) -> None:
        """Keep the bytes."""
        assert self.identity is not None
        self._content.extend(data)

    def opened(self, identity: Identity) -> None:
        """Keep the identity."""
        assert self.identity is None
        self.identity = identity


def read(reader: HttpReader, span: Span = PART, expected: Identity | None = V1) -> Reading:
    """Return what a read brings."""
    reading = Reading()
    reader.read(span, reading.take, expected, reading.opened)
    return reading


def lying(**headers: str) -> Script:
    """Return a script of a good server but for some headers."""
    return lambda request: file_answer(request, CONTENT).with_headers(**headers)


# What is asked


def test_whole_file_is_asked_for_plainly(session: Session) -> None:
    """The whole file is asked for without a range, and comes with its identity."""
    with evil_server(serve_file(CONTENT)) as server:
        reading = read(HttpReader(session, parse_url(server.url())), Span(), None)

    assert (CONTENT, V1, False) == (reading.content, reading.identity, "range" in server.requests[0].headers)


@pytest.mark.parametrize(
    ("span", "header"), [(PART, "bytes=1000-4999"), (Span(7), "bytes=7-"), (Span(0, 1), "bytes=0-0")]
)
def test_parts_are_asked_for_on_condition(session: Session, span: Span, header: str) -> None:
    """A part is asked for by Range, on the condition that the version is still the same, and comes exactly."""
    with evil_server(serve_file(CONTENT)) as server:
        reading = read(HttpReader(session, parse_url(server.url())), span)
    sent = server.requests[0].headers

    assert (CONTENT[span.start : span.end], header, '"v1"') == (reading.content, sent["range"], sent["if-range"])


def test_a_date_is_a_condition_too(session: Session) -> None:
    """Without a strong ETag, an old Last-Modified date is the condition."""
    changed = "Fri, 01 Jan 2021 00:00:00 GMT"

    def dated(request: object) -> Answer:
        return Answer(
            206,
            (("Last-Modified", changed), ("Date", DATE), ("Content-Range", f"bytes 1000-4999/{SIZE}")),
            CONTENT[1000:5000],
        )

    with evil_server(dated) as server:
        reading = read(HttpReader(session, parse_url(server.url())), PART, Identity(None, changed, SIZE))

    assert (changed, CONTENT[1000:5000]) == (server.requests[0].headers["if-range"], reading.content)


# Versions


@pytest.mark.parametrize(
    "script",
    [
        lying(etag='"v2"'),
        lying(etag='W/"v1"'),
        lambda request: file_answer(request, CONTENT).without("etag"),
        lambda request: file_answer(request, CONTENT).with_headers(content_range=f"bytes 1000-4999/{SIZE + 1}"),
        serve_file(CONTENT, '"v2"'),
        serve_file(CONTENT[:-1]),
    ],
    ids=["other ETag", "weak ETag", "no ETag", "other total", "whole new file", "other size"],
)
def test_another_version_is_never_stitched(session: Session, script: Script) -> None:
    """A part of anything but the version that was begun is SourceChanged, before any byte (F73, F67)."""
    reading = Reading()
    with evil_server(script) as server, pytest.raises(FetchError) as caught:
        HttpReader(session, parse_url(server.url())).read(PART, reading.take, V1, reading.opened)

    assert (Reason.SOURCE_CHANGED, b"") == (caught.value.reason, reading.content)


@pytest.mark.parametrize(
    "script",
    [
        serve_file(CONTENT, ranges=False),
        lying(content_range=f"bytes 0-3999/{SIZE}"),
        lying(content_range=f"bytes 1000-5000/{SIZE}"),
        lying(content_range="bytes */*"),
        lying(content_range="nonsense"),
        lambda request: file_answer(request, CONTENT).without("content-range"),
        lambda request: replace(file_answer(request, CONTENT), length=3999, body=CONTENT[1000:4999]),
        lambda request: Answer(416, (("Content-Range", f"bytes */{SIZE}"),)),
    ],
    ids=["200", "early", "long", "star", "nonsense", "no range", "length contradicts", "416"],
)
def test_a_range_that_lies_is_not_believed(session: Session, script: Script) -> None:
    """A server that answers a part with anything else is not asked for parts again; no byte was handed on (F67)."""
    reading = Reading()
    with evil_server(script) as server, pytest.raises(RangeIgnored):
        HttpReader(session, parse_url(server.url())).read(PART, reading.take, V1, reading.opened)

    assert b"" == reading.content


def test_a_total_of_star_is_fine(session: Session) -> None:
    """A server need not know the total; the part is still exact."""
    with evil_server(lying(content_range="bytes 1000-4999/*")) as server:
        reading = read(HttpReader(session, parse_url(server.url())))

    assert CONTENT[1000:5000] == reading.content


def test_the_rest_of_nobody_knows_how_much_is_not_believed(session: Session) -> None:
    """An open range answered by a part of an unknown total could be the middle of the file."""
    script = lying(content_range="bytes 1000-4999/*")
    with evil_server(script) as server, pytest.raises(RangeIgnored):
        read(HttpReader(session, parse_url(server.url())), Span(1000), Identity('"v1"'))


@pytest.mark.parametrize(
    ("framing", "compared"), [({}, False), ({"chunked": True}, False), ({"length": None}, True)],
    ids=["length", "chunks", "until closed, compared"],
)  # fmt: skip
def test_what_says_where_it_ends_or_is_compared_comes(
    session: Session, framing: dict[str, Any], compared: bool
) -> None:
    """A body needs an end of its own, or a size or digest to be compared with afterwards."""
    with evil_server(lambda request: replace(file_answer(request, CONTENT), **framing)) as server:
        reading = read(HttpReader(session, parse_url(server.url()), compared=compared), Span(), None)

    assert CONTENT == reading.content


def test_what_may_be_cut_unseen_is_refused(session: Session) -> None:
    """A body that ends with its connection is SizeMismatch, unread, where there is nothing to compare it with (F71)."""
    reading = Reading()
    with evil_server(lambda request: replace(file_answer(request, CONTENT), length=None)) as server:
        reader = HttpReader(session, parse_url(server.url()), compared=False)
        with pytest.raises(FetchError) as caught:
            reader.read(Span(), reading.take, None, reading.opened)

    assert (Reason.SIZE_MISMATCH, b"") == (caught.value.reason, reading.content)


def test_a_small_file_may_come_whole(session: Session) -> None:
    """A 200 that fits into the asked part from 0 is the part."""
    with evil_server(serve_file(b"small", ranges=False)) as server:
        reading = read(HttpReader(session, parse_url(server.url())), Span(0, 4096), None)

    assert b"small" == reading.content


@pytest.mark.parametrize("length", [-1, None])
def test_a_large_file_in_place_of_a_part_is_refused_unread(session: Session, length: int | None) -> None:
    """The whole file in place of its first part is RangeIgnored before any byte (F80)."""
    script: Script = lambda request: replace(file_answer(request, CONTENT, ranges=False), length=length)  # noqa: E731
    with evil_server(script) as server, pytest.raises(RangeIgnored):
        read(HttpReader(session, parse_url(server.url())), Span(0, 4096), None)


def test_a_part_cut_short_by_the_server_is_not_whole(session: Session) -> None:
    """A server may send less than was asked; what it sent is handed on, the rest is to be asked for again."""
    reading = Reading()
    short = replace(Answer(206, body=CONTENT[1000:2000])).with_headers(
        content_range=f"bytes 1000-1999/{SIZE}", etag='"v1"'
    )
    with evil_server(lambda _request: short) as server, pytest.raises(FetchError) as caught:
        HttpReader(session, parse_url(server.url())).read(PART, reading.take, V1, reading.opened)

    assert (Reason.SOURCE_UNAVAILABLE, CONTENT[1000:2000]) == (caught.value.reason, reading.content)


@pytest.mark.parametrize("status", [201, 204, 206, 304, 416])
def test_odd_statuses_are_no_file(session: Session, status: int) -> None:
    """Whatever is neither 200 nor an error is not the file."""
    with evil_server(lambda _request: Answer(status)) as server, pytest.raises(FetchError) as caught:
        read(HttpReader(session, parse_url(server.url())), Span(), None)

    assert Reason.SOURCE_UNAVAILABLE == caught.value.reason


def test_more_chunks_than_the_part(session: Session) -> None:
    """Bytes beyond the announced part are SizeMismatch, and none of them is handed on."""
    reading = Reading()
    long = Answer(
        206, (("Content-Range", f"bytes 1000-4999/{SIZE}"), ("ETag", '"v1"')), CONTENT[1000:6000], chunked=True
    )
    with evil_server(lambda _request: long) as server, pytest.raises(FetchError) as caught:
        HttpReader(session, parse_url(server.url())).read(PART, reading.take, V1, reading.opened)

    assert (Reason.SIZE_MISMATCH, True) == (caught.value.reason, len(reading.content) <= 4000)


def test_fewer_chunks_than_the_part(session: Session) -> None:
    """A part that ends early though well framed is SourceUnavailable."""
    short = Answer(
        206, (("Content-Range", f"bytes 1000-4999/{SIZE}"), ("ETag", '"v1"')), CONTENT[1000:2000], chunked=True
    )
    with evil_server(lambda _request: short) as server, pytest.raises(FetchError) as caught:
        read(HttpReader(session, parse_url(server.url())))

    assert Reason.SOURCE_UNAVAILABLE == caught.value.reason


# Statuses


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, Reason.SOURCE_UNAUTHORIZED),
        (403, Reason.SOURCE_FORBIDDEN),
        (404, Reason.SOURCE_NOT_FOUND),
        (410, Reason.SOURCE_NOT_FOUND),
        (429, Reason.RATE_LIMITED),
        (503, Reason.SOURCE_UNAVAILABLE),
    ],
)
def test_errors_at_the_source_are_final_for_the_request(session: Session, status: int, reason: Reason) -> None:
    """The source's own no is taken at its word, once, with its Retry-After."""
    with (
        evil_server(lambda _request: Answer(status, (("Retry-After", "9"),))) as server,
        pytest.raises(FetchError) as caught,
    ):
        read(HttpReader(session, parse_url(server.url())), Span(), None)

    assert (reason, 9.0 if status in {429, 503} else None, 1) == (
        caught.value.reason,
        caught.value.retry_after_s,
        len(server.requests),
    )


def test_the_source_may_give_a_status_its_own_meaning(session: Session) -> None:
    """A hub that says why in a header is heard."""

    def gated(head: Head) -> FetchError | None:
        return FetchError(Reason.GATED_ACCESS_REQUIRED, "gated") if head.get("x-error-code") == "GatedRepo" else None

    refused = Answer(403, (("X-Error-Code", "GatedRepo"),))
    with evil_server(lambda _request: refused) as server, pytest.raises(FetchError) as caught:
        read(HttpReader(session, parse_url(server.url()), classify=gated), Span(), None)

    assert Reason.GATED_ACCESS_REQUIRED == caught.value.reason


@pytest.mark.parametrize("name", ["/model.safetensors", "/config.json"])
def test_a_web_page_is_no_model(session: Session, name: str) -> None:
    """With nothing to compare, a web page in place of a file is FormatNotAllowed (row 38)."""
    page = Answer(headers=(("Content-Type", "text/html; charset=utf-8"),), body=b"<html>log in</html>")
    with evil_server(lambda _request: page) as server, pytest.raises(FetchError) as caught:
        read(HttpReader(session, parse_url(server.url(name)), compared=False), Span(), None)

    assert Reason.FORMAT_NOT_ALLOWED == caught.value.reason


@pytest.mark.parametrize(("name", "compared"), [("/index.html", False), ("/model.bin", True)])
def test_a_web_page_may_be_wanted(session: Session, name: str, compared: bool) -> None:
    """A file that is called a web page may be one, and what will be compared is left to the comparison."""
    page = Answer(headers=(("Content-Type", "text/html"),), body=b"<html>")
    with evil_server(lambda _request: page) as server:
        reading = read(HttpReader(session, parse_url(server.url(name)), compared=compared), Span(), None)

    assert b"<html>" == reading.content


# Redirects to a CDN


def hub_of(cdn_url: str) -> Script:
    """Return the script of a hub that sends each request to the CDN with another signature."""
    return lambda request: Answer(302, (("Location", f"{cdn_url}?sig={request.number}"),))


def test_a_resolved_address_is_used_again(session: Session) -> None:
    """Ranges of one file ask the hub once, then the CDN directly, without the token."""
    with evil_server(serve_file(CONTENT)) as cdn, evil_server(hub_of(cdn.url())) as hub:
        url = parse_url(hub.url())
        reader = HttpReader(session, url, Credential(url.origin, "canary1"))
        for start in (0, 1000, 2000):
            read(reader, Span(start, start + 1000), V1)

    assert (1, ["/file?sig=0"] * 3, [False] * 3) == (
        len(hub.requests),
        cdn.targets(),
        ["authorization" in request.headers for request in cdn.requests],
    )


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_an_expired_address_is_resolved_again(session: Session, status: int) -> None:
    """When a signed address stops working, the hub is asked for a new one, and the range goes on (F76)."""
    fresh_only: Script = lambda request: (  # noqa: E731
        Answer(status) if request.number == 1 else file_answer(request, CONTENT)
    )
    with evil_server(fresh_only) as cdn, evil_server(hub_of(cdn.url())) as hub:
        reader = HttpReader(session, parse_url(hub.url()))
        content = read(reader, Span(0, 1000)).content + read(reader, Span(1000, 2000)).content

    assert (CONTENT[:2000], ["/file?sig=0", "/file?sig=0", "/file?sig=1"]) == (content, cdn.targets())


@pytest.mark.parametrize(
    ("status", "reason"),
    [(403, Reason.SOURCE_FORBIDDEN), (404, Reason.SOURCE_NOT_FOUND), (410, Reason.SOURCE_NOT_FOUND)],
)
def test_resolving_again_is_bounded(session: Session, status: int, reason: Reason) -> None:
    """A CDN that refuses every fresh address ends the read with its own reason."""
    with (
        evil_server(lambda _request: Answer(status)) as cdn,
        evil_server(hub_of(cdn.url())) as hub,
        pytest.raises(FetchError) as caught,
    ):
        read(HttpReader(session, parse_url(hub.url())))

    assert (reason, RESOLUTIONS) == (caught.value.reason, len(hub.requests))


def test_after_trouble_the_hub_is_asked_again(session: Session) -> None:
    """When the CDN breaks, the next read asks the hub, which may know a better node."""
    breaking = in_turn(serve_file(CONTENT), lambda _request: Answer(503), serve_file(CONTENT))
    with evil_server(breaking) as cdn, evil_server(hub_of(cdn.url())) as hub:
        reader = HttpReader(session, parse_url(hub.url()))
        read(reader)
        with pytest.raises(FetchError):
            read(reader)
        read(reader)

    assert 2 == len(hub.requests)


def test_starting_over_forgets_everything(session: Session) -> None:
    """A read that expects nothing asks the hub again, over a new connection."""
    with evil_server(serve_file(CONTENT)) as cdn, evil_server(hub_of(cdn.url())) as hub:
        reader = HttpReader(session, parse_url(hub.url()))
        read(reader, Span(), None)
        read(reader, Span(), None)

    assert (2, 2, ["/file?sig=0", "/file?sig=1"]) == (len(hub.requests), hub.connections, cdn.targets())


def test_a_token_goes_along_a_redirect_at_home(session: Session) -> None:
    """A redirect within the hub's own origin keeps the token, also when its target is used again."""
    at_home: Script = lambda request: (  # noqa: E731
        Answer(302, (("Location", "/cached"),)) if request.target == "/file" else file_answer(request, CONTENT)
    )
    with evil_server(at_home) as hub:
        url = parse_url(hub.url())
        reader = HttpReader(session, url, Credential(url.origin, "canary1"))
        read(reader)
        read(reader)

    assert (["/file", "/cached", "/cached"], [True] * 3) == (
        hub.targets(),
        ["authorization" in request.headers for request in hub.requests],
    )


def test_a_token_does_not_come_back_by_memory(session: Session) -> None:
    """An address at home that a foreign hop led to is asked without the token, also when it is used again."""
    with evil_server(lambda _request: Answer(302, (("Location", hub.url("/cached")),))) as foreign:
        away: Script = lambda request: (  # noqa: E731
            Answer(302, (("Location", foreign.url()),)) if request.target == "/file" else file_answer(request, CONTENT)
        )
        with evil_server(away) as hub:
            url = parse_url(hub.url())
            reader = HttpReader(session, url, Credential(url.origin, "canary1"))
            read(reader)
            read(reader)

    assert [True, False, False] == ["authorization" in request.headers for request in hub.requests]
