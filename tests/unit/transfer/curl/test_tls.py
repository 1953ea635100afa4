"""Certificates: whom a session trusts."""

import datetime
import socket
import ssl
import threading
import warnings
from pathlib import Path

import pytest
import trustme

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from tests.fakes.evil_server import EvilServer, evil_server, serve_file
from tests.fakes.transfer import open_session, retry
from tests.unit.transfer.curl.requests import CONTENT, context, refusal


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
