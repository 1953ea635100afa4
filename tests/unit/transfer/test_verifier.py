"""Comparing what arrived: every kind of difference has its reason."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.resumable_sha256 import resumable_sha256, saved_state
from modelfetch.transfer.sink import Kept
from modelfetch.transfer.verifier import Compared, Expected, Verifier

CONTENT = b"hello\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
GIT_BLOB = "ce013625030ba8dba906f756967f9e9ca394464a"  # `git hash-object` of it


def verify(expected: Expected, content: bytes) -> str:
    """Return the digest of `content` after comparing it."""
    verifier = Verifier(expected)
    verifier.update(memoryview(content))
    return verifier.verify()


@pytest.mark.parametrize(
    ("expected", "compared"),
    [
        (Expected(), "nothing"),
        (Expected(6), "size"),
        (Expected(6, git_blob=GIT_BLOB), "git_blob"),
        (Expected(None, sha256=SHA256), "sha256"),
        (Expected(6, SHA256, GIT_BLOB), "sha256"),
    ],
)
def test_says_what_it_compared_with(expected: Expected, compared: Compared) -> None:
    """The strongest thing that was known is what the file was compared with."""
    digest = verify(expected, CONTENT)

    assert (SHA256, compared) == (digest, expected.compared)


@pytest.mark.parametrize(
    ("expected", "content", "reason"),
    [
        (Expected(6), b"hello", Reason.SIZE_MISMATCH),
        (Expected(6), b"hello\n\n", Reason.SIZE_MISMATCH),
        (Expected(None, SHA256), b"hellp\n", Reason.CHECKSUM_MISMATCH),
        (Expected(6, git_blob=GIT_BLOB), b"hellp\n", Reason.CHECKSUM_MISMATCH),
        (Expected(6, SHA256, "0" * 40), CONTENT, Reason.CHECKSUM_MISMATCH),
    ],
)
def test_refuses_differences(expected: Expected, content: bytes, reason: Reason) -> None:
    """Another size is SizeMismatch, other bytes are ChecksumMismatch."""
    with pytest.raises(FetchError) as caught:
        verify(expected, content)

    assert reason == caught.value.reason


def test_a_git_blob_needs_its_size() -> None:
    """Git's id covers the size first, so it cannot be compared without one."""
    with pytest.raises(FetchError) as caught:
        Verifier(Expected(git_blob=GIT_BLOB))

    assert Reason.SIZE_MISMATCH == caught.value.reason


@given(st.lists(st.binary(max_size=50)))
def test_pieces_hash_like_the_whole(pieces: list[bytes]) -> None:
    """However the bytes are cut, the digest is that of the file."""
    verifier = Verifier(Expected())
    for piece in pieces:
        verifier.update(memoryview(piece))

    assert hashlib.sha256(b"".join(pieces)).hexdigest() == verifier.verify()


LONG = bytes(range(256)) * 10


def hashed(size: int) -> Kept:
    """Return what an earlier process left that had hashed the first `size` bytes of the long content."""
    hasher = resumable_sha256()
    hasher.update(LONG[:size])
    return Kept(hashed=size, state=saved_state(hasher))


@given(st.integers(0, len(LONG) // 64))
def test_goes_on_from_what_was_hashed(blocks: int) -> None:
    """The digest is that of the whole, and only the bytes after the state are taken again."""
    verifier = Verifier(Expected(len(LONG)), hashed(64 * blocks))
    taken = verifier.size
    verifier.update(memoryview(LONG)[taken:])

    assert (64 * blocks, hashlib.sha256(LONG).hexdigest()) == (taken, verifier.verify())


@pytest.mark.parametrize(
    "kept",
    [
        Kept(hashed=64),
        Kept(hashed=128, state=hashed(64).state),
        Kept(hashed=64, state=b"x" * 112),
        Kept(hashed=64, state=b""),
    ],
    ids=["no state", "of other bytes", "nonsense", "empty"],
)
def test_begins_again_where_a_state_does_not_fit(kept: Kept) -> None:
    """All bytes are hashed again: that costs time, never a wrong digest."""
    verifier = Verifier(Expected(), kept)
    taken = verifier.size
    verifier.update(memoryview(LONG))

    assert (0, hashlib.sha256(LONG).hexdigest()) == (taken, verifier.verify())


def test_a_state_of_other_bytes_is_found_out() -> None:
    """A state that fits its length but speaks of other bytes ends as ChecksumMismatch, never as a wrong file."""
    hasher = resumable_sha256()
    hasher.update(bytes(64))
    verifier = Verifier(Expected(None, hashlib.sha256(LONG).hexdigest()), Kept(hashed=64, state=saved_state(hasher)))
    verifier.update(memoryview(LONG)[64:])
    with pytest.raises(FetchError) as caught:
        verifier.verify()

    assert Reason.CHECKSUM_MISMATCH == caught.value.reason


def test_a_git_blob_is_hashed_from_its_start() -> None:
    """Git's id has no state to go on from: the bytes are taken again, and it is compared."""
    verifier = Verifier(Expected(6, git_blob=GIT_BLOB), hashed(64))
    verifier.update(memoryview(CONTENT))

    assert SHA256 == verifier.verify()


def test_tells_how_to_go_on() -> None:
    """After whole blocks there is a state that leads to the same digest."""
    first = Verifier(Expected())
    first.update(memoryview(LONG)[:640])
    second = Verifier(Expected(), Kept(hashed=first.size, state=first.state()))
    second.update(memoryview(LONG)[second.size :])

    assert (640, hashlib.sha256(LONG).hexdigest()) == (first.size, second.verify())
