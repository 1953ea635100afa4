"""Whether a blob still is what its name says: read again before it is relied on, set aside when it is not.

Comes in: a pinned blob that a fetch wants to use again. Goes out: a verdict; what is damaged is then set aside, so that
fresh bytes can take its name. Trees that link to the damaged file are rebuilt when their model is next published.
"""

import errno
import os
from collections.abc import Callable
from enum import Enum

from modelfetch.hashing import git_blob as git_hasher
from modelfetch.hashing import sha256
from modelfetch.store import layout
from modelfetch.store.blobs import Blob
from modelfetch.store.faults import Vanished, explained
from modelfetch.store.fs import Volume
from modelfetch.store.ingest import Ingest
from modelfetch.store.readable import ReadableVolume

CHUNK_BYTES = 4 * 1024 * 1024

TRUST_S = 86_400.0
"""Seconds for which a blob that was read or written whole, and not changed since, is not read again to be used."""

_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class Verdict(Enum):
    """What reading a blob again has shown."""

    INTACT = "intact"
    DAMAGED = "damaged"
    """Not what its name says; a block that cannot be read is damage, too."""
    OTHER = "other"
    """What its name says, but not what git's id stands for: the hint was wrong, the blob is not."""


def was_read_lately(volume: ReadableVolume, sha256: str, now_s: float) -> bool:
    """Tell whether a blob was compared with its digest less than `TRUST_S` ago, and nobody wrote to it since.

    The time of its sums says when. By the volume's clock, `now_s` too. Damage that leaves no trace in a file's time
    is what a scrub is for: it harms the models that use the blob already just as much.
    """
    blob, sums = volume.facts(layout.blob(sha256)), volume.facts(layout.sums(sha256))
    if blob is None or sums is None:
        return False
    return blob.modified_s < sums.modified_s and 0 <= now_s - sums.modified_s < TRUST_S


def note_read(volume: Volume, sha256: str) -> None:
    """Remember that a blob was just compared with its digest, where it has sums."""
    try:
        volume.touch(layout.sums(sha256))
    except Vanished:
        return


def read_again(volume: Volume, blob: Blob, git_blob: str | None, check: Callable[[], None]) -> Verdict:
    """Return whether what lies under the blob's name has its digest and, where it is given, git's id.

    `check` is called for each few MiB and may raise to stop. Raises Vanished when the blob is gone, else FetchError as
    the volume answers.
    """
    path = layout.blob(blob.sha256)
    with explained("blob.recheck", path, volume.room), volume.folder(path[:-1]) as folder:
        fd = os.open(path[-1], _READ_FLAGS, dir_fd=folder)
        with os.fdopen(fd, "rb", buffering=0) as file:
            try:
                return _compare(file.fileno(), blob, git_blob, check)
            except OSError as error:
                if error.errno == errno.EIO:
                    return Verdict.DAMAGED
                raise


def _compare(fd: int, blob: Blob, git_blob: str | None, check: Callable[[], None]) -> Verdict:
    content = sha256()
    named = None if git_blob is None else git_hasher(blob.size)
    while data := os.read(fd, CHUNK_BYTES):
        content.update(data)
        if named is not None:
            named.update(data)
        check()
    if content.hexdigest() != blob.sha256:
        return Verdict.DAMAGED
    return Verdict.OTHER if named is not None and named.hexdigest() != git_blob else Verdict.INTACT


def set_aside(ingest: Ingest, blob: Blob) -> None:
    """Take the damaged file's digest name away; it ends with this attempt's folder. Gone already is fine."""
    try:
        ingest.volume.rename(layout.blob(blob.sha256), ingest.staged("damaged"), step="blob.damaged")
    except Vanished:
        return  # another attempt has noticed, too
    ingest.volume.remove(ingest.pin_path(blob.sha256), step="pin.remove")
