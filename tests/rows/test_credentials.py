"""Rows 71 to 76: who gets to see the token, and who does not. Every outcome is also searched for it."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from modelfetch.cli.main import main
from modelfetch.devcluster.hub import FixtureHub, Redirect, RepoSpec, Status
from modelfetch.reasons import Reason
from tests.fakes.evil_server import Answer, EvilServer, Request, Script, evil_server, serve_file
from tests.rows.conftest import FILES
from tests.rows.ground import CANARY, NAME, Ground, reach, require_published, require_refused, require_silent

HUB_TOKEN = "hf_" + "Canary" * 6
COOKIE = ("Set-Cookie", "session=canary; Path=/")


def secrets_seen(server: EvilServer) -> list[str]:
    """Return the headers that a server got and that could let somebody in."""
    return [
        name
        for request in server.requests
        for name in request.headers
        if re.search("auth|cookie|token|key", name) or "canary" in request.headers[name].lower()
    ]


def to(location: str) -> Script:
    """Return a script that sets a cookie and sends elsewhere."""
    return lambda _request: Answer(302, (COOKIE, ("Location", location)))


def test_the_token_is_sent_where_it_belongs(ground: Ground) -> None:
    """The source's own address gets it, so that its absence elsewhere means something."""
    with evil_server(serve_file(b"x")) as server:
        outcome = ground.pull(server.url("/file"), *reach(server.url()), f"--name={NAME}")

    require_published(outcome, {"file": b"x"})
    assert f"Bearer {CANARY}" == server.requests[0].headers["authorization"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_row_71_redirect_to_another_host(ground: Ground, host: str, status: int) -> None:
    """Row 71: another host, or another port of the same one, gets neither the token nor a cookie."""
    listen = "127.0.0.1" if host == "localhost" else host
    with (
        evil_server(serve_file(b"x"), host=listen) as other,
        evil_server(lambda _request: Answer(status, (COOKIE, ("Location", other.url("/b", host))))) as source,
    ):
        outcome = ground.pull(source.url("/file"), *reach(source.url(), other.url()), f"--name={NAME}")

    require_published(outcome, {"file": b"x"})
    assert ([], 1, ["authorization"]) == (secrets_seen(other), len(other.requests), secrets_seen(source))


def test_row_71_redirect_away_and_back(ground: Ground) -> None:
    """Row 71: who was led away does not get the token back: somebody else chose the address."""

    def answer(request: Request) -> Answer:
        return to(other.url("/b"))(request) if request.number == 0 else serve_file(b"x")(request)

    with evil_server(answer) as source, evil_server(lambda request: to(source.url("/whoami"))(request)) as other:
        outcome = ground.pull(source.url("/file"), *reach(source.url(), other.url()), f"--name={NAME}")

    require_published(outcome, {"file": b"x"})
    assert [True, False] == ["authorization" in request.headers for request in source.requests]


@pytest.mark.parametrize("path", ["/revision/", "/tree/", "/resolve/"])
def test_row_71_redirect_of_a_hub(ground: Ground, hub: FixtureHub, path: str) -> None:
    """Row 71: the same for a hub's info, listing and files."""
    with evil_server(lambda _request: Answer(404)) as other:
        hub.fail(Redirect(location=other.url("/x")), path=path, port="hub")
        outcome = ground.pull_from(hub, "org/name", f"--allow-port={other.port}")

    assert (False, True, []) == (outcome.event["ok"], len(other.requests) > 0, secrets_seen(other))
    require_refused(outcome, Reason.SOURCE_NOT_FOUND)


@pytest.mark.parametrize("header", ["Link", "Content-Location", "Refresh", "X-Linked-Location"])
def test_row_71_other_headers_lead_nowhere(ground: Ground, header: str) -> None:
    """Row 71: only a redirect moves us; what other headers point to is not asked."""
    with evil_server(serve_file(b"evil")) as other:
        value = {"Link": f'<{other.url()}>; rel="next"', "Refresh": f"0; url={other.url()}"}.get(header, other.url())
        with evil_server(lambda _request: Answer(200, ((header, value),), b"x")) as source:
            outcome = ground.pull(source.url("/file"), *reach(source.url(), other.url()), f"--name={NAME}")

    require_published(outcome, {"file": b"x"})
    assert 0 == other.connections


@pytest.mark.parametrize("scheme", ["Bearer", "Basic", "Negotiate"])
def test_row_72_realm_elsewhere(ground: Ground, scheme: str) -> None:
    """Row 72: a challenge that names a token service elsewhere sends nobody there."""
    with evil_server(serve_file(b'{"token": "x"}')) as realm:
        challenge = (("WWW-Authenticate", f'{scheme} realm="{realm.url("/token")}",service="x"'),)
        with evil_server(lambda _request: Answer(401, challenge)) as source:
            outcome = ground.pull(source.url("/file"), *reach(source.url(), realm.url()), f"--name={NAME}")

    require_refused(outcome, Reason.SOURCE_UNAUTHORIZED, "status 401", source.url("/file"))
    assert (1, 0) == (len(source.requests), realm.connections)


def test_row_72_realm_of_a_hub(ground: Ground, hub: FixtureHub) -> None:
    """Row 72: the same for a hub's own answers."""
    with evil_server(serve_file(b"{}")) as realm:
        hub.fail(Status(status=401, headers={"WWW-Authenticate": f'Bearer realm="{realm.url()}"'}), port="hub")
        outcome = ground.pull_from(hub, "org/name", f"--allow-port={realm.port}")

    require_refused(outcome, Reason.SOURCE_UNAUTHORIZED, "org/name", "refuses the token")
    assert 0 == realm.connections


def test_row_73_from_the_hub_to_its_cdn(ground: Ground, hub: FixtureHub) -> None:
    """Row 73: a gated model's bytes come from the CDN without the token, which only the hub has seen."""
    hub.add(RepoSpec("org/gated", FILES, gated="manual"))
    outcome = ground.pull_from(hub, "org/gated")
    seen = {port: {r.credentials for r in hub.requests if r.port == port} for port in ("hub", "cdn")}

    require_published(outcome, FILES)
    assert {"hub": {"reader"}, "cdn": {"absent"}} == seen


def echo(make: Callable[[str], Answer]) -> Script:
    """Return a script that gives back the token that it got."""
    return lambda request: make(request.headers.get("authorization", "").removeprefix("Bearer "))


ECHOES: dict[str, tuple[Script, Reason]] = {
    "in the body of a 401": (echo(lambda t: Answer(401, body=t.encode())), Reason.SOURCE_UNAUTHORIZED),
    "in a challenge": (echo(lambda t: Answer(401, (("WWW-Authenticate", t),))), Reason.SOURCE_UNAUTHORIZED),
    "in a hub's header": (echo(lambda t: Answer(403, (("X-Error-Message", t),))), Reason.SOURCE_FORBIDDEN),
    "as an error code": (echo(lambda t: Answer(404, (("X-Error-Code", t),))), Reason.SOURCE_NOT_FOUND),
    "in the status line": (
        echo(lambda t: Answer(raw_head=f"HTTP/1.1 500 {t}\r\nContent-Length: 0\r\n\r\n".encode())),
        Reason.SOURCE_UNAVAILABLE,
    ),
    "as a broken answer": (echo(lambda t: Answer(raw_head=f"{t}\r\n\r\n".encode())), Reason.SOURCE_UNAVAILABLE),
    "in a redirect's query": (
        echo(lambda t: Answer(302, (("Location", f"https://10.0.0.1/a?sig={t}"),))),
        Reason.REDIRECT_REJECTED,
    ),
    "as a redirect's user": (
        echo(lambda t: Answer(302, (("Location", f"https://{t}:{t}@10.0.0.1/a"),))),
        Reason.REDIRECT_REJECTED,
    ),
    "in a redirect's path": (
        echo(lambda t: Answer(302, (("Location", f"https://10.0.0.1/{t}/a"),))),
        Reason.REDIRECT_REJECTED,
    ),
    "as a redirect's host": (
        echo(lambda t: Answer(302, (("Location", f"https://{t}:444/a"),))),
        Reason.REDIRECT_REJECTED,
    ),
    "as a content encoding": (echo(lambda t: Answer(200, (("Content-Encoding", t),))), Reason.FORMAT_NOT_ALLOWED),
    "as a web page's type": (
        echo(lambda t: Answer(200, (("Content-Type", f"text/html; {t}"),))),
        Reason.FORMAT_NOT_ALLOWED,
    ),
}


@pytest.mark.parametrize("name", ECHOES)
def test_row_74_source_that_repeats_the_token(ground: Ground, name: str) -> None:
    """Row 74: what a source says back is in no message: the token is shown to nobody who reads a status."""
    script, reason = ECHOES[name]
    with evil_server(script) as server:
        outcome = ground.pull(server.url("/file"), *reach(server.url()), "--allow-port=443", f"--name={NAME}")

    require_refused(outcome, reason)
    assert f"Bearer {CANARY}" == server.requests[0].headers["authorization"]


@pytest.mark.parametrize("output", ["human", "json", "quiet"])
@pytest.mark.parametrize("name", ECHOES)
def test_row_74_every_output(ground: Ground, name: str, output: str) -> None:
    """Row 74: the same for people, for programs and with --verbose."""
    ground.token_file.write_text(CANARY)
    with evil_server(ECHOES[name][0]) as server:
        given = [server.url("/file"), str(ground.store), f"--token-file={ground.token_file}", f"--output={output}"]
        done = CliRunner().invoke(main, ["pull", *given, "-v", "--retries=0", *reach(server.url())])

    require_silent(done.output)
    assert ECHOES[name][1].row.exit_code == done.exit_code


@pytest.mark.parametrize("path", ["/revision/", "/tree/", "/resolve/", None])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_row_74_hub_that_repeats_the_token(ground: Ground, hub: FixtureHub, path: str | None, status: int) -> None:
    """Row 74: huggingface_hub puts what a hub says into its exceptions; none of it comes out."""
    headers = {"X-Error-Message": f"token {CANARY} is bad", "X-Request-Id": CANARY}
    hub.fail(Status(status=status, headers=headers, body=f'{{"error": "{CANARY}"}}'), path=path or "")
    outcome = ground.pull_from(hub, "org/name")

    require_refused(outcome, Reason(outcome.event["reason"]))
    assert Reason.INTERNAL.value != outcome.event["reason"]


def test_row_74_what_is_published(ground: Ground, hub: FixtureHub) -> None:
    """Row 74: no manifest, record or tree of the store holds the token."""
    hub.add(RepoSpec("org/gated", FILES, gated="manual"))

    require_published(ground.pull_from(hub, "org/gated"), FILES)


@pytest.mark.parametrize("content", ["", "\n", "\r\n", " \n", "two words", "\0\1\2", "a\nb", "ä", "x" * 5000])
def test_row_76_token_that_is_none(ground: Ground, content: str) -> None:
    """Row 76: an empty, binary or broken token is SecretKeyMissing, and nobody is asked without one."""
    with evil_server(serve_file(b"x")) as server:
        outcome = ground.pull(server.url("/file"), *reach(server.url()), f"--name={NAME}", token=content)

    require_refused(outcome, Reason.SECRET_KEY_MISSING, "expected a token")
    assert 0 == server.connections


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_row_76_trailing_newline(ground: Ground, hub: FixtureHub, end: str) -> None:
    """Row 76: an editor's newline is no part of the token."""
    hub.add(RepoSpec("org/gated", FILES, gated="manual"))
    hub.tokens["reader"] = HUB_TOKEN
    given = (*reach(hub.endpoint, hub.cdn), f"--endpoint={hub.endpoint}", f"--name={NAME}")

    require_published(ground.pull("hf://org/gated", *given, token=f"{HUB_TOKEN}{end}"), FILES)


def test_row_76_no_token_file(ground: Ground, tmp_path: Path) -> None:
    """Row 76: a file that is not there is named."""
    missing = tmp_path / "nowhere"
    outcome = ground.run("pull", "hf://org/name", str(ground.store), f"--token-file={missing}")

    require_refused(outcome, Reason.SPEC_INVALID, "--token-file", "expected a file", str(missing))


def test_row_76_folder_in_place_of_a_token(ground: Ground, tmp_path: Path) -> None:
    """Row 76: neither is a folder a token: so a Secret without the wanted key is mounted."""
    outcome = ground.run("pull", "hf://org/name", str(ground.store), f"--token-file={tmp_path}")

    require_refused(outcome, Reason.SECRET_KEY_MISSING, "no readable file")
