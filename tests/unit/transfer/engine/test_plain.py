"""Files come whole, whatever their number and size."""

import hashlib
from dataclasses import replace

import pytest

from modelfetch.transfer.segments import SEGMENT_BYTES
from modelfetch.transfer.verifier import Expected
from tests.fakes.evil_server import Script, evil_server, file_answer, serve_file
from tests.unit.transfer.engine.rig import LARGE, SMALL, Rig, cutting, exactly, sha256


@pytest.mark.parametrize("connections", [1, 4, 16])
@pytest.mark.parametrize("size", [0, 1, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, len(LARGE)])
def test_moves_files_of_any_size(size: int, connections: int) -> None:
    """Files around the segment's edges arrive whole, verified, with no byte asked for twice."""
    content, rig = LARGE[:size], Rig(connections)
    with evil_server(serve_file(content)) as server:
        received = rig.fetch(server, exactly(content))
    moved = rig.moved["file"]

    assert (True, sha256(content), size, "sha256", size) == (
        received == content,
        moved.sha256,
        moved.size,
        moved.compared,
        server.bytes_sent,
    )


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("framing", [{}, {"length": None}, {"chunked": True}], ids=["length", "until closed", "chunks"])
def test_moves_files_of_unknown_size(framing: dict[str, object], connections: int) -> None:
    """A file whose size nobody told arrives whole over one stream."""
    script: Script = lambda request: replace(file_answer(request, LARGE), **framing)  # type: ignore[arg-type]  # noqa: E731
    with evil_server(script) as server:
        received = Rig(connections).fetch(server, Expected(sha256=sha256(LARGE)))

    assert LARGE == received


def test_compares_the_git_blob() -> None:
    """A small file of a hub is compared with its git blob id while it arrives."""
    blob = hashlib.sha1(b"blob %d\0" % len(SMALL) + SMALL, usedforsecurity=False).hexdigest()
    rig = Rig()
    with evil_server(serve_file(SMALL)) as server:
        rig.fetch(server, Expected(len(SMALL), git_blob=blob))

    assert ("git_blob", sha256(SMALL)) == (rig.moved["file"].compared, rig.moved["file"].sha256)


def test_says_when_nothing_was_compared() -> None:
    """A file of which nothing was known is marked so."""
    rig = Rig()
    with evil_server(serve_file(SMALL)) as server:
        rig.fetch(server, Expected())

    assert ("nothing", '"v1"') == (rig.moved["file"].compared, rig.moved["file"].identity.etag)


def test_moves_many_files() -> None:
    """Each of many files arrives in its own sink and is announced once."""
    contents = {f"/{number}": SMALL[: number * 1000] for number in range(40)}
    rig = Rig(parallel=4)
    with evil_server(lambda request: file_answer(request, contents[request.target])) as server:
        rig.run([(path, server.url(path), exactly(content)) for path, content in contents.items()])

    assert contents == {path: sink.content for path, sink in rig.sinks.items()}
    assert sorted(contents) == sorted(rig.moved)


def test_counts_progress() -> None:
    """At the end every byte and every file is counted once, also after a cut."""
    rig = Rig(connections=4)
    with evil_server(cutting(LARGE, 100_000)) as server:
        rig.run([("a", server.url(), exactly(LARGE)), ("b", server.url(), exactly(LARGE))])
    snapshot = rig.counters.snapshot()

    assert (2 * len(LARGE), 2, ()) == (snapshot.bytes_done, snapshot.files_done, snapshot.current_files)


def test_many_connections_share_the_segments() -> None:
    """A large file comes over several connections, each segment once."""
    with evil_server(serve_file(LARGE)) as server:
        Rig(connections=3).fetch(server, exactly(LARGE))

    assert (
        [(0, SEGMENT_BYTES - 1), (SEGMENT_BYTES, 2 * SEGMENT_BYTES - 1), (2 * SEGMENT_BYTES, len(LARGE) - 1)],
        3,
    ) == (
        sorted(request.range or (0, 0) for request in server.requests),
        server.connections,
    )
