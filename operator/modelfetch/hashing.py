"""Digests: SHA-256 of files, BLAKE3 of their segments, git's id of a blob; the only importer of hash libraries."""

import hashlib
import re
from typing import Protocol

from blake3 import blake3 as _blake3

SHA256_HEX = re.compile(r"[0-9a-f]{64}")
GIT_SHA1_HEX = re.compile(r"[0-9a-f]{40}")
BLAKE3_BYTES = 32
"""Bytes of a BLAKE3 digest."""


class Hasher(Protocol):
    """A running digest."""

    def update(self, data: bytes | bytearray | memoryview, /) -> object:
        """Take the next bytes in order."""

    def hexdigest(self) -> str:
        """Return the digest of all bytes so far, lower-case hex."""


def sha256() -> Hasher:
    """Return an empty SHA-256."""
    return hashlib.sha256()


def blake3() -> Hasher:
    """Return an empty BLAKE3."""
    return _blake3()


def git_blob(size: int) -> Hasher:
    """Return a digest that gives git's blob id (SHA-1 object format) once `size` bytes were taken.

    Source: git's object format, "blob <size>\\0" before the content. SHA-1 finds damage, it proves no authorship.
    """
    hasher = hashlib.sha1(usedforsecurity=False)
    hasher.update(b"blob %d\0" % size)
    return hasher


def sha256_digest(data: bytes) -> str:
    """Return `sha256:<hex>` of `data`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def blake3_digest(data: bytes | bytearray | memoryview) -> bytes:
    """Return the BLAKE3 of `data`, 32 bytes; other threads run meanwhile."""
    return _blake3(data).digest()
