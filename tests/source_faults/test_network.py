"""F77 and F78: names that do not resolve, hosts that cannot be reached, connections that die young."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import trustme

from modelfetch.reasons import Reason
from modelfetch.transfer.segments import SEGMENT_BYTES
from tests.fakes import namespace
from tests.fakes.evil_server import evil_server
from tests.loopback import EGRESS
from tests.source_faults.island import RETRIES, SLOW_S
from tests.source_faults.scene import Scene, require_ended, require_published
from tests.source_faults.scripts import LARGE, SMALL, cut_in_file, good

Cases = dict[str, dict[str, Any]]
SHORT_S = 1.5
"""A deadline that really passes: libcurl's own clock cannot be turned."""


@pytest.fixture(scope="module")
def cases() -> Cases:
    """What `island.explore` found in a namespace; skip where there are none."""
    if not namespace.is_possible():
        pytest.skip("this machine does not let a user have namespaces (unshare)")
    found: Cases = namespace.run_inside("tests.source_faults.island", "explore")
    return found


def require_whole(case: dict[str, Any]) -> None:
    """Return when a fetch in the namespace ended well."""

    assert (None, True, []) == (case["reason"], case["whole"], case["damaged"]), case["message"]


def require_away(case: dict[str, Any], reason: Reason, *words: str) -> None:
    """Return when a fetch in the namespace ended with `reason`, before anything was asked of a host."""

    assert (reason.value, [], 0) == (case["reason"], case["files"], case["requests"]), case["message"]
    assert [] == [word for word in words if word not in case["message"]]


@pytest.mark.parametrize("case", ["nobody", "broken", "no name server"])
def test_f77_name_that_does_not_resolve(cases: Cases, case: str) -> None:
    """F77: no such name, SERVFAIL and a missing name server are SourceUnavailable, and the message says: the name."""
    host = case.replace(" ", "-")

    require_away(cases[case], Reason.SOURCE_UNAVAILABLE, f"could not resolve host: {host}.example")
    assert cases[case]["asked"] == (0 if case == "no name server" else RETRIES + 1)


def test_f77_name_server_that_is_silent(cases: Cases) -> None:
    """F77: a name server that does not answer holds nobody up past the deadline, and the message says: the name."""
    require_away(cases["silent"], Reason.SOURCE_UNAVAILABLE, "resolv", "silent.example")


def test_f77_name_server_that_is_slow(cases: Cases) -> None:
    """F77: an answer that comes late is taken, after one question."""
    require_whole(cases["slow"])
    assert (1, True) == (cases["slow"]["asked"], cases["slow"]["took_s"] >= SLOW_S)


def test_f77_name_that_resolves_again(cases: Cases) -> None:
    """F77: a name server that recovers is asked with each try, and the fetch goes on."""
    require_whole(cases["recovers"])
    assert (3, 1) == (cases["recovers"]["asked"], cases["recovers"]["requests"])


@pytest.mark.parametrize("case", ["moves from unreachable", "moves from refused"])
def test_f77_name_that_moves(cases: Cases, case: str) -> None:
    """F77: a host that could not be reached is looked up again, and found at its new address."""
    require_whole(cases[case])
    assert (2, 1) == (cases[case]["asked"], cases[case]["requests"])


def test_f77_name_that_moves_inside(cases: Cases) -> None:
    """F77: the new address is judged like the first one: a name that comes to lead inside is URLNotAllowed."""
    require_away(cases["moves inside"], Reason.URL_NOT_ALLOWED, "moves-inside.example", "(metadata)")


def test_f78_unreachable(cases: Cases) -> None:
    """F78: an address without a way to it is SourceUnavailable, named with what failed."""
    require_away(cases["unreachable"], Reason.SOURCE_UNAVAILABLE, "failed to connect to 10.9.9.9")


def test_f78_refused(scene: Scene) -> None:
    """F78: a port where nobody listens is tried as often as the order says, then SourceUnavailable."""
    scene.retries = 3
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        ending = scene.fetch(f"http://127.0.0.1:{port}/file", SMALL)

    require_ended(ending, Reason.SOURCE_UNAVAILABLE, f"failed to connect to 127.0.0.1:{port}")
    assert len(ending.waits) >= 3


def test_f78_refused_for_a_moment(scene: Scene) -> None:
    """F78: a server that comes up while the fetch waits is used."""
    with contextlib.ExitStack() as stack, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]

        def come_up() -> None:
            if bound.fileno() != -1:
                bound.close()
                stack.enter_context(evil_server(good(SMALL), port=port))

        scene.turned.on_wait = come_up
        ending = scene.fetch(f"http://127.0.0.1:{port}/file", SMALL)

    require_published(ending, {"file": SMALL})


def test_f78_black_hole(scene: Scene) -> None:
    """F78: a host that answers no packet ends within the connect timeout, or at the deadline where that is nearer."""
    scene.deadline_s = SHORT_S
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        # Its queue is full: the kernel drops whatever else knocks.
        for _ in range(8):
            knocking = stack.enter_context(socket.socket())
            knocking.setblocking(False)
            knocking.connect_ex(("127.0.0.1", port))
        ending = scene.fetch(f"http://127.0.0.1:{port}/file", SMALL)

    assert ending.report.reason in (Reason.SOURCE_UNAVAILABLE, Reason.DEADLINE_EXCEEDED)
    require_ended(ending, ending.report.reason, f"127.0.0.1:{port}")


@dataclass
class Rude:
    """Does one thing to each connection, before or instead of TLS; `connections` counts them."""

    deed: Callable[[socket.socket], None]
    port: int = 0
    connections: int = 0


def reset(connection: socket.socket) -> None:
    """Throw the connection away with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def reset_after_hello(connection: socket.socket) -> None:
    """Read the client's hello, then RST."""
    connection.recv(4096)
    reset(connection)


def half_a_record(connection: socket.socket) -> None:
    """Read the client's hello, answer with the first bytes of a record, then RST."""
    connection.recv(4096)
    connection.sendall(b"\x16\x03\x03\x00\x7a\x02\x00")
    reset(connection)


def close_after_hello(connection: socket.socket) -> None:
    """Read the client's hello, then close."""
    connection.recv(4096)


def alert(connection: socket.socket) -> None:
    """Read the client's hello, answer with TLS's "internal error"."""
    connection.recv(4096)
    connection.sendall(b"\x15\x03\x03\x00\x02\x02\x50")


@contextlib.contextmanager
def rude(deed: Callable[[socket.socket], None]) -> Iterator[Rude]:
    """Run a server that does `deed` to whoever connects."""
    closing = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Rude(deed, listener.getsockname()[1])
        listener.settimeout(0.02)

        def serve() -> None:
            while not closing.is_set():
                with contextlib.suppress(OSError):
                    connection, _peer = listener.accept()
                    with connection:
                        connection.settimeout(5)
                        server.connections += 1
                        deed(connection)

        thread = threading.Thread(target=serve, name="rude-server")
        thread.start()
        try:
            yield server
        finally:
            closing.set()
            thread.join()


@pytest.mark.parametrize("deed", [reset, reset_after_hello, half_a_record, close_after_hello])
def test_f78_dies_in_the_handshake(scene: Scene, deed: Callable[[socket.socket], None]) -> None:
    """F78: a connection that dies in TLS's handshake is no wrong certificate: tried again, then SourceUnavailable."""
    scene.retries = 2
    with rude(deed) as server:
        ending = scene.fetch(f"https://127.0.0.1:{server.port}/file", SMALL)

    require_ended(ending, Reason.SOURCE_UNAVAILABLE, f"https://127.0.0.1:{server.port}/file")
    assert scene.retries + 1 == server.connections


def test_f78_handshake_that_is_refused(scene: Scene) -> None:
    """F78: a server that ends the handshake with an alert of its own has decided: TLSVerificationFailed, once."""
    with rude(alert) as server:
        ending = scene.fetch(f"https://127.0.0.1:{server.port}/file", SMALL)

    require_ended(ending, Reason.TLS_VERIFICATION_FAILED, f"https://127.0.0.1:{server.port}/file")
    assert 1 == server.connections


def test_f78_stall_in_the_handshake(scene: Scene) -> None:
    """F78: a handshake of which only the small packets arrive ends within the connect timeout, or the deadline."""
    scene.deadline_s = SHORT_S
    with rude(lambda connection: [*iter(lambda: connection.recv(4096), b"")].clear()) as server:
        ending = scene.fetch(f"https://127.0.0.1:{server.port}/file", SMALL)

    assert ending.report.reason in (Reason.SOURCE_UNAVAILABLE, Reason.DEADLINE_EXCEEDED)
    require_ended(ending, ending.report.reason, f"127.0.0.1:{server.port}")
    assert server.connections <= 2


@pytest.mark.parametrize("point", [1, SEGMENT_BYTES + 1, len(LARGE) - 1])
@pytest.mark.parametrize("hard", [True, False], ids=["reset", "closed"])
def test_f78_dies_in_the_middle_of_tls(
    scene: Scene, authority: trustme.CA, ca_file: str, point: int, hard: bool
) -> None:
    """F78: an encrypted connection that dies without a farewell is resumed like any other, with the right bytes."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    scene.egress = EGRESS.model_copy(update={"ca_file": ca_file})
    with evil_server(cut_in_file(LARGE, point, reset=hard), tls) as server:
        ending = scene.fetch(server.url(), LARGE)

    require_published(ending, {"file": LARGE})
    assert (2, True) == (len(server.requests), server.bytes_sent <= len(LARGE) + SEGMENT_BYTES)
