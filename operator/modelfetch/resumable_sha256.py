"""A running SHA-256 that another process can go on from.

Comes in: bytes in order, or a state that was saved. Goes out: the digest, or the state. Python's own hash objects
cannot be saved, so it is libcrypto's SHA256_CTX (112 bytes, flat in OpenSSL 1.1 and 3), called through ctypes where a
self-test shows that it carries over. Where it does not, the bytes have to be hashed again.
"""

import ctypes
import functools
import hashlib
import struct
import sys
from typing import Self

from modelfetch.hashing import Hasher, sha256

STATE_BYTES = 112
"""What SHA256_CTX takes: 8 words of state, 2 of length in bits, 16 of input, 2 of counters (openssl/sha.h)."""

_LENGTH = struct.Struct("=2I")
_LENGTH_OFFSET = 32
_BLOCK_BYTES = 64
_LIBRARIES = ("libcrypto.so.3", "libcrypto.so.4", "libcrypto.so.1.1")


class ResumableSha256:
    """A running SHA-256 whose state another process can go on from; `size` bytes were taken so far."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._context = (ctypes.c_char * STATE_BYTES)()
        self._library.SHA256_Init(self._context)
        self.size = 0

    @classmethod
    def restored(cls, library: ctypes.CDLL, state: bytes, size: int) -> Self:
        """Return the digest as it was when `state` was taken, after `size` bytes; raises ValueError if it was not."""
        high, low = divmod(size * 8, 1 << 32)
        if (
            len(state) != STATE_BYTES
            or _LENGTH.unpack_from(state, _LENGTH_OFFSET) != (low, high)
            or size % _BLOCK_BYTES
        ):
            raise ValueError(f"expected the state after {size} bytes")
        hasher = cls(library)
        hasher._context.raw = state
        hasher.size = size
        return hasher

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Take the next bytes in order; other threads run meanwhile."""
        view = memoryview(data)
        if view.readonly:
            view = memoryview(bytearray(view))
        if view.nbytes:
            place = (ctypes.c_char * view.nbytes).from_buffer(view)
            self._library.SHA256_Update(self._context, place, ctypes.c_size_t(view.nbytes))
            self.size += view.nbytes

    def hexdigest(self) -> str:
        """Return the digest of all bytes so far, lower-case hex."""
        copy = (ctypes.c_char * STATE_BYTES).from_buffer_copy(self._context)
        digest = (ctypes.c_char * 32)()
        self._library.SHA256_Final(digest, copy)
        return digest.raw.hex()

    def state(self) -> bytes | None:
        """Return what `restored` goes on from; None between two blocks of 64 bytes."""
        return None if self.size % _BLOCK_BYTES else self._context.raw


@functools.cache
def _libcrypto() -> ctypes.CDLL | None:
    """Return a libcrypto in which a digest was carried over rightly; None where there is none (or in FIPS mode)."""
    for name in _LIBRARIES:
        try:
            library = ctypes.CDLL(name)
            if _carries_over(library):
                return library
        except (OSError, AttributeError):
            continue
    return None


def _carries_over(library: ctypes.CDLL) -> bool:
    first, second = b"abc" * 64, b"xyz" * 50
    before = ResumableSha256(library)
    before.update(first)
    state = before.state()
    if state is None or len(state) != STATE_BYTES:
        return False
    try:
        after = ResumableSha256.restored(library, state, len(first))
    except ValueError:
        return False
    after.update(second)
    return bool(after.hexdigest() == hashlib.sha256(first + second).hexdigest())


STATE_FORMAT = f"SHA256_CTX-{sys.byteorder}"
"""Names what a saved state is; one of another format is not restored, the bytes are hashed again."""


def resumable_sha256() -> Hasher:
    """Return an empty SHA-256 that can be carried over where this machine allows it."""
    library = _libcrypto()
    return sha256() if library is None else ResumableSha256(library)


def restore_sha256(state: bytes, size: int) -> Hasher | None:
    """Return the digest that `saved_state` took `state` of, after `size` bytes; None where that is not possible."""
    library = _libcrypto()
    try:
        return None if library is None else ResumableSha256.restored(library, state, size)
    except ValueError:
        return None


def saved_state(hasher: Hasher) -> bytes | None:
    """Return what `restore_sha256` goes on from, None where `hasher` cannot be carried over at this point."""
    return hasher.state() if isinstance(hasher, ResumableSha256) else None
