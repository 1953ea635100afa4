"""Answers that are kept in memory: bounds, retries, waits."""

import pytest

from modelfetch.reasons import Reason
from modelfetch.transfer.curl import Session
from tests.fakes.evil_server import Answer, Script, evil_server, in_turn, serve_file
from tests.fakes.transfer import Waits, open_session, retry
from tests.unit.transfer.curl.requests import CONTENT, refusal


def test_returns_any_status(session: Session) -> None:
    """A status that says no is an answer like others; its meaning is the caller's."""
    with evil_server(lambda _request: Answer(404, (("X-Error-Code", "EntryNotFound"),), b"gone")) as server:
        answer = session.get(server.url())

    assert (404, "EntryNotFound", b"gone") == (answer.status, answer.head.get("x-error-code"), answer.body)


def test_head_brings_no_body(session: Session) -> None:
    """HEAD returns the headers of the file alone."""
    with evil_server(serve_file(CONTENT)) as server:
        answer = session.get(server.url(), method="HEAD")

    assert ("HEAD", str(len(CONTENT)), b"") == (
        server.requests[0].method,
        answer.head.get("content-length"),
        answer.body,
    )


def test_bounds_an_answer_in_memory(session: Session) -> None:
    """A listing without end is SourceUnavailable, not memory."""
    with evil_server(serve_file(CONTENT)) as server:
        error = refusal(session, server.url(), limit_bytes=len(CONTENT) - 1)

    assert Reason.SOURCE_UNAVAILABLE == error.reason


def test_takes_an_answer_of_just_that_size(session: Session) -> None:
    """The bound itself is allowed."""
    with evil_server(serve_file(CONTENT)) as server:
        answer = session.get(server.url(), limit_bytes=len(CONTENT))

    assert CONTENT == answer.body


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_tries_again_after_transient_statuses(status: int) -> None:
    """Trouble of a moment is passed over, on listings as on files."""
    bad: Script = lambda _request: Answer(status, body=b"oops")  # noqa: E731
    with evil_server(in_turn(bad, bad, serve_file(CONTENT))) as server, open_session(retry=retry(2)) as session:
        answer = session.get(server.url())

    assert (200, 3) == (answer.status, len(server.requests))


@pytest.mark.parametrize(
    ("status", "reason"),
    [(429, Reason.RATE_LIMITED), (500, Reason.SOURCE_UNAVAILABLE), (408, Reason.SOURCE_UNAVAILABLE)],
)
def test_gives_up_on_lasting_trouble(status: int, reason: Reason) -> None:
    """Trouble that stays has its reason after the last try."""
    with evil_server(lambda _request: Answer(status)) as server, open_session(retry=retry(2)) as session:
        error = refusal(session, server.url())

    assert (reason, 3) == (error.reason, len(server.requests))


def test_waits_as_long_as_the_server_asks() -> None:
    """Retry-After of a listing is waited for in full."""
    waits = Waits()
    limited: Script = lambda _request: Answer(429, (("Retry-After", "7"),))  # noqa: E731
    with (
        evil_server(in_turn(limited, serve_file(CONTENT))) as server,
        open_session(retry=retry(1, waits)) as session,
    ):
        session.get(server.url())

    assert 7 <= sum(waits.seconds) <= 8
