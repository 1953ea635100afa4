"""Whether what arrived is what was expected: size, SHA-256, git's blob id, computed while the bytes pass by."""

from dataclasses import dataclass
from typing import Literal

from modelfetch.errors import FetchError
from modelfetch.hashing import Hasher, git_blob, sha256
from modelfetch.reasons import Reason

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
    """Digests of one file's bytes, fed in order."""

    def __init__(self, expected: Expected) -> None:
        self._expected = expected
        self._sha256 = sha256()
        self._git_blob = _git_hasher(expected)
        self.size = 0
        """Bytes taken so far."""

    def update(self, data: memoryview) -> None:
        """Take the next bytes."""
        self.size += len(data)
        self._sha256.update(data)
        if self._git_blob is not None:
            self._git_blob.update(data)

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
