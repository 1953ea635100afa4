"""Whether what arrived is what was expected: size, SHA-256, git's blob id, computed while the bytes pass by.

Goes on from what an earlier process had hashed, where that is possible.
"""

from dataclasses import dataclass
from typing import Literal

from modelfetch.errors import FetchError
from modelfetch.hashing import Hasher, git_blob
from modelfetch.reasons import Reason
from modelfetch.resumable_sha256 import restore_sha256, resumable_sha256, saved_state
from modelfetch.transfer.sink import NOTHING, Kept

Compared = Literal["sha256", "git_blob", "size", "nothing"]
"""The strongest thing that a file was compared with."""


@dataclass(frozen=True)
class Expected:
    """What is known of a file before it arrives; hex digests. A `git_blob` can be compared only with a `size`."""

    size: int | None = None
    sha256: str | None = None
    git_blob: str | None = None

    @property
    def compared(self) -> Compared:
        """What a file that passed was compared with."""
        if self.sha256 is not None:
            return "sha256"
        if self.git_blob is not None:
            return "git_blob"
        return "nothing" if self.size is None else "size"


class Verifier:
    """Digests of one file's bytes, fed in order from `size` on."""

    def __init__(self, expected: Expected, kept: Kept = NOTHING) -> None:
        self._expected = expected
        self._git_blob = _git_hasher(expected)
        # A blob id has no state to go on from: these files are small, their bytes are hashed again.
        restored = None if kept.state is None or self._git_blob else restore_sha256(kept.state, kept.hashed)
        self._sha256 = restored or resumable_sha256()
        self.size = kept.hashed if restored else 0
        """Bytes taken so far, those that an earlier process hashed among them."""

    def update(self, data: memoryview) -> None:
        """Take the next bytes."""
        self.size += len(data)
        self._sha256.update(data)
        if self._git_blob is not None:
            self._git_blob.update(data)

    def state(self) -> bytes | None:
        """Return what another process can go on from, None where it cannot at this point."""
        return saved_state(self._sha256)

    def verify(self) -> str:
        """Return the SHA-256 (hex) of all bytes; raises FetchError SizeMismatch or ChecksumMismatch."""
        expected, digest = self._expected, self._sha256.hexdigest()
        if expected.size is not None and self.size != expected.size:
            raise FetchError(Reason.SIZE_MISMATCH, f"expected {expected.size} bytes, got {self.size}")
        if expected.sha256 is not None and digest != expected.sha256:
            raise FetchError(Reason.CHECKSUM_MISMATCH, f"expected sha256 {expected.sha256}, got {digest}")
        if self._git_blob is not None and self._git_blob.hexdigest() != expected.git_blob:
            raise FetchError(
                Reason.CHECKSUM_MISMATCH, f"expected git blob {expected.git_blob}, got {self._git_blob.hexdigest()}"
            )
        return digest


def _git_hasher(expected: Expected) -> Hasher | None:
    if expected.git_blob is None:
        return None
    if expected.size is None:
        raise FetchError(Reason.SIZE_MISMATCH, "expected a size beside the git blob id, got none: its digest needs it")
    return git_blob(expected.size)
