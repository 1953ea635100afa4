"""No connection to a refused address, whatever leads there."""

from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest
import trustme

from modelfetch.reasons import Reason
from modelfetch.transfer.curl import Session
from modelfetch.transfer.guard import EgressRules
from tests.fakes.evil_server import Answer, evil_server, in_turn, serve_file
from tests.fakes.transfer import LOOPBACK, open_session, retry
from tests.unit.transfer.curl.requests import CONTENT, context, redirect, refusal


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
