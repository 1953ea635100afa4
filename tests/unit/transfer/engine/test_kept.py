"""What an earlier run left in a sink is not received again, and never trusted more than the digest of the whole."""

import random

import pytest

from modelfetch.resumable_sha256 import resumable_sha256, saved_state
from modelfetch.transfer.reader import Identity
from modelfetch.transfer.segments import SEGMENT_BYTES
from modelfetch.transfer.sink import Kept
from modelfetch.transfer.verifier import Expected
from tests.fakes.evil_server import EvilServer, evil_server, serve_file
from tests.fakes.transfer import MemorySink
from tests.unit.transfer.engine.rig import Rig, exactly

CONTENT = random.Random(5).randbytes(3 * SEGMENT_BYTES + 100)
FIRST, SECOND, THIRD, LAST = 0, SEGMENT_BYTES, 2 * SEGMENT_BYTES, 3 * SEGMENT_BYTES
V1 = Identity(etag='"v1"', size=len(CONTENT))


def partial_of(content: bytes, *starts: int) -> bytes:
    """Return `content` with zeros where no segment was kept."""
    kept = bytearray(len(content))
    for start in starts:
        kept[start : start + SEGMENT_BYTES] = content[start : start + SEGMENT_BYTES]
    return bytes(kept)


def left(*starts: int, content: bytes = CONTENT, identity: Identity = V1, hashed: int = 0) -> MemorySink:
    """Return a sink in which an earlier run left the segments at `starts`, of which `hashed` bytes were hashed."""
    hasher = resumable_sha256()
    hasher.update(content[:hashed])
    kept = Kept(frozenset(starts), identity, hashed, saved_state(hasher))
    return MemorySink(content=partial_of(content, *starts), left=kept)


def asked(server: EvilServer) -> list[str | None]:
    """Return the ranges that were asked for."""
    return [request.headers.get("range") for request in server.requests]


@pytest.mark.parametrize(
    ("starts", "hashed", "connections", "ranges"),
    [
        ((FIRST,), SECOND, 1, [(SECOND, len(CONTENT))]),
        ((FIRST,), 0, 1, [(SECOND, len(CONTENT))]),
        ((FIRST, THIRD), SECOND, 1, [(SECOND, THIRD), (LAST, len(CONTENT))]),
        ((THIRD, LAST), 0, 1, [(0, THIRD)]),
        ((SECOND, THIRD), 0, 4, [(0, SECOND), (LAST, len(CONTENT))]),
        ((FIRST, SECOND, THIRD, LAST), LAST, 1, []),
        ((FIRST, SECOND, THIRD, LAST), 0, 4, []),
    ],
)
def test_only_what_is_missing_is_asked_for(starts, hashed, connections, ranges):
    """Each missing run is one request of one connection, each missing segment one of several; nothing else is sent."""
    rig = Rig(connections)
    rig.sinks["file"] = left(*starts, hashed=hashed)
    with evil_server(serve_file(CONTENT, etag='"v1"')) as server:
        content = rig.fetch(server, exactly(CONTENT))

        assert content == CONTENT
        assert sorted(asked(server)) == sorted(f"bytes={start}-{end - 1}" for start, end in ranges)
        assert rig.counters.snapshot().bytes_done == len(CONTENT)


def test_what_was_kept_of_another_version_is_thrown_away():
    """The server's file has changed since: the whole new one is received, and that costs no counted failure."""
    old = random.Random(6).randbytes(len(CONTENT))
    rig = Rig(retries=0)
    rig.sinks["file"] = left(FIRST, SECOND, content=old, identity=Identity(etag='"v0"', size=len(old)), hashed=SECOND)
    with evil_server(serve_file(CONTENT, etag='"v1"')) as server:
        content = rig.fetch(server, exactly(CONTENT))

    assert content == CONTENT
    assert rig.sinks["file"].truncations == [0]


def test_what_was_kept_of_another_place_is_gone_on_from():
    """A mirror names the same content otherwise: the digest of the whole tells that it is the same."""
    rig = Rig(retries=0)
    rig.sinks["file"] = left(FIRST, SECOND, identity=Identity(etag='"mirror"', size=len(CONTENT)), hashed=SECOND)
    with evil_server(serve_file(CONTENT, etag='"v1"')) as server:
        content = rig.fetch(server, exactly(CONTENT))

        assert content == CONTENT
        assert asked(server) == [f"bytes={THIRD}-{len(CONTENT) - 1}"] * 2
        assert rig.sinks["file"].truncations == []


def test_without_a_digest_nothing_of_another_place_is_kept():
    """Only the name of the version could tell that it is the same, and it does not."""
    rig = Rig(retries=0)
    rig.sinks["file"] = left(FIRST, SECOND, identity=Identity(etag='"mirror"', size=len(CONTENT)), hashed=SECOND)
    with evil_server(serve_file(CONTENT, etag='"v1"')) as server:
        rig.run([("file", server.url(), Expected(len(CONTENT)))])

    assert rig.sinks["file"].content == CONTENT
    assert rig.sinks["file"].truncations == [0]


def test_kept_bytes_that_do_not_fit_the_digest_are_thrown_away():
    """Without anything to tell versions apart by, the digest decides, and the file is received whole."""
    other = random.Random(7).randbytes(len(CONTENT))
    rig = Rig()
    rig.sinks["file"] = left(FIRST, SECOND, content=other, identity=Identity(size=len(CONTENT)))
    with evil_server(serve_file(CONTENT, etag=None)) as server:
        content = rig.fetch(server, exactly(CONTENT))

    assert content == CONTENT


def test_a_server_without_ranges_is_asked_for_the_whole():
    """Bytes that were kept are no reason to refuse a server that only sends whole files."""
    rig = Rig()
    rig.sinks["file"] = left(FIRST, SECOND, hashed=SECOND)
    with evil_server(serve_file(CONTENT, etag='"v1"', ranges=False)) as server:
        content = rig.fetch(server, exactly(CONTENT))

    assert content == CONTENT


def test_a_size_that_only_the_earlier_answer_knew_is_used():
    """A file whose size is not listed goes on by the size that the server said the first time."""
    rig = Rig()
    rig.sinks["file"] = left(FIRST, hashed=SECOND)
    with evil_server(serve_file(CONTENT, etag='"v1"')) as server:
        rig.run([("file", server.url(), Expected(sha256=exactly(CONTENT).sha256))])

        assert rig.sinks["file"].content == CONTENT
        assert asked(server) == [f"bytes={SECOND}-{len(CONTENT) - 1}"]


def test_the_state_of_the_hash_is_told_after_each_segment():
    """A sink learns how far the hash has come, so that another process can go on from there."""
    rig = Rig()
    with evil_server(serve_file(CONTENT, etag='"v1"')) as server:
        rig.fetch(server, exactly(CONTENT))
    states = rig.sinks["file"].states

    assert [size for size, _state in states] == [SECOND, THIRD, LAST, len(CONTENT)]
    assert [state is not None for _size, state in states] == [True, True, True, len(CONTENT) % 64 == 0]
    assert [identity.etag for identity in rig.sinks["file"].identities] == ['"v1"']
