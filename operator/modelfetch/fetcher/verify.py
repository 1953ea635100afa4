"""What the bytes of a file are compared with, and what is recorded of it.

Comes in: planned files and what the engine moved or the store had. Goes out: the engine's expectations, and the entries
of the manifest. The engine compares while the bytes pass by; a file that was in the store is read again before it is
used (store/recheck.py), so that damage on the volume is found and repaired by a new download.
"""

from collections.abc import Iterable

from modelfetch.fetcher.plan import PlannedFile
from modelfetch.store.blobs import Blob
from modelfetch.store.manifest import ManifestFile
from modelfetch.transfer.verifier import Expected


def expected(file: PlannedFile) -> Expected:
    """Return what the engine compares the file's bytes with."""
    return Expected(size=file.size, sha256=file.sha256, git_blob=file.git_blob)


def content_key(file: PlannedFile) -> str:
    """Return a key that is equal for files of one listing whose content is the same for certain."""
    return file.sha256 or file.git_blob or f"path:{file.path}"


def recorded(file: PlannedFile, blob: Blob) -> ManifestFile:
    """Return the manifest's entry for a file whose verified content is `blob`."""
    return ManifestFile(
        path=file.path, size=blob.size, sha256=blob.sha256, git_blob=file.git_blob, verified_by=file.verified_by
    )


def self_asserted(files: Iterable[ManifestFile]) -> int:
    """Return how many files nothing but the transfer itself vouches for."""
    return sum(file.verified_by == "none" for file in files)
