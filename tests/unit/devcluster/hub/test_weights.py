"""Generated safetensors files: valid, of the exact size, the same for the same seed."""

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.devcluster.hub.content import Weights
from modelfetch.devcluster.hub.weights import MEMORY_LIMIT_BYTES, materialise, weights_pieces


@given(st.integers(512, 5_000_000))
def test_size(size: int) -> None:
    """The file has exactly the size asked for, and its tensors fill all of it after the header without a gap."""
    data = b"".join(weights_pieces(Weights(size)))
    header_bytes = int.from_bytes(data[:8], "little")
    table = json.loads(data[8 : 8 + header_bytes])
    spans = [row["data_offsets"] for name, row in table.items() if name != "__metadata__"]

    assert (size, 0, size - 8 - header_bytes) == (len(data), spans[0][0], spans[-1][1])
    assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))


def test_shapes() -> None:
    """Each tensor's shape gives the bytes that its offsets span."""
    data = b"".join(weights_pieces(Weights(100_001)))
    table = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    del table["__metadata__"]

    assert all(row["shape"][0] * 4 == row["data_offsets"][1] - row["data_offsets"][0] for row in table.values())


def test_seed_decides() -> None:
    """The same seed gives the same bytes, another seed others."""
    first, again, other = (b"".join(weights_pieces(Weights(4096, seed))) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_blocks_differ() -> None:
    """No MiB of a large file equals another, so that swapped blocks change the digest."""
    data = b"".join(weights_pieces(Weights(6 * 1024 * 1024)))
    body = data[8 + int.from_bytes(data[:8], "little") :]
    blocks = {body[start : start + 1024 * 1024] for start in range(0, len(body), 1024 * 1024)}

    assert 6 == len(blocks)


def test_too_small() -> None:
    """A size without room for the header is refused."""
    with pytest.raises(ValueError, match="at least 512 bytes, got 100"):
        list(weights_pieces(Weights(100)))


@pytest.mark.parametrize("size", [MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES + 1])
def test_materialise(tmp_path: Path, size: int) -> None:
    """Small files stay in memory and large ones go to the folder, with equal bytes."""
    content = materialise(Weights(size), tmp_path)

    assert (size > MEMORY_LIMIT_BYTES) == (content.path is not None)
    assert b"".join(weights_pieces(Weights(size))) == content.read()
