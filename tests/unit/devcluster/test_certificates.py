"""The certificates of a cluster let API server, node and clients trust each other, and nobody else."""

import socket
import ssl
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from modelfetch.devcluster.certificates import write_certificates

NOW = datetime.now(UTC)


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    """A folder with all files of one cluster."""
    write_certificates(tmp_path, NOW)
    return tmp_path


def shake_hands(pki: Path, server: str, client: str | None, ca: Path, name: str) -> str:
    """Return the subject of the certificate that a server shows to a client; raises what either side raises."""
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pki / "ca.crt"))
    server_context.load_cert_chain(pki / f"{server}.crt", pki / f"{server}.key")
    server_context.verify_mode = ssl.CERT_REQUIRED if client else ssl.CERT_NONE
    client_context = ssl.create_default_context(cafile=str(ca))
    if client:
        client_context.load_cert_chain(pki / f"{client}.crt", pki / f"{client}.key")
    left, right = socket.socketpair()
    with left, right:
        return _handshake(server_context, left, client_context, right, name)


def _handshake(
    server: ssl.SSLContext, left: socket.socket, client: ssl.SSLContext, right: socket.socket, name: str
) -> str:
    failures: list[Exception] = []

    def serve() -> None:
        try:
            with server.wrap_socket(left, server_side=True) as wrapped:
                wrapped.sendall(b"welcome")
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(right, server_hostname=name) as wrapped:
            if wrapped.recv(7) != b"welcome":
                raise ConnectionError("the server refused")
            shown = wrapped.getpeercert() or {}
    finally:
        right.close()
        thread.join()
    if failures:
        raise failures[0]
    return str(shown["subject"])


@pytest.mark.parametrize(
    ("server", "client", "shown"),
    [("apiserver", None, "kube-apiserver"), ("node", "kubelet-client", "process-node")],
)
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_servers_are_trusted_on_loopback(pki: Path, server: str, client: str | None, shown: str, name: str) -> None:
    """The API server, and the node towards the API server's client certificate, pass a strict TLS handshake."""

    assert shown in shake_hands(pki, server, client, pki / "ca.crt", name)


@pytest.mark.parametrize("client", ["apiserver", "node"])
def test_server_certificate_is_no_identity_of_a_client(pki: Path, client: str) -> None:
    """A certificate for serving does not let its holder ask a node for logs."""
    with pytest.raises(OSError, match=r"unsuitable certificate purpose|refused|unsupported certificate"):
        shake_hands(pki, "node", client, pki / "ca.crt", "127.0.0.1")


def test_other_names_and_other_clusters_are_refused(pki: Path, tmp_path: Path) -> None:
    """The API server's certificate is not valid for another host, nor under another cluster's authority."""
    other = tmp_path / "other"
    other.mkdir()
    write_certificates(other, NOW)
    for ca, name in [(pki / "ca.crt", "example.com"), (other / "ca.crt", "127.0.0.1")]:
        with pytest.raises(ssl.SSLCertVerificationError):
            shake_hands(pki, "apiserver", None, ca, name)


def test_keys_are_for_their_owner_only(pki: Path) -> None:
    """No private key can be read by another user, and the authority's own key is not written at all."""
    keys = {path.name: stat.S_IMODE(path.stat().st_mode) for path in pki.glob("*.key")}
    names = ["apiserver.key", "kubelet-client.key", "node.key", "service-account.key"]

    assert dict.fromkeys(names, 0o600) == keys
