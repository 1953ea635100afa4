"""Rows 30 to 32: where a source may send us, how often, and addresses that two parsers could read in two ways."""

import ssl

import pytest
import trustme

from modelfetch.devcluster.hub import FixtureHub, Redirect
from modelfetch.reasons import Reason
from tests.fakes.evil_server import Answer, Request, Script, evil_server, file_answer, serve_file
from tests.rows.ground import CANARY, NAME, Ground, Outcome, reach, require_published, require_refused

ADDRESSES = [
    r"http://{good}\@{evil}/a",
    r"http:\\{evil}/a",
    r"http://{good}\.{evil}/a",
    "http://{good}#@{evil}/a",
    "http://{good}%2f@{evil}/a",
    "http://{good}@{evil}/a",
    "http://{good}\t@{evil}/a",
    "http://{good}/\r\nHost: {evil}/a",
    "http://{good}\u3002{evil}/a",
    "http://{good}\uff0f{evil}/a",
    "http:///{evil}/a",
    "http:{evil}/a",
    "http:/{evil}/a",
    "http://{good},{evil}/a",
    "http://[::1]{evil}/a",
    "http://[::1",
    "https:////{evil}/a",
    "http://{good}:99999/a",
]


def to(location: str | None, status: int = 302) -> Script:
    """Return a script that sends everybody to `location`."""
    headers = (("Set-Cookie", f"id={CANARY}"), *((("Location", location),) if location is not None else ()))
    return lambda _request: Answer(status, headers, b"moved")


def on_the_wire(text: str) -> str:
    """Return `text` as a server's headers carry it: bytes of UTF-8."""
    return text.encode().decode("latin-1")


def follow(ground: Ground, script: Script) -> tuple[Outcome, list[str]]:
    """Return how a pull from a server with `script` ended, and what was asked for."""
    with evil_server(script) as server:
        outcome = ground.pull(server.url("/file"), *reach(server.url()), f"--name={NAME}")
    return outcome, server.targets()


def test_a_good_redirect_is_followed(ground: Ground) -> None:
    """Up to five hops on allowed addresses lead to the file."""

    def step(request: Request) -> Answer:
        done = int(request.target.partition("?")[2] or 0)
        return to(f"/hop?{done + 1}")(request) if done < 5 else file_answer(request, b"there")

    outcome, asked = follow(ground, step)

    require_published(outcome, {"file": b"there"})
    assert 6 == len(asked)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_row_30_from_https_to_http(ground: Ground, authority: trustme.CA, ca_file: str, status: int) -> None:
    """Row 30: encryption is not given up on the way, also where plain http is allowed."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    with evil_server(serve_file(b"x")) as plain, evil_server(to(plain.url(), status), tls) as server:
        outcome = ground.pull(server.url(), *reach(server.url(), plain.url()), f"--ca-file={ca_file}")

    require_refused(outcome, Reason.REDIRECT_REJECTED, server.url(), plain.url(), "expected to stay on https://")
    assert 0 == plain.connections


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "file:/etc/passwd", "ftp://127.0.0.1/a", "data:,x", "gopher:x"]
)
def test_row_30_to_another_scheme(ground: Ground, location: str) -> None:
    """Row 30: nothing but the web is read, whatever a source says."""
    outcome, asked = follow(ground, to(location))

    require_refused(outcome, Reason.REDIRECT_REJECTED, "/file", "expected an http:// or https:// address")
    assert 1 == len(asked)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (to("/file"), "expected at most 5"),
        (lambda request: to("/a" if request.target == "/b" else "/b")(request), "expected at most 5"),
        (lambda request: to(f"/hop?{request.number}&token={CANARY}")(request), "expected at most 5"),
    ],
    ids=["itself", "a circle of two", "ever on"],
)
def test_row_31_redirects_without_end(ground: Ground, script: Script, words: str) -> None:
    """Row 31: after five hops it is enough, whether they go in circles or ever on."""
    outcome, asked = follow(ground, script)

    require_refused(outcome, Reason.REDIRECT_REJECTED, "127.0.0.1", words)
    assert 6 == len(asked)


@pytest.mark.parametrize(
    ("location", "words"),
    [("", "expected an address to go to"), (None, "expected a Location header")],
    ids=["empty", "none"],
)
def test_row_31_redirect_to_nowhere(ground: Ground, location: str | None, words: str) -> None:
    """Row 31: a redirect that does not say where is refused, and its body is not the file."""
    outcome, asked = follow(ground, to(location))

    require_refused(outcome, Reason.REDIRECT_REJECTED, "/file", words)
    assert 1 == len(asked)


@pytest.mark.parametrize("path", ["/api/models/", "/tree/", "/resolve/"])
def test_row_31_redirects_of_a_hub(ground: Ground, hub: FixtureHub, path: str) -> None:
    """Row 31: the same holds for a hub's model info, its listing and its files."""
    hub.fail(Redirect(location="{self}"), path=path, port="hub")

    require_refused(ground.pull_from(hub, "org/name"), Reason.REDIRECT_REJECTED, hub.endpoint, "expected at most 5")


@pytest.mark.parametrize("address", ADDRESSES)
def test_row_32_addresses_with_two_readings(ground: Ground, address: str) -> None:
    """Row 32: what one parser could take for the good host and another for the evil one is refused as it is typed."""
    with evil_server(serve_file(b"good")) as good, evil_server(serve_file(b"evil")) as evil:
        hosts = {"good": f"127.0.0.1:{good.port}", "evil": f"127.0.0.1:{evil.port}"}
        outcome = ground.pull(address.format(**hosts), *reach(good.url(), evil.url()), f"--name={NAME}")

    require_refused(outcome, Reason.SPEC_INVALID, "SOURCE")
    assert (0, 0) == (good.connections, evil.connections)


@pytest.mark.parametrize("address", [address for address in ADDRESSES if "\r\n" not in address])
def test_row_32_redirect_with_two_readings(ground: Ground, address: str) -> None:
    """Row 32: as a redirect it is refused by the same parser, and nobody is asked a second time."""
    with evil_server(serve_file(b"evil")) as evil:
        hosts = {"good": "127.0.0.1:{port}", "evil": f"127.0.0.1:{evil.port}"}

        def send(request: Request) -> Answer:
            port = request.headers["host"].rpartition(":")[2]
            return to(on_the_wire(address.format(**hosts).format(port=port)))(request)

        with evil_server(send) as good:
            outcome = ground.pull(good.url("/file"), *reach(good.url(), evil.url()), f"--name={NAME}")

    require_refused(outcome, Reason.REDIRECT_REJECTED, "/file")
    assert (1, 0) == (len(good.requests), evil.connections)
