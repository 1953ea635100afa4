"""A token goes to its own origin and nowhere else."""

import pytest

from modelfetch.transfer.curl import Session
from modelfetch.transfer.guard import Credential, parse_url
from tests.fakes.evil_server import Answer, Script, evil_server, in_turn, serve_file
from tests.unit.transfer.curl.requests import CONTENT, redirect


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
