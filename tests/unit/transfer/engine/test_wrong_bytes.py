"""Wrong bytes (F71, F72, row 63) are never handed on."""

from dataclasses import replace

import pytest

from modelfetch.reasons import Reason
from modelfetch.transfer.verifier import Expected
from tests.fakes.evil_server import Script, evil_server, file_answer, serve_file
from tests.unit.transfer.engine.rig import LARGE, SMALL, Rig, exactly, flipped, sha256

DAMAGES = [
    ("first bit", flipped(LARGE, 0)),
    ("middle bit", flipped(LARGE, len(LARGE) // 2)),
    ("last bit", flipped(LARGE, len(LARGE) - 1)),
    ("swapped blocks", LARGE[65_536:131_072] + LARGE[:65_536] + LARGE[131_072:]),
    ("zeroed tail", LARGE[:-50_000] + bytes(50_000)),
    ("another file", bytes(reversed(LARGE))),
    ("login page", b"<html>log in</html>".ljust(len(LARGE))),
]


@pytest.mark.parametrize("damaged", [content for _, content in DAMAGES], ids=[name for name, _ in DAMAGES])
@pytest.mark.parametrize("connections", [1, 4])
def test_wrong_bytes_are_a_checksum_mismatch(damaged: bytes, connections: int) -> None:
    """Other bytes of the right size are fetched twice more, then final (F72, row 63)."""
    rig = Rig(connections)
    with evil_server(serve_file(damaged)) as server:
        error = rig.failure(server, exactly(LARGE))

    assert (Reason.CHECKSUM_MISMATCH, False, {}, 3 * len(LARGE)) == (
        error.reason,
        error.reason.row.retryable,
        rig.moved,
        server.bytes_sent,
    )


@pytest.mark.parametrize("connections", [1, 4])
def test_wrong_bytes_once_are_mended(connections: int) -> None:
    """A flipped bit that does not come again costs one more fetch, over a new connection."""
    bad: Script = lambda request: file_answer(request, flipped(LARGE, 9))  # noqa: E731
    good = serve_file(LARGE)
    with evil_server(lambda request: (bad if request.number == 0 else good)(request)) as server:
        received = Rig(connections).fetch(server, exactly(LARGE))

    assert (True, min(connections, 3) + 1) == (received == LARGE, server.connections)


def test_wrong_git_blob_is_a_checksum_mismatch() -> None:
    """A small file that is not the listing's git blob is refused."""
    with evil_server(serve_file(SMALL)) as server:
        error = Rig().failure(server, Expected(len(SMALL), git_blob="0" * 40))

    assert Reason.CHECKSUM_MISMATCH == error.reason


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("size", [len(LARGE) - 1, len(LARGE) + 1, 0])
def test_another_size_is_a_size_mismatch(size: int, connections: int) -> None:
    """A listing that gives another size than the server is SizeMismatch, before a byte is stored."""
    rig = Rig(connections)
    with evil_server(serve_file(LARGE)) as server:
        error = rig.failure(server, Expected(size, sha256(LARGE)))

    assert (Reason.SIZE_MISMATCH, b"") == (error.reason, rig.sinks["file"].content)


@pytest.mark.parametrize("size", [len(SMALL) - 1, len(SMALL) + 1])
def test_chunks_of_another_size_are_a_size_mismatch(size: int) -> None:
    """Without a Content-Length the size is counted, and a well-framed body of another size is refused (F71)."""
    with evil_server(lambda request: replace(file_answer(request, SMALL), chunked=True)) as server:
        error = Rig().failure(server, Expected(size))

    assert Reason.SIZE_MISMATCH == error.reason


def test_a_length_never_reached_is_unavailable() -> None:
    """A server that announces more than it sends is resumed, taken from 0 again, then SourceUnavailable (F71)."""
    short: Script = lambda request: replace(  # noqa: E731
        file_answer(request, SMALL, ranges=False), length=len(SMALL) + 10, cut_at=len(SMALL)
    )
    with evil_server(short) as server:
        error = Rig(retries=2).failure(server, Expected())

    assert (Reason.SOURCE_UNAVAILABLE, 1 + 1 + 3) == (error.reason, len(server.requests))


def test_encoded_bytes_are_refused() -> None:
    """A gzip body in place of the file is FormatNotAllowed, unread (F81)."""
    with evil_server(lambda request: file_answer(request, SMALL).with_headers(content_encoding="gzip")) as server:
        error = Rig().failure(server, exactly(SMALL))

    assert Reason.FORMAT_NOT_ALLOWED == error.reason
