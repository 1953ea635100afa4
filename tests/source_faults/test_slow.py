"""F75: sources that are slow beyond use, silent, or never done with their headers."""

import ssl
from dataclasses import replace

import pytest
import trustme

from modelfetch.reasons import Reason
from modelfetch.transfer.segments import SEGMENT_BYTES
from tests.fakes.evil_server import Answer, Request, Script, evil_server, file_answer
from tests.loopback import EGRESS
from tests.source_faults.scene import STALL_S, Remote, Scene, require_ended, require_published
from tests.source_faults.scripts import LARGE, SMALL, cut_in_file, first, good, holding

HEADS = {
    "no line": b"HTTP/1.1 ",
    "half a line": b"HTTP/1.1 20",
    "no end": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: ",
}


@pytest.mark.parametrize("trickle", [0, 1], ids=["silent", "a byte a second"])
@pytest.mark.parametrize(
    ("content", "point"),
    [(SMALL, 0), (SMALL, len(SMALL) * 99 // 100), (LARGE, 1), (LARGE, SEGMENT_BYTES), (LARGE, len(LARGE) * 99 // 100)],
    ids=["small 0", "small 99 %", "large 1", "large segment", "large 99 %"],
)
@pytest.mark.parametrize("connections", [1, 4])
def test_f75_stall(scene: Scene, content: bytes, point: int, trickle: int, connections: int) -> None:
    """F75: a connection below the minimum rate is replaced, by then or by a faster one; what it brought is kept."""
    scene.connections = connections
    cut = cut_in_file(content, point)

    def script(request: Request) -> Answer:
        answer = cut(request)
        if answer.cut_at is None:
            return answer
        whole = replace(answer, cut_at=None)
        return holding(scene.turned, lambda _request: whole, answer.cut_at, trickle)(request)

    with evil_server(script) as server:
        ending = scene.fetch(server.url(), content)

    require_published(ending, {"file": content})
    assert ending.took_s >= (STALL_S if connections == 1 else 0)
    assert len(server.requests) <= (2 if connections == 1 else 8)
    assert server.bytes_sent <= len(content) + SEGMENT_BYTES


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS.keys())
@pytest.mark.parametrize("trickle", [0, 1], ids=["silent", "a byte a second"])
def test_f75_headers_that_never_finish(scene: Scene, head: bytes, trickle: int) -> None:
    """F75: a head without end is given up after the stall timeout, and the next request brings the file."""
    endless = holding(scene.turned, lambda _request: Answer(raw_head=head, body=b"x" * 10_000), 0, trickle)
    with evil_server(first(1, endless, good(SMALL))) as server:
        ending = scene.fetch(server.url(), SMALL)

    require_published(ending, {"file": SMALL})
    assert (2, True) == (len(server.requests), ending.took_s >= STALL_S)


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("trickle", [0, 1], ids=["silent", "a byte a second"])
def test_f75_for_ever(scene: Scene, content: bytes, trickle: int) -> None:
    """F75: a source that always stalls is SourceStalled after exactly the retries."""
    scene.retries = 1
    with evil_server(holding(scene.turned, good(content), 10, trickle)) as server:
        ending = scene.fetch(server.url(), content)

    require_ended(ending, Reason.SOURCE_STALLED, "1 KiB a second", server.url())
    assert 2 == len(server.requests)


def test_f75_many_files_that_stall(scene: Scene) -> None:
    """F75: of several files each of which stalls once, all come, with one more request for each."""
    contents = {f"/{number}": SMALL[number:] for number in range(8)}
    stalled: set[str] = set()

    def script(request: Request) -> Answer:
        answer = file_answer(request, contents[request.target])
        if request.target in stalled:
            return answer
        stalled.add(request.target)
        return holding(scene.turned, lambda _request: answer, 50_000)(request)

    with evil_server(script) as server:
        ending = scene.fetch_all({path[1:]: Remote(server.url(path), content) for path, content in contents.items()})

    require_published(ending, {path[1:]: content for path, content in contents.items()})
    assert 16 == len(server.requests)


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_f75_the_deadline_comes_first(scene: Scene, content: bytes) -> None:
    """F75: where the deadline is nearer than the stall timeout the fetch ends at the deadline."""
    scene.deadline_s = STALL_S / 2
    with evil_server(holding(scene.turned, good(content), 10)) as server:
        ending = scene.fetch(server.url(), content)

    require_ended(ending, Reason.DEADLINE_EXCEEDED, "deadline", server.url())
    assert 1 == len(server.requests)


def test_f75_slow_but_steady_is_no_stall(scene: Scene) -> None:
    """F75: four KiB a second, for longer than the stall timeout, are slow but no stall: one request brings the file."""
    steady = holding(scene.turned, good(SMALL), 10, trickle=1024, jump_s=0.25)
    with evil_server(steady) as server:
        ending = scene.fetch(server.url(), SMALL)

    require_published(ending, {"file": SMALL})
    assert (1, True) == (len(server.requests), ending.took_s > STALL_S)


def test_f75_over_tls(scene: Scene, authority: trustme.CA, ca_file: str) -> None:
    """F75: the same holds where the bytes are encrypted."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    scene.egress = EGRESS.model_copy(update={"ca_file": ca_file})
    script: Script = first(1, holding(scene.turned, good(LARGE), SEGMENT_BYTES + 1), good(LARGE))
    with evil_server(script, tls) as server:
        ending = scene.fetch(server.url(), LARGE)

    require_published(ending, {"file": LARGE})
    assert (2, True) == (len(server.requests), server.bytes_sent <= len(LARGE) + SEGMENT_BYTES)
