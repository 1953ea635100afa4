"""Forbidden addresses handed out for real, in a network of our own where listeners would see a single packet."""

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from modelfetch.errors import FetchError
from modelfetch.transfer.guard import EgressRules
from tests.fakes import namespace
from tests.fakes.evil_server import Answer, EvilServer, Script, evil_server, serve_file
from tests.fakes.transfer import open_session

PORT = 8080
PUBLIC = "1.2.3.4"
FORBIDDEN = ["169.254.169.254", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "127.0.0.1", "168.63.129.16"]

TEXTS = [
    *FORBIDDEN,
    "0.0.0.0",
    "2130706433",
    "0177.0.0.1",
    "0x7f.1",
    "127.1",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::7f00:1]",
    "localhost",
    "kubernetes.default.svc",
    "hub.team.svc.cluster.local",
    "bare",
    "inside.example",
    "bound-to-metadata.example",
]

HOSTS = [
    "127.0.0.1 localhost",
    "10.0.0.1 kubernetes.default.svc hub.team.svc.cluster.local bare inside.example",
    "169.254.169.254 bound-to-metadata.example",
    f"10.0.0.1 both.example\n{PUBLIC} both.example",
    f"{PUBLIC} public.example",
]


def outcome(host: str, target: str = "/file") -> str:
    """Return the reason with which a request to `host` ends, or its body."""
    with open_session(EgressRules((), frozenset(), allow_http=True)) as session:
        try:
            return session.get(f"http://{host}:{PORT}{target}").body.decode()
        except FetchError as error:
            return error.reason


def redirecting(request: object) -> Answer:
    """Redirect to the host that stands in the path."""
    target = getattr(request, "target", "")
    if target.startswith("/to/"):
        return Answer(302, (("Location", f"http://{target.removeprefix('/to/')}:{PORT}/file"),))
    return Answer(body=b"public")


def explore() -> dict[str, object]:
    """Ask for every forbidden host, directly and by redirect, and count who was reached."""
    namespace.add_addresses(PUBLIC, *(address for address in FORBIDDEN if address != "127.0.0.1"))
    with ExitStack() as stack:
        hosts = Path(stack.enter_context(TemporaryDirectory())) / "hosts"
        hosts.write_text("\n".join([*HOSTS, ""]))
        namespace.use_hosts(hosts)

        def listen(host: str, script: Script) -> EvilServer:
            return stack.enter_context(evil_server(script, host=host, port=PORT))

        inside = [listen(host, serve_file(b"secret")) for host in [*FORBIDDEN, "::1"]]
        listen(PUBLIC, redirecting)
        found: dict[str, object] = {f"direct {text}": outcome(text) for text in TEXTS}
        found.update({f"redirect {text}": outcome("public.example", f"/to/{text}") for text in TEXTS})
        found["public"] = outcome("public.example")
        found["both"] = outcome("both.example")
        hosts.write_text("10.0.0.1 public.example\n")
        found["rebound"] = outcome("public.example")
        found["connections"] = sum(server.connections for server in inside)
    return found


@pytest.fixture(scope="module")
def explored() -> dict[str, object]:
    """Give what `explore` found in a namespace; skip where there are none."""
    if not namespace.is_possible():
        pytest.skip("this machine does not let a user have namespaces (unshare)")
    found: dict[str, object] = namespace.run_inside("tests.unit.transfer.test_receiver", "explore")
    return found


@pytest.mark.parametrize("text", TEXTS)
def test_forbidden_hosts_are_refused(explored: dict[str, object], text: str) -> None:
    """Every way to name a forbidden address is URLNotAllowed (rows 21 to 26)."""

    assert "URLNotAllowed" == explored[f"direct {text}"]


@pytest.mark.parametrize("text", TEXTS)
def test_redirects_to_forbidden_hosts_are_refused(explored: dict[str, object], text: str) -> None:
    """A redirect to it is RedirectRejected (row 29)."""

    assert "RedirectRejected" == explored[f"redirect {text}"]


def test_a_public_host_is_reached(explored: dict[str, object]) -> None:
    """The same session reaches a public address, so the refusals are not the network's."""

    assert "public" == explored["public"]


def test_a_private_address_among_public_ones_is_passed_over(explored: dict[str, object]) -> None:
    """A name with a private and a public address is reached by the public one (row 28)."""

    assert "public" == explored["both"]


def test_a_name_that_is_bound_again_is_refused(explored: dict[str, object]) -> None:
    """A name that was public and now resolves to a private address is refused on that address (row 27)."""

    assert "URLNotAllowed" == explored["rebound"]


def test_nobody_forbidden_saw_a_connection(explored: dict[str, object]) -> None:
    """In all of this, no listener on a forbidden address saw a connection."""

    assert 0 == explored["connections"]
