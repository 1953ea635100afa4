"""BLAKE3 of each segment of a blob, written when it is committed, so that a later look costs a tenth of a SHA-256.

Comes in: the digests that the receivers computed. Goes out: `Sums`, or None. Sums are a hint, never the identity: they
are renamed into place without fsync, so a power cut may tear them. They say themselves whether they are whole, and what
is missing is made again by a full look.

    magic, 16 bytes ▶ segment bytes, 4 ▶ size, 8 ▶ SHA-256 of the blob, 32 ▶ BLAKE3 of each segment ▶ BLAKE3 of all this
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from modelfetch.errors import FetchError
from modelfetch.hashing import BLAKE3_BYTES, blake3_digest
from modelfetch.store import layout
from modelfetch.store.fs import PUBLIC_FOLDER, Volume
from modelfetch.store.ingest import Ingest
from modelfetch.store.layout import Steps
from modelfetch.store.readable import ReadableVolume
from modelfetch.transfer.segments import SEGMENT_BYTES

_MAGIC = b"modelfetch-sums1"
"""The last letter is the version; any other one is as good as no sums."""
_HEAD = struct.Struct(">16sIQ32s")
_LIMIT_BYTES = 1024 * 1024 * 1024
"""Bytes of the largest sums that are read: those of 128 TiB."""


@dataclass(frozen=True)
class Sums:
    """What each segment of a blob must hash to; the last segment may be shorter."""

    segment_bytes: int
    size: int
    digests: tuple[bytes, ...]


def write_sums(ingest: Ingest, sha256: str, size: int, digests: Sequence[bytes]) -> None:
    """Put the digests of every `SEGMENT_BYTES` of a blob beside it, whole or not at all unless the power fails.

    Raises ValueError for another number of digests than `size` has segments, FetchError as the volume answers.
    """
    put_sums(ingest.volume, ingest.staged("sums"), sha256, Sums(SEGMENT_BYTES, size, tuple(digests)))


def put_sums(volume: Volume, private: Steps, sha256: str, sums: Sums) -> None:
    """Do as `write_sums` does, by way of the free name `private`."""
    data, path = encode(sha256, sums), layout.sums(sha256)
    file = volume.create(private, step="sums.create")
    try:
        file.write_at(0, memoryview(data), step="sums.write")
        file.release(step="sums.release")
    except BaseException:
        file.close_after_failure()
        raise
    for depth in range(1, len(path)):
        volume.make_folder(path[:depth], PUBLIC_FOLDER, step="sums.folder")
    volume.rename(private, path, step="sums.rename")


def read_sums(volume: ReadableVolume, sha256: str) -> Sums | None:
    """Return the sums of a blob, None where there are none, or none that are whole and of this version."""
    try:
        data = volume.read(layout.sums(sha256), _LIMIT_BYTES)
    except FetchError:
        return None  # a hint that cannot be read is no hint
    return None if data is None else decode(sha256, data)


def encode(sha256: str, sums: Sums) -> bytes:
    """Return the content of the file; raises ValueError for a wrong number or length of digests."""
    if len(sums.digests) != _count(sums.size, sums.segment_bytes):
        raise ValueError(f"{len(sums.digests)} digests for {sums.size} bytes")
    body = b"".join(sums.digests)
    if len(body) != BLAKE3_BYTES * len(sums.digests):
        raise ValueError(f"{len(body)} bytes for {len(sums.digests)} digests")
    data = _HEAD.pack(_MAGIC, sums.segment_bytes, sums.size, bytes.fromhex(sha256)) + body
    return data + blake3_digest(data)


def decode(sha256: str, data: bytes) -> Sums | None:
    """Return what `encode` took, None for anything else than whole sums of this blob."""
    if len(data) < _HEAD.size + BLAKE3_BYTES or blake3_digest(data[:-BLAKE3_BYTES]) != data[-BLAKE3_BYTES:]:
        return None
    magic, segment_bytes, size, named = _HEAD.unpack_from(data)
    body = data[_HEAD.size : -BLAKE3_BYTES]
    if magic != _MAGIC or named.hex() != sha256 or segment_bytes == 0:
        return None
    if len(body) != BLAKE3_BYTES * _count(size, segment_bytes):
        return None
    digests = tuple(body[start : start + BLAKE3_BYTES] for start in range(0, len(body), BLAKE3_BYTES))
    return Sums(segment_bytes, size, digests)


def _count(size: int, segment_bytes: int) -> int:
    return -(-size // segment_bytes)
