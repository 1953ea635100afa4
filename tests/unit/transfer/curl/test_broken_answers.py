"""Answers that are no answers have their reason."""

import pytest

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.curl import Request, Session
from modelfetch.transfer.exchange import DRAIN_BYTES
from modelfetch.transfer.guard import parse_url
from tests.fakes.evil_server import Answer, evil_server, serve_file
from tests.unit.transfer.curl.requests import CONTENT, refusal, stream


@pytest.mark.parametrize(
    "answer",
    [
        Answer(raw_head=b"HTTP/1.1 200 OK\r\nX: " + b"a" * 2**20 + b"\r\n\r\n"),
        Answer(raw_head=b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 10_000 + b"\r\n"),
        Answer(raw_head=b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", body=b"hello"),
        Answer(raw_head=b"\0\1\2 nonsense\r\n\r\n"),
        Answer(raw_head=b"", body=b"", keep=False),
        Answer(body=CONTENT, cut_at=1000),
        Answer(body=CONTENT, cut_at=1000, reset=True),
        Answer(body=CONTENT, cut_at=2000, chunked=True),
        Answer(body=CONTENT, length=len(CONTENT) + 1, cut_at=len(CONTENT)),
    ],
    ids=[
        "huge header",
        "many headers",
        "two lengths",
        "no HTTP",
        "nothing",
        "cut",
        "reset",
        "chunks cut",
        "long length",
    ],
)
def test_broken_answers_are_unavailable(session: Session, answer: Answer) -> None:
    """What breaks off or is no HTTP is SourceUnavailable (row 39, F70, F71)."""
    with evil_server(lambda _request: answer) as server:
        error = refusal(session, server.url())

    assert Reason.SOURCE_UNAVAILABLE == error.reason


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "x-unknown", "identity, gzip"])
def test_refuses_encoded_bytes(session: Session, encoding: str) -> None:
    """Bytes that come encoded although plain ones were asked for are refused unread (F81)."""
    with evil_server(lambda _request: Answer(headers=(("Content-Encoding", encoding),), body=CONTENT)) as server:
        error = refusal(session, server.url())

    assert Reason.FORMAT_NOT_ALLOWED == error.reason


def test_takes_the_identity_encoding(session: Session) -> None:
    """An answer that says its encoding is none is plain."""
    with evil_server(lambda _request: Answer(headers=(("Content-Encoding", "identity"),), body=CONTENT)) as server:
        answer = session.get(server.url())

    assert CONTENT == answer.body


def test_an_error_page_is_not_read_to_its_end(session: Session) -> None:
    """A body that nobody wants is dropped, and left when it is long."""
    huge = Answer(404, body=bytes(DRAIN_BYTES * 100))
    with evil_server(lambda _request: huge) as server:
        head = session.stream(Request(parse_url(server.url())), lambda _head: None)

    assert (404, True) == (head.status, server.bytes_sent < len(huge.body))


@pytest.mark.parametrize(
    "answer",
    [Answer(body=CONTENT), Answer(body=CONTENT, chunked=True), Answer(body=CONTENT, length=None)],
    ids=["length", "chunks", "until closed"],
)
def test_streams_any_framing(session: Session, answer: Answer) -> None:
    """A body by length, by chunks, or until the connection closes arrives whole."""
    with evil_server(lambda _request: answer) as server:
        _head, body = stream(session, server)

    assert CONTENT == body


def test_what_the_sink_raises_ends_the_request(session: Session) -> None:
    """An error of the receiving side passes through libcurl unchanged."""

    def fail(_data: memoryview) -> None:
        raise FetchError(Reason.INSUFFICIENT_STORAGE, "full")

    with evil_server(serve_file(CONTENT)) as server, pytest.raises(FetchError) as caught:
        session.stream(Request(parse_url(server.url())), lambda _head: fail)

    assert Reason.INSUFFICIENT_STORAGE == caught.value.reason
