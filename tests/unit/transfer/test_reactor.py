"""Requests that share a thread and its connections: the same answers, errors and ends as with a thread each."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from ipaddress import ip_network

import pytest

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.curl import Limits, Request, Session
from modelfetch.transfer.guard import EgressRules, parse_url
from modelfetch.transfer.reader import IsOver, never
from tests.fakes.evil_server import Answer, evil_server, in_turn, serve_file
from tests.fakes.transfer import open_session

CONTENT = bytes(range(256)) * 100


def fetch(session: Session, url: str, is_over: IsOver = never) -> bytes:
    """Return the body of a small file whose origin is known to carry many requests on a connection."""
    target, body = parse_url(url), bytearray()
    session.shared.add(target.origin)
    session.stream(Request(target, is_small=True, is_over=is_over), lambda _head: body.extend)
    return bytes(body)


def refusal(session: Session, url: str, is_over: IsOver = never) -> Reason:
    """Return the reason with which a request ends."""
    with pytest.raises(FetchError) as caught:
        fetch(session, url, is_over)
    return caught.value.reason


def reactors() -> list[str]:
    """Return the reactor threads that run."""
    return [thread.name for thread in threading.enumerate() if thread.name == "transfer-reactor"]


def test_many_threads_get_their_own_answers() -> None:
    """Bodies do not mix, one thread performs them all, and none is left at the end."""
    with evil_server(lambda request: Answer(body=request.target.encode() * 1000)) as server, open_session() as session:
        with ThreadPoolExecutor(8) as pool:
            bodies = list(pool.map(lambda number: fetch(session, server.url(f"/{number}")), range(100)))
        running = reactors()

    assert ([f"/{number}".encode() * 1000 for number in range(100)], 100, 1, []) == (
        bodies,
        len(server.requests),
        len(running),
        reactors(),
    )


def test_connections_are_kept() -> None:
    """One file after the other comes over the same connection."""
    with evil_server(serve_file(CONTENT)) as server, open_session() as session:
        bodies = [fetch(session, server.url()) for _ in range(5)]

    assert ([CONTENT] * 5, 1) == (bodies, server.connections)


def test_a_server_that_is_gone_is_unavailable() -> None:
    """Nobody listens: SourceUnavailable."""
    with evil_server(serve_file(CONTENT)) as server:
        url = server.url()
    with open_session() as session:
        reason = refusal(session, url)

    assert Reason.SOURCE_UNAVAILABLE == reason


def test_a_cut_is_unavailable() -> None:
    """A body that ends early: SourceUnavailable; the next request goes on as if nothing were."""
    script = in_turn(lambda _request: Answer(body=CONTENT, cut_at=10), serve_file(CONTENT))
    with evil_server(script) as server, open_session() as session:
        reason, after = refusal(session, server.url()), fetch(session, server.url())

    assert (Reason.SOURCE_UNAVAILABLE, CONTENT) == (reason, after)


def test_a_forbidden_address_is_refused() -> None:
    """The rules hold where the socket is opened; nobody is connected to."""
    rules = EgressRules((ip_network("10.0.0.0/8"),), frozenset(), allow_http=True)
    with evil_server(serve_file(CONTENT)) as server, open_session(rules) as session:
        reason = refusal(session, f"http://localhost:{server.port}/file")

    assert (Reason.URL_NOT_ALLOWED, 0) == (reason, server.connections)


def test_a_stall_ends() -> None:
    """A server that falls silent: SourceStalled after the stall timeout, though no byte wakes anybody."""
    script, limits = Answer(body=CONTENT, stall_at=10), Limits(stall_timeout_s=0.2)
    with evil_server(lambda _request: script) as server, open_session(limits=limits) as session:
        reason = refusal(session, server.url())

    assert Reason.SOURCE_STALLED == reason


def test_nobody_wants_it_any_more() -> None:
    """A request that is over ends with Cancelled, though no byte wakes anybody."""
    over = threading.Event()
    script = replace(Answer(body=CONTENT, stall_at=10), held=over.set)
    with evil_server(lambda _request: script) as server, open_session() as session:
        reason = refusal(session, server.url(), over.is_set)

    assert Reason.CANCELLED == reason


def test_others_do_not_share() -> None:
    """A request that is not small, or to an origin of which nothing is known, has its connection to itself."""
    with evil_server(serve_file(CONTENT)) as server, open_session() as session:
        session.stream(Request(parse_url(server.url()), is_small=True), lambda _head: None)
        session.shared.add(parse_url(server.url()).origin)
        session.stream(Request(parse_url(server.url())), lambda _head: None)
        running = reactors()

    assert [] == running


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nobody_waits_for_a_thread_that_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect ends the thread: the request under way and the next one end, too, with Internal."""

    def fail(_loop: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("modelfetch.transfer.reactor._Loop._end_done", fail)
    with evil_server(serve_file(CONTENT)) as server, open_session() as session:
        reasons = [refusal(session, server.url()) for _ in range(2)]

    assert [Reason.INTERNAL] * 2 == reasons
