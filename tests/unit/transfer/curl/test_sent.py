"""What a request says, and nothing else."""

import threading
from pathlib import Path

import pytest

from modelfetch import __version__
from modelfetch.transfer.curl import Request, Session
from modelfetch.transfer.guard import parse_url
from tests.fakes.evil_server import Answer, evil_server, serve_file
from tests.unit.transfer.curl.requests import CONTENT


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
