"""Sums are believed only when they are whole and of the blob that was asked for."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.hashing import blake3_digest
from modelfetch.store.store import Store
from modelfetch.store.sums import Sums, decode, encode, read_sums, write_sums
from modelfetch.transfer.segments import SEGMENT_BYTES

BLOB = "ab" * 32
SIZE = 2 * SEGMENT_BYTES + 1
DIGESTS = [blake3_digest(bytes([number])) for number in range(3)]
WHOLE = encode(BLOB, Sums(SEGMENT_BYTES, SIZE, tuple(DIGESTS)))


def sums_file(root: Path) -> Path:
    return root / "blobs" / "blake3" / "ab" / BLOB


def written(store: Store) -> None:
    with store.ingest("attempt-1") as ingest:
        write_sums(ingest, BLOB, SIZE, DIGESTS)


def test_blake3_is_the_published_one() -> None:
    """The empty input hashes to the first of the official test vectors."""

    assert "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262" == blake3_digest(b"").hex()


def test_what_is_written_is_read(hard_store: Store, root: Path) -> None:
    """Segment size, size and digests come back; the file is readable for everybody and writable for nobody."""
    written(hard_store)

    assert Sums(SEGMENT_BYTES, SIZE, tuple(DIGESTS)) == read_sums(hard_store.volume, BLOB)
    assert 0o444 == sums_file(root).stat().st_mode & 0o777
    assert [] == list((root / "ingest").iterdir())


def test_new_sums_replace_others(hard_store: Store) -> None:
    """Writing again is fine, whatever was there."""
    written(hard_store)
    with hard_store.ingest("attempt-2") as ingest:
        write_sums(ingest, BLOB, 1, DIGESTS[:1])
    found = read_sums(hard_store.volume, BLOB)

    assert Sums(SEGMENT_BYTES, 1, tuple(DIGESTS[:1])) == found


@pytest.mark.parametrize("digests", [[], DIGESTS[:2], [*DIGESTS, DIGESTS[0]], [*DIGESTS[:2], b"short"]])
def test_wrong_digests_are_a_defect(hard_store: Store, digests: list[bytes]) -> None:
    """A caller that lost a segment is told, and nothing is written."""
    with hard_store.ingest("attempt-1") as ingest, pytest.raises(ValueError, match="digests"):
        write_sums(ingest, BLOB, SIZE, digests)

    assert read_sums(hard_store.volume, BLOB) is None


def test_a_mebibyte_of_sums_covers_much() -> None:
    """Sums of 1 TiB take little more than 8 MiB."""
    count = 2**40 // SEGMENT_BYTES
    data = encode(BLOB, Sums(SEGMENT_BYTES, 2**40, (DIGESTS[0],) * count))

    assert 8 * 2**20 + 92 == len(data)


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_one_wrong_byte_is_no_sums(place: int, change: int) -> None:
    """Any byte that differs makes sums as good as missing."""
    torn = bytearray(WHOLE)
    torn[place] ^= change

    assert decode(BLOB, bytes(torn)) is None


@given(st.integers(0, len(WHOLE) - 1), st.sampled_from([b"", b"\0" * len(WHOLE)]))
def test_torn_sums_are_no_sums(length: int, rest: bytes) -> None:
    """A file cut short, or with zeros in place of its end, as a power cut leaves it, is as good as missing."""
    torn = WHOLE[:length] + rest[length:]

    assert decode(BLOB, torn) is None


def test_sums_of_another_blob_are_no_sums() -> None:
    """A file under another blob's name is not believed."""

    assert decode("cd" * 32, WHOLE) is None


@pytest.mark.parametrize(
    "sums", [Sums(0, 0, ()), Sums(SEGMENT_BYTES, SIZE, tuple(DIGESTS[:2]))], ids=["no segment", "too few"]
)
def test_whole_sums_that_cannot_be(sums: Sums) -> None:
    """Sums whose own check is right but whose numbers contradict each other are not believed."""
    head = WHOLE[:16] + sums.segment_bytes.to_bytes(4) + sums.size.to_bytes(8) + bytes.fromhex(BLOB)
    data = head + b"".join(sums.digests)

    assert decode(BLOB, data + blake3_digest(data)) is None


def test_a_newer_version_is_no_sums() -> None:
    """Sums of another version are left alone and not believed."""
    data = WHOLE[:15] + b"2" + WHOLE[16:-32]

    assert decode(BLOB, data + blake3_digest(data)) is None


def test_a_planted_link_is_no_sums(hard_store: Store, root: Path, tmp_path: Path) -> None:
    """A symlink in place of the file, or of its folder, is not followed."""
    (tmp_path / "whole").write_bytes(WHOLE)
    sums_file(root).parent.mkdir(parents=True)
    sums_file(root).symlink_to(tmp_path / "whole")
    through_file = read_sums(hard_store.volume, BLOB)
    os.unlink(sums_file(root))
    sums_file(root).parent.rmdir()
    (tmp_path / BLOB).write_bytes(WHOLE)
    sums_file(root).parent.symlink_to(tmp_path)

    assert (None, None) == (through_file, read_sums(hard_store.volume, BLOB))
