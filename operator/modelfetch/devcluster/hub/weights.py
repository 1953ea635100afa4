"""Valid safetensors files of any size, generated from a seed.

In: a `Weights` recipe. Out: its bytes in pieces, or a `Content` (in memory when small, else a file in the hub's own
temporary folder). Every MiB of the data differs from every other, so swapped or repeated blocks never go unseen.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path

from modelfetch.devcluster.hub.content import Content, Weights

MEMORY_LIMIT_BYTES = 8 * 1024 * 1024
SMALLEST_BYTES = 512
_BLOCK_BYTES = 1024 * 1024
_TENSORS = ("model.embed_tokens.weight", "model.layers.0.mlp.weight", "lm_head.weight")


def weights_pieces(recipe: Weights) -> Iterator[bytes]:
    """Yield the safetensors file of `recipe`: 8 bytes of length, the JSON header, the tensors."""
    if recipe.size < SMALLEST_BYTES:
        raise ValueError(f"a generated safetensors file has at least {SMALLEST_BYTES} bytes, got {recipe.size}")
    room = recipe.size - 8
    elements = (room - SMALLEST_BYTES + 128) // 4 if room > SMALLEST_BYTES else 1
    header_bytes = room - elements * 4
    yield header_bytes.to_bytes(8, "little") + _header(elements).ljust(header_bytes)
    yield from _noise(elements * 4, recipe.seed)


def materialise(recipe: Weights, folder: Path) -> Content:
    """Return the content of `recipe`; large ones are written once to a file in `folder`."""
    if recipe.size <= MEMORY_LIMIT_BYTES:
        return Content.of(b"".join(weights_pieces(recipe)))
    path = folder / f"weights-{recipe.seed}-{recipe.size}.safetensors"
    if not path.exists():
        with path.open("wb") as file:
            for piece in weights_pieces(recipe):
                file.write(piece)
    return Content.at(path)


def _header(elements: int) -> bytes:
    share = elements // len(_TENSORS)
    counts = [elements - share * (len(_TENSORS) - 1), *[share] * (len(_TENSORS) - 1)]
    table: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, count in zip(_TENSORS, counts, strict=True):
        table[name] = {"dtype": "F32", "shape": [count], "data_offsets": [offset, offset + count * 4]}
        offset += count * 4
    return json.dumps(table, separators=(",", ":")).encode()


def _noise(size: int, seed: int) -> Iterator[bytes]:
    block = random.Random(seed).randbytes(min(size, _BLOCK_BYTES))
    for index in range(0, size, _BLOCK_BYTES):
        mark = (index // _BLOCK_BYTES).to_bytes(8, "little")
        yield (mark + block[8:] if index else block)[: size - index]
