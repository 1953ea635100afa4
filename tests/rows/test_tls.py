"""Row 40: a server that cannot prove who it is, or only by means that others can forge."""

import datetime
import ssl
import warnings

import pytest
import trustme

from modelfetch.devcluster.hub import FixtureHub, HubSettings, RepoSpec
from modelfetch.reasons import Reason
from tests.fakes.evil_server import evil_server, serve_file
from tests.rows.conftest import FILES
from tests.rows.ground import NAME, Ground, Outcome, reach, require_published, require_refused

LONG_AGO = datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC)


def context(authority: trustme.CA, name: str = "127.0.0.1", expires: datetime.datetime | None = None) -> ssl.SSLContext:
    """Return a server's TLS settings with a certificate for `name`."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, not_after=expires).configure_cert(made)
    return made


def old(authority: trustme.CA) -> ssl.SSLContext:
    """Return the settings of a server that speaks nothing newer than TLS 1.1."""
    made = context(authority)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        made.minimum_version, made.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    made.set_ciphers("ALL:@SECLEVEL=0")
    return made


def pull(ground: Ground, tls: ssl.SSLContext, *arguments: str) -> tuple[Outcome, int]:
    """Return how a pull from a server with `tls` ended, and how many requests it got."""
    with evil_server(serve_file(b"x"), tls) as server:
        outcome = ground.pull(server.url("/file"), *reach(server.url()), f"--name={NAME}", *arguments)
    return outcome, len(server.requests)


def test_row_40_the_right_certificate(ground: Ground, authority: trustme.CA, ca_file: str) -> None:
    """Row 40: with the authority's file the server is believed, so the refusals below are about the certificates."""
    outcome, asked = pull(ground, context(authority), f"--ca-file={ca_file}")

    require_published(outcome, {"file": b"x"})
    assert 1 == asked


def test_row_40_unknown_authority(ground: Ground, authority: trustme.CA) -> None:
    """Row 40: a certificate that nobody we trust has signed is refused, before the token is sent."""
    outcome, asked = pull(ground, context(authority))

    require_refused(outcome, Reason.TLS_VERIFICATION_FAILED, "certificate", "https://127.0.0.1:")
    assert 0 == asked


def test_row_40_another_authority(ground: Ground, ca_file: str) -> None:
    """Row 40: trust in one authority is no trust in another."""
    outcome, asked = pull(ground, context(trustme.CA()), f"--ca-file={ca_file}")

    require_refused(outcome, Reason.TLS_VERIFICATION_FAILED, "certificate")
    assert 0 == asked


@pytest.mark.parametrize(
    ("name", "expires", "words"),
    [("other.example", None, "127.0.0.1"), ("127.0.0.1", LONG_AGO, "certificate has expired")],
    ids=["wrong host", "expired"],
)
def test_row_40_wrong_certificate(
    ground: Ground, authority: trustme.CA, ca_file: str, name: str, expires: datetime.datetime | None, words: str
) -> None:
    """Row 40: a certificate of somebody else, or of another time, is refused."""
    outcome, asked = pull(ground, context(authority, name, expires), f"--ca-file={ca_file}")

    require_refused(outcome, Reason.TLS_VERIFICATION_FAILED, words)
    assert 0 == asked


def test_row_40_old_protocol(ground: Ground, authority: trustme.CA, ca_file: str) -> None:
    """Row 40: TLS 1.0 and 1.1 are no protection."""
    outcome, asked = pull(ground, old(authority), f"--ca-file={ca_file}")

    require_refused(outcome, Reason.TLS_VERIFICATION_FAILED, "https://127.0.0.1:")
    assert 0 == asked


def test_row_40_a_hub(ground: Ground, authority: trustme.CA, ca_file: str) -> None:
    """Row 40: the same holds for the listing of a hub; with its authority's file all of it goes over TLS."""
    with FixtureHub([RepoSpec("org/name", FILES)], HubSettings(tls=context(authority))) as hub:
        refused = ground.pull_from(hub, "org/name")
        require_refused(refused, Reason.TLS_VERIFICATION_FAILED, hub.endpoint)

        assert [] == hub.requests
        require_published(ground.pull_from(hub, "org/name", f"--ca-file={ca_file}"), FILES)


@pytest.mark.parametrize("option", ["--insecure", "--no-verify", "--allow-insecure", "-k"])
def test_row_40_no_switch(ground: Ground, option: str) -> None:
    """Row 40: nobody can turn verification off."""
    with pytest.raises(AssertionError, match="No such option"):
        ground.pull("https://127.0.0.1/file", option)


@pytest.mark.parametrize("name", ["CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "HF_HUB_DISABLE_SSL_VERIFY"])
def test_row_40_environment(
    ground: Ground, authority: trustme.CA, ca_file: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Row 40: a trusted authority is named on the command line, not slipped in by the environment."""
    monkeypatch.setenv(name, ca_file)
    outcome, asked = pull(ground, context(authority))

    require_refused(outcome, Reason.TLS_VERIFICATION_FAILED, "certificate")
    assert 0 == asked
