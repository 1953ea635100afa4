"""What the network does: refusals, stalls, deadlines, stops."""

import socket
import threading
import time

import pytest

from modelfetch.reasons import Reason
from modelfetch.transfer.curl import Limits, Request, Session
from modelfetch.transfer.guard import parse_url
from tests.fakes.evil_server import Answer, evil_server, serve_file
from tests.fakes.transfer import open_session
from tests.unit.transfer.curl.requests import CONTENT, refusal


def test_refused_connection_is_unavailable(session: Session) -> None:
    """A port where nobody listens is SourceUnavailable (F78)."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = refusal(session, f"http://127.0.0.1:{port}/x?sig=canary1")

    assert (Reason.SOURCE_UNAVAILABLE, False) == (error.reason, "canary1" in error.message)


def test_unknown_name_is_unavailable(session: Session) -> None:
    """A name that does not resolve is SourceUnavailable with a message of its own (F77)."""
    error = refusal(session, "http://no-such-host.invalid/x")

    assert (Reason.SOURCE_UNAVAILABLE, True) == (error.reason, "could not resolve host" in error.message)


def test_connect_timeout_is_unavailable() -> None:
    """A TLS handshake that nobody answers ends at the connect timeout (F78)."""
    limits = Limits(connect_timeout_s=0.3)
    with socket.create_server(("127.0.0.1", 0)) as listener, open_session(limits=limits) as session:
        error = refusal(session, f"https://127.0.0.1:{listener.getsockname()[1]}/x")

    assert Reason.SOURCE_UNAVAILABLE == error.reason


@pytest.mark.parametrize("trickle", [0, 1])
@pytest.mark.parametrize("stall_at", [0, 1000])
def test_stalls_end(stall_at: int, trickle: int) -> None:
    """Silence, or a byte now and then, is SourceStalled after the stall timeout (F75)."""
    limits = Limits(stall_timeout_s=0.3)
    with (
        evil_server(lambda _request: Answer(body=CONTENT, stall_at=stall_at, trickle=trickle)) as server,
        open_session(limits=limits) as session,
    ):
        error = refusal(session, server.url())

    assert Reason.SOURCE_STALLED == error.reason


def test_headers_that_never_end_are_a_stall() -> None:
    """Headers that come and come without an end are SourceStalled (F75)."""
    answer = Answer(raw_head=b"HTTP/1.1 200 OK\r\nX: a\r\n", body=b"Y: b\r\n", stall_at=0, trickle=1)
    with evil_server(lambda _request: answer) as server, open_session(limits=Limits(stall_timeout_s=0.3)) as session:
        error = refusal(session, server.url())

    assert Reason.SOURCE_STALLED == error.reason


def test_slow_sink_is_no_stall() -> None:
    """Time spent in our own sink is not the source's stall (F64)."""
    limits, body = Limits(stall_timeout_s=0.2), bytearray()
    released = threading.Event()

    def slow(data: memoryview) -> None:
        if not body:
            released.wait(0.4)
        body.extend(data)

    with evil_server(serve_file(CONTENT)) as server, open_session(limits=limits) as session:
        session.stream(Request(parse_url(server.url())), lambda _head: slow)

    assert CONTENT == bytes(body)


def test_deadline_ends_a_request() -> None:
    """A request that is still going at the deadline is DeadlineExceeded."""
    limits = Limits(deadline=time.monotonic() + 0.3)
    with (
        evil_server(lambda _request: Answer(body=CONTENT, stall_at=10)) as server,
        open_session(limits=limits) as session,
    ):
        error = refusal(session, server.url())

    assert Reason.DEADLINE_EXCEEDED == error.reason


def test_past_deadline_begins_nothing() -> None:
    """After the deadline no request is sent."""
    with evil_server(serve_file(CONTENT)) as server, open_session(limits=Limits(deadline=0.0)) as session:
        error = refusal(session, server.url())

    assert (Reason.DEADLINE_EXCEEDED, 0) == (error.reason, server.connections)


def test_stop_ends_a_request() -> None:
    """A stop while the server is silent ends the request as Cancelled."""
    stop = threading.Event()

    def stopping(_request: object) -> Answer:
        stop.set()
        return Answer(body=CONTENT, stall_at=10)

    with evil_server(stopping) as server, open_session(stop=stop) as session:
        error = refusal(session, server.url())

    assert Reason.CANCELLED == error.reason
