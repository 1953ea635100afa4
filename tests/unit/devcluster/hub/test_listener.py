"""The ports: many clients at once, keep-alive, TLS, and an end that leaves nothing."""

import http.client
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme

from modelfetch.devcluster.hub import FixtureHub, HubSettings, RepoSpec
from tests.unit.devcluster.hub.conftest import CONFIG, FILES
from tests.unit.devcluster.hub.raw import connected, follow, hear, parsed


def test_two_hundred_clients(hub: FixtureHub, weights_url: str) -> None:
    """Two hundred clients at once are all served, each on a connection of its own."""
    start = threading.Barrier(200)

    def download(_: int) -> int:
        start.wait()
        return len(follow(weights_url).raw)

    with ThreadPoolExecutor(200) as pool:
        sizes = set(pool.map(download, range(200)))

    assert {64 * 1024} == sizes
    assert 400 == len({(record.port, record.connection) for record in hub.requests})


def test_keep_alive(hub: FixtureHub, config_url: str) -> None:
    """One connection carries many requests, errors and HEAD among them."""
    client, path = http.client.HTTPConnection(urlsplit(hub.endpoint).netloc), urlsplit(config_url).path
    statuses = []
    for method, target in [("GET", path), ("HEAD", path), ("GET", "/nowhere"), ("GET", path)]:
        client.request(method, target)
        answer = client.getresponse()
        answer.read()
        statuses.append(answer.status)
    client.close()

    assert ([200, 200, 404, 200], {1}) == (statuses, {record.connection for record in hub.requests})


def test_pipelined_requests(hub: FixtureHub, config_url: str) -> None:
    """Requests that come in one packet are answered one after the other."""
    path = urlsplit(config_url).path
    with connected(config_url) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\n\r\nGET {path} HTTP/1.1\r\nConnection: close\r\n\r\n".encode())
        received = b""
        while piece := sock.recv(4096):
            received += piece

    assert 2 == received.count(CONFIG.encode())


@pytest.mark.parametrize("sent", [b"\r\n\r\n", b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"])
def test_malformed(hub: FixtureHub, sent: bytes) -> None:
    """What is no request ends the connection, and the hub goes on."""
    with connected(hub.endpoint) as sock:
        sock.sendall(sent)

        assert b"" == sock.recv(4096)
    assert 200 == hear(f"{hub.endpoint}/_fixture").status


def test_header_without_end(hub: FixtureHub) -> None:
    """A header that never ends is cut off."""
    with connected(hub.endpoint) as sock, pytest.raises(OSError, match=r"reset|Broken pipe"):
        sock.sendall(bytes(64 * 1024 * 1024))


def test_tls(tmp_path: Path) -> None:
    """Over TLS both ports serve, and a client that does not know the authority refuses them."""
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    with FixtureHub([RepoSpec("acme/tiny", FILES)], HubSettings(tls=server)) as hub:
        redirect = hear(f"{hub.endpoint}/acme/tiny/resolve/main/model.safetensors", tls=client)
        file = hear(redirect.headers["location"], tls=client)
        with pytest.raises(ssl.SSLCertVerificationError), connected(hub.endpoint, ssl.create_default_context()):
            pass

    assert ("https", 64 * 1024) == (urlsplit(hub.cdn).scheme, len(file.raw))


def test_plain_client_of_a_tls_hub() -> None:
    """A client that speaks no TLS is turned away, and the hub goes on."""
    authority, server = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    with FixtureHub(settings=HubSettings(tls=server)) as hub:
        plain = hear(hub.endpoint.replace("https", "http"))

        assert (0, 200) == (plain.status, hear(f"{hub.endpoint}/_fixture", tls=client).status)


def test_close_with_open_connections(hub: FixtureHub) -> None:
    """A hub that is closed ends idle connections; its ports are free again."""
    with connected(hub.endpoint) as idle:
        idle.sendall(b"GET /_fixture HTTP/1.1\r\n\r\n")
        received = idle.recv(1 << 16)
        hub.close()
        while more := idle.recv(1 << 16):
            received += more

        assert received.startswith(b"HTTP/1.1 200 ")
    with socket.create_server(("127.0.0.1", urlsplit(hub.endpoint).port or 0)):
        pass


def test_port_in_use(hub: FixtureHub) -> None:
    """A port that is taken is an error at once."""
    with pytest.raises(OSError, match="in use"):
        FixtureHub(settings=HubSettings(port=urlsplit(hub.endpoint).port or 0))


def test_temporary_folder(tmp_path: Path) -> None:
    """The folder of generated files exists while the hub does."""
    with FixtureHub() as hub:
        scratch = hub.scratch

        assert scratch.is_dir()
    assert not scratch.exists()


def test_parsed_without_end() -> None:
    """An answer without the end of its header has status 0."""
    assert 0 == parsed(b"HTTP/1.1 200").status
