"""F71, F72 and F81: bytes that are too few, too many, others, or packed."""

import gzip
from collections.abc import Callable
from dataclasses import replace

import pytest

from modelfetch.reasons import Reason
from modelfetch.transfer.segments import SEGMENT_BYTES
from tests.fakes.evil_server import Answer, Request, Script, evil_server, file_answer
from tests.source_faults.scene import Scene, require_ended, require_published
from tests.source_faults.scripts import LARGE, SMALL, changed, first, flipped, good

RETRIES = 2
BOMB_BYTES = 16 << 20


def lying(content: bytes, difference: int) -> Script:
    """Return the script of a server whose Content-Length differs from what it sends, and which then closes."""

    def change(answer: Answer) -> Answer:
        return replace(answer, length=len(answer.body) + difference, keep=False)

    return changed(good(content), change)


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("has_size", [True, False], ids=["size known", "size unknown"])
@pytest.mark.parametrize("connections", [1, 4])
def test_f71_length_too_short(scene: Scene, content: bytes, has_size: bool, connections: int) -> None:
    """F71: a Content-Length below the file's size is a mismatch of size or digest, asked for three times at most."""
    scene.connections = connections
    with evil_server(lying(content, -1)) as server:
        ending = scene.fetch(server.url(), content, has_size=has_size)

    assert ending.report.reason in (Reason.SIZE_MISMATCH, Reason.CHECKSUM_MISMATCH)
    require_ended(ending, ending.report.reason, "expected")
    assert len(server.requests) <= 3 + connections


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("has_size", [True, False], ids=["size known", "size unknown"])
def test_f71_length_too_long(scene: Scene, content: bytes, has_size: bool) -> None:
    """F71: a Content-Length above what comes never makes a file of less; it ends within the retries."""
    scene.retries = RETRIES
    with evil_server(lying(content, 1)) as server:
        ending = scene.fetch(server.url(), content, has_size=has_size, has_digest=has_size)

    reasons = (Reason.SIZE_MISMATCH, Reason.SOURCE_UNAVAILABLE)
    assert ending.report.reason in reasons
    require_ended(ending, ending.report.reason)
    assert len(server.requests) <= 2 * (RETRIES + 1) + 1


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("has_size", [True, False], ids=["size known", "size unknown"])
@pytest.mark.parametrize("framing", [{"length": None}, {"chunked": True}], ids=["until closed", "chunks"])
def test_f71_no_length(scene: Scene, content: bytes, has_size: bool, framing: dict[str, object]) -> None:
    """F71: a file without Content-Length is published when it has its digest."""
    with evil_server(changed(good(content), lambda answer: replace(answer, **framing))) as server:  # type: ignore[arg-type]
        ending = scene.fetch(server.url(), content, has_size=has_size)

    require_published(ending, {"file": content})
    assert 1 == len(server.requests)


def test_f71_no_length_and_no_digest(scene: Scene) -> None:
    """F71: where nothing says where a file ends and nothing can be compared, it is SizeMismatch, unread."""
    with evil_server(changed(good(SMALL), lambda answer: replace(answer, length=None))) as server:
        ending = scene.fetch(server.url(), SMALL, has_size=False, has_digest=False)

    require_ended(ending, Reason.SIZE_MISMATCH, "where it ends")
    assert len(server.requests) <= 3


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("has_size", [True, False], ids=["size known", "size unknown"])
@pytest.mark.parametrize("etag", ['"v1"', None], ids=["ETag", "no ETag"])
def test_f71_chunks_that_end_early(scene: Scene, content: bytes, has_size: bool, etag: str | None) -> None:
    """F71: a chunked answer that breaks off is no end of file: the rest, or the file, is asked for again."""
    half = len(content) // 2
    broken = changed(good(content, etag), lambda answer: replace(answer, chunked=True, cut_at=half))
    with evil_server(first(1, broken, good(content, etag))) as server:
        ending = scene.fetch(server.url(), content, has_size=has_size)

    require_published(ending, {"file": content})
    assert 2 == len(server.requests)
    assert server.bytes_sent <= len(content) + (half if etag is None else 0) + 1024


@pytest.mark.parametrize("has_digest", [True, False], ids=["digest", "size only"])
def test_f71_chunks_that_are_too_few(scene: Scene, has_digest: bool) -> None:
    """F71: a chunked answer of fewer bytes that ends properly is SizeMismatch after two more tries."""
    short = changed(good(SMALL[:-1]), lambda answer: replace(answer, chunked=True))
    with evil_server(short) as server:
        ending = scene.fetch(server.url(), SMALL, has_digest=has_digest)

    require_ended(ending, Reason.SIZE_MISMATCH, f"expected {len(SMALL)} bytes")
    assert 3 == len(server.requests)


@pytest.mark.parametrize("chunked", [True, False])
def test_f71_more_bytes_than_listed(scene: Scene, chunked: bool) -> None:
    """F71: a file with bytes behind its listed end is SizeMismatch; what follows is not read."""
    longer = changed(good(SMALL + bytes(LARGE)), lambda answer: replace(answer, chunked=chunked))
    with evil_server(longer) as server:
        ending = scene.fetch(server.url(), SMALL)

    require_ended(ending, Reason.SIZE_MISMATCH, f"expected {len(SMALL)} bytes")
    assert 3 == len(server.requests)


def swapped(content: bytes) -> bytes:
    """Return `content` with its first two blocks of 4 KiB in the other order."""
    return content[4096:8192] + content[:4096] + content[8192:]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "first": lambda content: flipped(content, 0),
    "middle": lambda content: flipped(content, len(content) // 2),
    "last": lambda content: flipped(content, -1),
    "swapped": swapped,
    "zeros": lambda content: content[:4096] + bytes(4096) + content[8192:],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
@pytest.mark.parametrize(
    ("content", "connections"), [(SMALL, 1), (LARGE, 1), (LARGE, 4)], ids=["small", "large", "large by parts"]
)
def test_f72_wrong_bytes(scene: Scene, damage: Callable[[bytes], bytes], content: bytes, connections: int) -> None:
    """F72: wrong bytes of the right size are ChecksumMismatch after two further tries, and stay nowhere."""
    scene.connections = connections
    with evil_server(good(damage(content))) as server:
        ending = scene.fetch(server.url(), content)

    require_ended(ending, Reason.CHECKSUM_MISMATCH, "expected sha256")
    assert "file" == ending.report.file
    assert 3 <= len(server.requests) <= (3 if connections == 1 else 9)
    assert server.bytes_sent <= 3 * len(content) + SEGMENT_BYTES


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_f72_damage_that_passes(scene: Scene, times: int, content: bytes) -> None:
    """F72: damage that is gone within three tries costs as many requests and no more."""
    with evil_server(first(times, good(flipped(content, 5)), good(content))) as server:
        ending = scene.fetch(server.url(), content)

    require_published(ending, {"file": content})
    assert times + 1 == len(server.requests)


@pytest.mark.parametrize("connections", [1, 4])
def test_f72_one_wrong_part(scene: Scene, connections: int) -> None:
    """F72: one wrong bit in one answer among right ones is found, and the file is fetched once more."""
    scene.connections, place = connections, len(LARGE) - 100
    met: list[int] = []

    def script(request: Request) -> Answer:
        answer = file_answer(request, LARGE)
        offset = place - (request.range or (0, None))[0]
        if met or not 0 <= offset < len(answer.body):
            return answer
        met.append(request.number)
        return replace(answer, body=flipped(answer.body, offset))

    with evil_server(script) as server:
        ending = scene.fetch(server.url(), LARGE)

    require_published(ending, {"file": LARGE})
    assert (1, True) == (len(met), server.bytes_sent <= 2 * len(LARGE) + SEGMENT_BYTES)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, identity", "x-gzip"])
@pytest.mark.parametrize("connections", [1, 4])
def test_f81_packed_although_plain_was_asked(scene: Scene, encoding: str, connections: int) -> None:
    """F81: an encoded answer is FormatNotAllowed at the first request, and not one byte of it is unpacked."""
    scene.connections = connections
    packed = gzip.compress(LARGE, 1)
    answer = changed(good(packed), lambda answer: answer.with_headers(content_encoding=encoding))
    with evil_server(answer) as server:
        ending = scene.fetch(server.url(), LARGE, has_size=False)

    require_ended(ending, Reason.FORMAT_NOT_ALLOWED, f'"{encoding}"')
    assert ["identity"] == [request.headers["accept-encoding"] for request in server.requests]


@pytest.mark.parametrize("has_size", [True, False], ids=["size known", "size unknown"])
def test_f81_bomb(scene: Scene, has_size: bool) -> None:
    """F81: much that was packed into little is refused by its header; the packed bytes as a file are a file."""
    bomb = gzip.compress(bytes(BOMB_BYTES), 1)
    packed = changed(good(bomb), lambda answer: answer.with_headers(content_encoding="gzip"))
    with evil_server(packed) as evil, evil_server(good(bomb)) as plain:
        refused = scene.fetch(evil.url(), bomb, has_size=has_size)
        taken = scene.fetch(plain.url(), bomb, has_size=has_size)

    assert (Reason.FORMAT_NOT_ALLOWED, 1) == (refused.report.reason, len(evil.requests))
    require_published(taken, {"file": bomb})


def test_f81_packed_in_the_middle(scene: Scene) -> None:
    """F81: a server that begins to pack at the resume is refused, and nothing packed is joined to what is plain."""
    packed = changed(good(LARGE), lambda answer: answer.with_headers(content_encoding="gzip"))
    cut = changed(good(LARGE), lambda answer: replace(answer, cut_at=SEGMENT_BYTES))
    with evil_server(first(1, cut, packed)) as server:
        ending = scene.fetch(server.url(), LARGE)

    require_ended(ending, Reason.FORMAT_NOT_ALLOWED, '"gzip"')
    assert 2 == len(server.requests)


@pytest.mark.parametrize("path", ["identity", "Identity"])
def test_f81_identity_is_plain(scene: Scene, path: str) -> None:
    """F81: an answer that says of itself that it is plain is taken."""
    with evil_server(changed(good(SMALL), lambda answer: answer.with_headers(content_encoding=path))) as server:
        ending = scene.fetch(server.url(), SMALL)

    require_published(ending, {"file": SMALL})
