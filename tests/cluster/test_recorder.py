"""The watches of the tests themselves."""

import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from typing import ClassVar

import pytest
import trustme

from modelfetch.kube.connection import Connection
from modelfetch.kube.objects import MODELFETCHES
from tests.cluster.recorder import recording

REFUSAL = json.dumps({"kind": "Status", "message": "storage is (re)initializing"}).encode()
BODY = {"metadata": {"uid": "1", "name": "m", "resourceVersion": "7"}}


class Answers(http.server.BaseHTTPRequestHandler):
    """Refuses the first watch, and answers the second with one event."""

    protocol_version = "HTTP/1.1"
    statuses: ClassVar[list[int]] = []

    def do_GET(self) -> None:
        """Answer."""
        status = self.statuses.pop(0)
        body = REFUSAL if status == 429 else json.dumps({"type": "ADDED", "object": BODY}).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) + (status == 200)))  # one byte that never comes
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def connection(authority: trustme.CA) -> Iterator[Connection]:
    """A server whose kind was defined a moment ago."""
    Answers.statuses[:] = [429, 200]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Connection(
            f"https://127.0.0.1:{server.server_port}", authority.cert_pem.bytes().decode(), token="of a test"
        )
        server.shutdown()


def test_a_watch_that_is_refused_for_a_moment_is_asked_for_again(connection: Connection) -> None:
    """The server fills its cache of a kind that was defined a moment ago, and says so by 429."""
    with recording(connection, "demo", (MODELFETCHES,)) as recorder:
        recorder.catch_up([BODY])

    assert [] == Answers.statuses
