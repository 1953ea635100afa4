"""Requests against real servers on loopback: what is sent, what is refused, what each trouble is called."""

import datetime
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest
import trustme

from modelfetch import __version__
from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.answers import Head
from modelfetch.transfer.curl import DRAIN_BYTES, Limits, Request, Session
from modelfetch.transfer.guard import Credential, EgressRules, parse_url
from modelfetch.transfer.reader import Sink
from tests.fakes.evil_server import Answer, EvilServer, Script, evil_server, in_turn, serve_file
from tests.fakes.transfer import LOOPBACK, Waits, open_session, retry

CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def session() -> Iterator[Session]:
    """Give a session that may reach loopback and tries once."""
    with open_session() as opened:
        yield opened


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Give a certificate authority of our own."""
    return trustme.CA()


def context(authority: trustme.CA, name: str = "127.0.0.1", expires: datetime.datetime | None = None) -> ssl.SSLContext:
    """Return a server's TLS settings with a certificate for `name`."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, not_after=expires).configure_cert(made)
    return made


def refusal(session: Session, url: str, **options: object) -> FetchError:
    """Return the error with which a request ends."""
    with pytest.raises(FetchError) as caught:
        session.get(url, **options)  # type: ignore[arg-type]
    return caught.value


def redirect(location: str, status: int = 302) -> Script:
    """Return a script that sends elsewhere."""
    return lambda _request: Answer(status, (("Location", location),), b"moved")


def stream(session: Session, server: EvilServer) -> tuple[Head, bytes]:
    """Return head and body of a streamed request."""
    body = bytearray()

    def on_head(_head: Head) -> Sink:
        return lambda data: body.extend(data)

    head = session.stream(Request(parse_url(server.url())), on_head)
    return head, bytes(body)


# What is sent


def test_says_who_it_is_and_takes_no_encoding(session: Session) -> None:
    """A request names the program and asks for plain bytes."""
    with evil_server(serve_file(CONTENT)) as server:
        session.get(server.url())
    sent = server.requests[0].headers

    assert (f"modelfetch/{__version__}", "identity") == (sent["user-agent"], sent["accept-encoding"])


def test_sends_nothing_of_the_environment(session: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Proxies, netrc files and their passwords in the environment change nothing (row 37)."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login canary1 password canary2\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with evil_server(serve_file(CONTENT)) as proxy, evil_server(serve_file(CONTENT)) as server:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))
        session.get(server.url())

    assert (0, {"host", "user-agent", "accept", "accept-encoding"}) == (
        proxy.connections,
        set(server.requests[0].headers),
    )


def test_keeps_no_cookies(session: Session) -> None:
    """A cookie that a server sets is never sent back."""
    with evil_server(lambda request: Answer(headers=(("Set-Cookie", "id=1"),))) as server:
        session.get(server.url())
        session.get(server.url())

    assert ["cookie" in request.headers for request in server.requests] == [False, False]


@pytest.mark.parametrize("name", ["Authorization", "Cookie", "Host", "Accept-Encoding", "User-Agent"])
def test_refuses_its_own_headers(session: Session, name: str) -> None:
    """What the session decides cannot be slipped in as a plain header."""
    with pytest.raises(ValueError, match=r"own or not printable"):
        session.get("http://127.0.0.1:1/", headers={name: "x"})


def test_refuses_header_injection(session: Session) -> None:
    """A value with a line end in it is no header."""
    with pytest.raises(ValueError, match=r"own or not printable"):
        session.get("http://127.0.0.1:1/", headers={"X": "a\r\nAuthorization: b"})


def test_sends_the_path_as_it_is(session: Session) -> None:
    """Dots and percent signs of a path arrive as written: what was judged is what is asked for."""
    with evil_server(serve_file(CONTENT)) as server:
        session.get(server.url("/a/../b%2e%2e/./c?x=%20&y={z}"))

    assert ["/a/../b%2e%2e/./c?x=%20&y={z}"] == server.targets()


def test_uses_a_connection_again(session: Session) -> None:
    """Requests to one server go over one connection."""
    with evil_server(serve_file(CONTENT)) as server:
        for _ in range(3):
            session.get(server.url())

    assert (3, 1) == (len(server.requests), server.connections)


def test_opens_a_fresh_connection_when_asked(session: Session) -> None:
    """A request that is to be fresh does not use a kept connection."""
    with evil_server(serve_file(CONTENT)) as server:
        for fresh in (False, True):
            session.stream(Request(parse_url(server.url()), fresh=fresh), lambda _head: None)

    assert 2 == server.connections


def test_threads_share_a_session(session: Session) -> None:
    """Requests of several threads at once each get their own answer."""
    answers: list[bytes] = []

    def ask(target: str) -> None:
        for _ in range(25):
            answers.append(session.get(server.url(target)).body)

    with evil_server(lambda request: Answer(body=request.target.encode())) as server:
        threads = [threading.Thread(target=ask, args=(f"/{number}",)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(f"/{number}".encode() for number in range(8) for _ in range(25)) == sorted(answers)


# Small answers


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


# Guard


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "localhost"])
def test_opens_no_connection_to_what_is_refused(host: str) -> None:
    """Without permission not a single connection reaches a listener on loopback (rows 21 to 26)."""
    rules = EgressRules((ip_network("10.0.0.0/8"),), frozenset(), allow_http=True)
    with evil_server(serve_file(CONTENT)) as server, open_session(rules) as session:
        error = refusal(session, f"http://{host}:{server.port}/file")

    assert (Reason.URL_NOT_ALLOWED, 0) == (error.reason, server.connections)


def test_judges_the_address_that_is_connected_to() -> None:
    """A name is judged by the address that libcurl is about to connect to, whatever it resolved to before (row 27)."""
    rules = EgressRules((ip_network("127.0.0.2/32"),), frozenset(), allow_http=True)
    with evil_server(serve_file(CONTENT)) as server, open_session(rules) as session:
        error = refusal(session, server.url(host="localhost"))

    assert (Reason.URL_NOT_ALLOWED, 0, True) == (error.reason, server.connections, "localhost" in error.message)


def test_refuses_plain_http() -> None:
    """Plain http is refused unless allowed, before a connection."""
    with evil_server(serve_file(CONTENT)) as server, open_session(replace(LOOPBACK, allow_http=False)) as session:
        error = refusal(session, server.url())

    assert (Reason.URL_NOT_ALLOWED, 0) == (error.reason, server.connections)


def test_refuses_other_ports() -> None:
    """A port that is not allowed is refused, before a connection (row 35)."""
    rules = replace(LOOPBACK, ports=frozenset({443}))
    with evil_server(serve_file(CONTENT)) as server, open_session(rules) as session:
        error = refusal(session, server.url())

    assert (Reason.URL_NOT_ALLOWED, 0) == (error.reason, server.connections)


def test_redirect_to_a_refused_address_is_rejected() -> None:
    """A redirect to a refused address ends the request before a connection; the hop is named without query (row 29)."""
    rules = EgressRules((ip_network("127.0.0.1/32"),), frozenset(), allow_http=True)
    with (
        evil_server(serve_file(CONTENT), host="127.0.0.2") as inside,
        evil_server(redirect(inside.url("/x?sig=canary1"))) as server,
        open_session(rules) as session,
    ):
        error = refusal(session, server.url())

    assert (Reason.REDIRECT_REJECTED, 0, True, False) == (
        error.reason,
        inside.connections,
        inside.url("/x") in error.message,
        "canary1" in error.message,
    )


def test_redirect_to_a_refused_name_is_rejected() -> None:
    """A redirect to a name that resolves to a refused address is RedirectRejected too, and not tried again."""
    rules = EgressRules((ip_network("127.0.0.2/32"),), frozenset(), allow_http=True)
    with (
        evil_server(serve_file(CONTENT)) as inside,
        evil_server(redirect(inside.url(host="localhost")), host="127.0.0.2") as server,
        open_session(rules, retry=retry()) as session,
    ):
        error = refusal(session, server.url())

    assert (Reason.REDIRECT_REJECTED, 0, 1) == (error.reason, inside.connections, len(server.requests))


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "", "http://u:p@127.0.0.1/", "http://127.1/", "//\\@evil/"]
)
def test_rejects_redirects_that_are_no_address(session: Session, location: str) -> None:
    """A Location that the one parser refuses is RedirectRejected (rows 30 to 32)."""
    with evil_server(redirect(location)) as server:
        error = refusal(session, server.url())

    assert Reason.REDIRECT_REJECTED == error.reason


def test_rejects_a_redirect_without_location(session: Session) -> None:
    """A redirect that leads nowhere is RedirectRejected, never the file."""
    with evil_server(lambda _request: Answer(302, body=CONTENT)) as server:
        error = refusal(session, server.url())

    assert Reason.REDIRECT_REJECTED == error.reason


def test_rejects_a_redirect_from_https_to_http(authority: trustme.CA, tmp_path: Path) -> None:
    """A redirect down to plain http is RedirectRejected, also where plain http is allowed (row 30)."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with (
        evil_server(serve_file(CONTENT)) as plain,
        evil_server(redirect(plain.url()), context(authority)) as server,
        open_session(ca_file=str(tmp_path / "ca.pem")) as session,
    ):
        error = refusal(session, server.url())

    assert (Reason.REDIRECT_REJECTED, 0) == (error.reason, plain.connections)


def test_stops_after_five_redirects(session: Session) -> None:
    """A redirect to itself is followed five times (row 31)."""
    with evil_server(redirect("/again")) as server:
        error = refusal(session, server.url())

    assert (Reason.REDIRECT_REJECTED, 6) == (error.reason, len(server.requests))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_follows_redirects(session: Session, status: int) -> None:
    """Each kind of redirect is followed, and the answer names where it came from."""
    with evil_server(in_turn(redirect("/there?x=1", status), serve_file(CONTENT))) as server:
        answer = session.get(server.url())

    assert (CONTENT, 1, server.url("/there?x=1")) == (answer.body, answer.head.redirects, str(answer.head.url))


def test_shows_a_redirect_when_asked(session: Session) -> None:
    """Without following, a redirect is an answer with its Location."""
    with evil_server(redirect("http://elsewhere.example/")) as server:
        answer = session.get(server.url(), follow=False)

    assert (302, "http://elsewhere.example/") == (answer.status, answer.head.get("location"))


# Credentials


def test_token_goes_to_its_origin(session: Session) -> None:
    """A bound token is sent to its origin."""
    with evil_server(serve_file(CONTENT)) as server:
        url = parse_url(server.url())
        session.get(url, credential=Credential(url.origin, "canary1"))

    assert "Bearer canary1" == server.requests[0].headers["authorization"]


def test_token_does_not_go_to_another_origin(session: Session) -> None:
    """A token is not sent to an address of another origin, even when the caller passes both."""
    with evil_server(serve_file(CONTENT)) as hub, evil_server(serve_file(CONTENT)) as other:
        session.get(other.url(), credential=Credential(parse_url(hub.url()).origin, "canary1"))

    assert "authorization" not in other.requests[0].headers


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_token_is_dropped_on_redirect(session: Session, host: str) -> None:
    """A redirect to another port or host goes there without the token, and works (rows 71 and 73)."""
    with evil_server(serve_file(CONTENT)) as cdn, evil_server(redirect(cdn.url(host=host))) as hub:
        url = parse_url(hub.url())
        answer = session.get(url, credential=Credential(url.origin, "canary1"))

    assert (CONTENT, [False]) == (answer.body, ["authorization" in request.headers for request in cdn.requests])


def test_token_does_not_come_back(session: Session) -> None:
    """A chain that left the origin and returns to it carries no token: somebody else chose that address."""
    with (
        evil_server(lambda request: redirect(hub.url("/whoami"))(request)) as cdn,
        evil_server(in_turn(redirect(cdn.url()), serve_file(CONTENT))) as hub,
    ):
        url = parse_url(hub.url())
        session.get(url, credential=Credential(url.origin, "canary1"))

    assert [True, False] == ["authorization" in request.headers for request in hub.requests]


def test_realm_is_never_followed(session: Session) -> None:
    """A 401 that names a token service elsewhere sends nobody there (row 72)."""
    with evil_server(serve_file(CONTENT)) as realm:
        challenge = Answer(401, (("WWW-Authenticate", f'Bearer realm="{realm.url()}"'),))
        with evil_server(lambda _request: challenge) as server:
            url = parse_url(server.url())
            answer = session.get(url, credential=Credential(url.origin, "canary1"))

    assert (401, 0, 1) == (answer.status, realm.connections, len(server.requests))


def test_renewed_token_is_tried_once(session: Session) -> None:
    """When the mounted Secret holds another token by now, a 401 is answered with it (row 79)."""
    accepts: Script = lambda request: Answer(200 if request.headers["authorization"] == "Bearer new" else 401)  # noqa: E731
    with evil_server(accepts) as server:
        url = parse_url(server.url())
        answer = session.get(url, credential=Credential(url.origin, "old", lambda: "new"))

    assert (200, 2) == (answer.status, len(server.requests))


def test_unchanged_token_is_not_tried_again(session: Session) -> None:
    """A token that is refused and has not changed ends the request."""
    with evil_server(lambda _request: Answer(401)) as server:
        url = parse_url(server.url())
        answer = session.get(url, credential=Credential(url.origin, "old", lambda: "old"))

    assert (401, 1) == (answer.status, len(server.requests))


# Answers that are no answers


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


# Network


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


# TLS


def test_trusts_the_given_authority(authority: trustme.CA, tmp_path: Path) -> None:
    """A server with a certificate of the given authority is answered."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with (
        evil_server(serve_file(CONTENT), context(authority)) as server,
        open_session(ca_file=str(tmp_path / "ca.pem")) as session,
    ):
        answer = session.get(server.url())

    assert CONTENT == answer.body


def tls_refusal(tls: ssl.SSLContext, ca_file: Path | None) -> tuple[FetchError, EvilServer]:
    """Return the error of a request to a server with `tls`, and the server."""
    with (
        evil_server(serve_file(CONTENT), tls) as server,
        open_session(ca_file=str(ca_file) if ca_file else None, retry=retry()) as session,
    ):
        return refusal(session, server.url()), server


def test_refuses_an_unknown_authority(authority: trustme.CA) -> None:
    """A certificate that the system's authorities did not sign is refused, and not tried again (row 40)."""
    error, server = tls_refusal(context(authority), None)

    assert (Reason.TLS_VERIFICATION_FAILED, 1) == (error.reason, server.connections)


@pytest.mark.parametrize(
    ("name", "expires"),
    [("other.example", None), ("127.0.0.1", datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC))],
    ids=["wrong host", "expired"],
)
def test_refuses_wrong_certificates(
    authority: trustme.CA, tmp_path: Path, name: str, expires: datetime.datetime | None
) -> None:
    """A certificate for another host, or one that has run out, is refused (row 40)."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    error, _server = tls_refusal(context(authority, name, expires), tmp_path / "ca.pem")

    assert Reason.TLS_VERIFICATION_FAILED == error.reason


def test_refuses_old_tls(authority: trustme.CA, tmp_path: Path) -> None:
    """A server that speaks nothing newer than TLS 1.1 is refused (row 40)."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    old = context(authority)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    error, _server = tls_refusal(old, tmp_path / "ca.pem")

    assert Reason.TLS_VERIFICATION_FAILED == error.reason


def test_missing_bundle_is_a_tls_failure(authority: trustme.CA, tmp_path: Path) -> None:
    """A CA file that is not there verifies nothing, so nothing is accepted."""
    error, _server = tls_refusal(context(authority), tmp_path / "none.pem")

    assert Reason.TLS_VERIFICATION_FAILED == error.reason


def test_cut_in_the_handshake_is_unavailable() -> None:
    """A connection closed in the TLS handshake may work a moment later (F78)."""
    listener = socket.create_server(("127.0.0.1", 0))

    def cut() -> None:
        connection, _peer = listener.accept()
        connection.recv(10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()

    thread = threading.Thread(target=cut)
    thread.start()
    with listener, open_session() as session:
        error = refusal(session, f"https://127.0.0.1:{listener.getsockname()[1]}/x")
    thread.join()

    assert Reason.SOURCE_UNAVAILABLE == error.reason
