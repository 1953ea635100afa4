"""Comparing what arrived: every kind of difference has its reason."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
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
