"""Immutable bytes in memory and in files, whole, by slices, and patched."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.devcluster.hub.content import Content

patches = st.lists(st.tuples(st.integers(0, 300), st.binary(max_size=40)), max_size=4)


@given(st.binary(max_size=300), patches, st.integers(0, 300), st.integers(0, 300), st.integers(1, 50))
def test_pieces(data: bytes, laid: list[tuple[int, bytes]], start: int, length: int, piece_bytes: int) -> None:
    """Pieces joined are the slice of the patched bytes, whatever their size, and patches never change the length."""
    content, expected = Content.of(data), bytearray(data)
    for offset, patch in laid:
        content = content.patched(offset, patch)
        expected[offset : offset + len(patch)] = patch[: max(0, len(data) - offset)]
    stop = min(start + length, len(data))

    assert bytes(expected)[start:stop] == b"".join(content.pieces(start, stop, piece_bytes))


@pytest.mark.parametrize(("start", "stop"), [(0, 1000), (0, 1), (999, 1000), (17, 555)])
def test_file_reads_like_memory(tmp_path: Path, start: int, stop: int) -> None:
    """Bytes in a file and the same bytes in memory give equal slices."""
    data = bytes(range(250)) * 4
    (tmp_path / "data").write_bytes(data)

    assert Content.of(data).read(start, stop) == Content.at(tmp_path / "data").read(start, stop)


def test_digests() -> None:
    """Digests are git's blob id and the sha256 of the bytes."""
    content = Content.of(b"hello")

    assert "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0" == content.git_blob()
    assert hashlib.sha256(b"hello").hexdigest() == content.sha256()
