"""Whether a blob still is what its name says: read again before it is relied on, set aside when it is not.

Comes in: a pinned blob that a fetch wants to use again. Goes out: True, or False with the blob out of the way, so that
fresh bytes can take its name. Trees that link to the damaged file are rebuilt when their model is next published.
"""

import errno
import os
from collections.abc import Callable

from modelfetch.hashing import sha256
from modelfetch.store import layout
from modelfetch.store.blobs import Blob
from modelfetch.store.faults import Vanished, explained
from modelfetch.store.fs import Volume
from modelfetch.store.ingest import Ingest

CHUNK_BYTES = 4 * 1024 * 1024

_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def is_intact(volume: Volume, blob: Blob, check: Callable[[], None]) -> bool:
    """Return whether what lies under the blob's name has its digest; a block that cannot be read is damage, too.

    `check` is called for each few MiB and may raise to stop. Raises Vanished when the blob is gone, else FetchError as
    the volume answers.
    """
    path = layout.blob(blob.sha256)
    with explained("blob.recheck", path, volume.room), volume.folder(path[:-1]) as folder:
        fd = os.open(path[-1], _READ_FLAGS, dir_fd=folder)
        with os.fdopen(fd, "rb", buffering=0) as file:
            try:
                return _digest(file.fileno(), check) == blob.sha256
            except OSError as error:
                if error.errno == errno.EIO:
                    return False
                raise


def _digest(fd: int, check: Callable[[], None]) -> str:
    hasher = sha256()
    while data := os.read(fd, CHUNK_BYTES):
        hasher.update(data)
        check()
    return hasher.hexdigest()


def set_aside(ingest: Ingest, blob: Blob) -> None:
    """Take the damaged file's digest name away; it ends with this attempt's folder. Gone already is fine."""
    try:
        ingest.volume.rename(layout.blob(blob.sha256), ingest.staged("damaged"), step="blob.damaged")
    except Vanished:
        return  # another attempt has noticed, too
    ingest.volume.remove(ingest.pin_path(blob.sha256), step="pin.remove")
