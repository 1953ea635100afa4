"""F68 to F75 over HTTP/2, where a connection carries the requests of many small files, and dies under all of them."""

import ssl
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
import trustme

from modelfetch.reasons import Reason
from tests.fakes.evil_server import Answer, Request, Script, file_answer
from tests.fakes.http2_server import Http2Server, http2_server
from tests.loopback import EGRESS
from tests.source_faults.scene import TOKEN, Ending, Remote, Scene, require_ended, require_published
from tests.source_faults.scripts import LARGE, SMALL, changed, flipped, good, holding, status

FILES = {f"/{number}": SMALL[number:] for number in range(24)}
PUBLISHED = {path[1:]: content for path, content in FILES.items()}
TIMES = 3


@pytest.fixture
def tls(authority: trustme.CA, ca_file: str, scene: Scene) -> ssl.SSLContext:
    """A server's settings, which fetches of `scene` trust."""
    scene.egress = EGRESS.model_copy(update={"ca_file": ca_file})
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(made)
    return made


def whole(request: Request) -> Answer:
    """Return what a good server answers."""
    return file_answer(request, FILES[request.target])


def sometimes(fault: Callable[[Answer], Answer], times: int = TIMES) -> Script:
    """Return a script that changes the answers to every fourth request for a whole file, at most so often.

    A rest that was asked for again may be shorter than the point of a cut: nothing would happen to it.
    """
    left, lock = [times], threading.Lock()

    def script(request: Request) -> Answer:
        with lock:
            is_met = request.number % 4 == 3 and request.range is None and left[0] > 0
            left[0] -= is_met
        return fault(whole(request)) if is_met else whole(request)

    return script


def fetch(scene: Scene, server: Http2Server) -> Ending:
    """Return how a fetch of all files ended."""
    return scene.fetch_all({path[1:]: Remote(server.url(path), content) for path, content in FILES.items()})


def most_in_flight(server: Http2Server) -> int:
    """Return how many requests one connection had at most, by what came over it."""
    connections = [request.connection for request in server.requests]
    return max(connections.count(one) for one in connections)


def test_many_requests_share_a_connection(scene: Scene, tls: ssl.SSLContext) -> None:
    """Without a fault each file is one request, and the connections are fewer than the files by far."""
    scene.token = TOKEN
    with http2_server(whole, tls) as server:
        ending = fetch(scene, server)

    require_published(ending, PUBLISHED)
    assert (len(FILES), True) == (len(server.requests), server.connections <= 8)
    assert most_in_flight(server) > 1


@pytest.mark.parametrize("point", [0, 1, 50_000, 99_000])
def test_f70_http2_streams_that_break(scene: Scene, tls: ssl.SSLContext, point: int) -> None:
    """F70: a stream that ends with an error costs one more request for its rest; the others do not notice."""
    with http2_server(sometimes(lambda answer: replace(answer, cut_at=point)), tls) as server:
        ending = fetch(scene, server)

    require_published(ending, PUBLISHED)
    assert len(FILES) + TIMES == len(server.requests)
    assert server.bytes_sent <= sum(map(len, FILES.values())) + TIMES * len(SMALL)


@pytest.mark.parametrize("point", [0, 50_000])
def test_f70_http2_connections_that_die(scene: Scene, tls: ssl.SSLContext, point: int) -> None:
    """F70: a connection that dies under many streams costs one more request for each of them."""
    with http2_server(sometimes(lambda answer: replace(answer, cut_at=point, reset=True)), tls) as server:
        ending = fetch(scene, server)

    require_published(ending, PUBLISHED)
    assert len(server.requests) <= (TIMES + 1) * len(FILES)
    assert server.bytes_sent <= (TIMES + 1) * sum(map(len, FILES.values()))


def test_f70_http2_connections_that_take_no_more(scene: Scene, tls: ssl.SSLContext) -> None:
    """F70: a connection that takes no further streams ends those that it has; the rest goes over another one."""
    with http2_server(sometimes(lambda answer: replace(answer, keep=False)), tls) as server:
        ending = fetch(scene, server)

    require_published(ending, PUBLISHED)
    assert len(server.requests) <= (TIMES + 1) * len(FILES)


def test_f70_http2_for_ever(scene: Scene, tls: ssl.SSLContext) -> None:
    """F70: streams that always break are SourceUnavailable after the retries, which are counted for each file."""
    scene.retries = 2
    with http2_server(changed(whole, lambda answer: replace(answer, cut_at=1)), tls) as server:
        ending = fetch(scene, server)

    require_ended(ending, Reason.SOURCE_UNAVAILABLE, server.url("/"))
    assert len(server.requests) <= 3 * len(FILES)


@pytest.mark.parametrize("code", [429, 500, 503])
def test_f69_http2_errors_of_a_moment(scene: Scene, tls: ssl.SSLContext, code: int) -> None:
    """F69: an error costs its file one more request, also where it asks for a wait (F68)."""
    error = replace(status(code, Retry_After="3")(Request(0, 0, "GET", "/", {})), keep=True)
    with http2_server(sometimes(lambda _answer: error), tls) as server:
        ending = fetch(scene, server)

    require_published(ending, PUBLISHED)
    assert len(FILES) + TIMES == len(server.requests)


@pytest.mark.parametrize("difference", [-1, 1])
def test_f71_http2_length(scene: Scene, tls: ssl.SSLContext, difference: int) -> None:
    """F71: a length that is not that of the body is never a file; it is asked for within bounds."""
    scene.retries = 2

    def lie(answer: Answer) -> Answer:
        return replace(answer, length=len(answer.body) + difference)

    with http2_server(changed(whole, lie), tls) as server:
        ending = fetch(scene, server)

    assert ending.report.reason in (Reason.SIZE_MISMATCH, Reason.SOURCE_UNAVAILABLE)
    require_ended(ending, ending.report.reason)
    assert len(server.requests) <= 5 * len(FILES)


def test_f72_http2_wrong_bytes(scene: Scene, tls: ssl.SSLContext) -> None:
    """F72: wrong bytes in some streams cost a request each; bytes of one stream never get into another's file."""
    with http2_server(sometimes(lambda answer: replace(answer, body=flipped(answer.body, 777))), tls) as server:
        ending = fetch(scene, server)

    require_published(ending, PUBLISHED)
    assert len(FILES) + TIMES == len(server.requests)


@pytest.mark.parametrize("point", [0, 99_000])
def test_f75_http2_a_stream_that_stalls(scene: Scene, tls: ssl.SSLContext, point: int) -> None:
    """F75: one stream that stalls is replaced, and does not hold up the others."""
    script = sometimes(lambda answer: holding(scene.turned, lambda _request: answer, point)(QUESTION), times=1)
    with http2_server(script, tls) as server:
        ending = fetch(scene, server)

    require_published(ending, PUBLISHED)
    assert len(server.requests) <= 2 * len(FILES)


def test_f75_http2_a_server_that_stalls(scene: Scene, tls: ssl.SSLContext) -> None:
    """F75: a connection on which nothing moves any more is SourceStalled after the retries, for all that wait on it."""
    scene.retries = 1
    with http2_server(holding(scene.turned, whole, 10), tls) as server:
        ending = fetch(scene, server)

    require_ended(ending, Reason.SOURCE_STALLED, server.url("/"))
    assert len(server.requests) <= 2 * len(FILES)


def test_f70_http2_a_large_file(scene: Scene, tls: ssl.SSLContext) -> None:
    """F70: a large file beside them comes whole from a server that speaks both."""
    with http2_server(good(LARGE), tls) as server:
        ending = scene.fetch(server.url(), LARGE)

    require_published(ending, {"file": LARGE})
    assert 1 == len(server.requests)


QUESTION = Request(0, 0, "GET", "/", {})
