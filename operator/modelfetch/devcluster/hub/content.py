"""Immutable bytes, held in memory or in a file, with the digests a hub lists for them.

In: bytes, files of a folder, or a recipe for generated weights. Out: `Content`, which the wire sends by slices (with
sendfile where it lies in a file and nothing was patched), and its digests. Next: repository.py lists it, wire.py sends
it.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

PIECE_BYTES = 256 * 1024


@dataclass(frozen=True)
class Content:
    """Bytes that never change: exactly one of `data` and `path` is set.

    `patches` are (offset, bytes) pairs laid over the stored bytes when they are read; they model corruption.
    """

    size: int
    data: bytes | None = None
    path: Path | None = None
    patches: tuple[tuple[int, bytes], ...] = ()

    @classmethod
    def of(cls, data: bytes) -> "Content":
        """Return the content made of `data`."""
        return cls(size=len(data), data=data)

    @classmethod
    def at(cls, path: Path) -> "Content":
        """Return the content of the file at `path`, which must not change from now on."""
        return cls(size=path.stat().st_size, path=path)

    def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """Return the bytes of [start, stop), patches applied."""
        return b"".join(self.pieces(start, self.size if stop is None else stop))

    def pieces(self, start: int, stop: int, piece_bytes: int = PIECE_BYTES) -> Iterator[bytes]:
        """Yield the bytes of [start, stop) in order, at most `piece_bytes` at a time, patches applied."""
        if self.data is not None:
            for begin in range(start, stop, piece_bytes):
                yield self._patched(begin, self.data[begin : min(begin + piece_bytes, stop)])
            return
        if self.path is None:
            return
        with self.path.open("rb") as file:
            for begin in range(start, stop, piece_bytes):
                yield self._patched(begin, os.pread(file.fileno(), min(piece_bytes, stop - begin), begin))

    def patched(self, offset: int, data: bytes) -> "Content":
        """Return the same content with `data` laid over it at `offset`; what reaches past the end is left out."""
        return replace(self, patches=(*self.patches, (offset, data[: max(0, self.size - offset)])))

    def sha256(self) -> str:
        """Return the sha256 in hex, reading everything once."""
        return self._hashed(hashlib.sha256())

    def git_blob(self) -> str:
        """Return the id that git gives to these bytes, reading everything once."""
        return self._hashed(hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False))

    def _hashed(self, digest: "hashlib._Hash") -> str:
        for piece in self.pieces(0, self.size):
            digest.update(piece)
        return digest.hexdigest()

    def _patched(self, begin: int, piece: bytes) -> bytes:
        for offset, data in self.patches:
            first, last = max(offset, begin), min(offset + len(data), begin + len(piece))
            if first < last:
                piece = piece[: first - begin] + data[first - offset : last - offset] + piece[last - begin :]
        return piece


@dataclass(frozen=True)
class Weights:
    """A recipe: a valid safetensors file of exactly `size` bytes, the same for the same seed.

    Sizes below 512 bytes leave no room for the header and are refused by `weights_pieces` with ValueError.
    """

    size: int
    seed: int = 0
