"""What a look at a store may change: sums that are missing or wrong, and damaged blobs, which are set aside if asked.

Comes in: verdicts of scrub.py. Goes out: a changed store, or the same one where the volume takes no writes. What is set
aside waits in trash/ until the next removal; the next fetch of a model that has it brings the content again.
"""

import secrets
from typing import Self

from modelfetch.errors import FetchError
from modelfetch.store import layout
from modelfetch.store.faults import Vanished
from modelfetch.store.fs import PRIVATE_FOLDER, Volume
from modelfetch.store.layout import Steps
from modelfetch.store.scrub import Verdict
from modelfetch.store.sums import Sums, put_sums
from modelfetch.transfer.segments import SEGMENT_BYTES

FOLDER_PREFIX = "verify-"
"""How the private folders of looks begin, in ingest/."""


class Mender:
    """Changes a store as verdicts ask for it; a context manager."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self._folder: Steps | None = None
        self._is_refused = False
        self.sums_written = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._folder is not None:
            try:
                self._volume.remove_tree(self._folder, step="verify.remove")
            except FetchError:
                return  # a later sweep removes it

    def keep_sums(self, verdict: Verdict) -> None:
        """Write the sums that a blob lacks; after a first refusal of the volume nothing more is tried."""
        if verdict.sums is None or self._is_refused:
            return
        target = verdict.target
        try:
            private = layout.staged(self._private_folder(), f"sums.{secrets.token_hex(4)}")
            put_sums(self._volume, private, target.sha256, Sums(SEGMENT_BYTES, target.size, verdict.sums))
        except FetchError:
            self._is_refused = True  # a read-only or full volume: sums are a hint, the next look reads in full again
        else:
            self.sums_written += 1

    def _private_folder(self) -> Steps:
        if self._folder is None:
            folder = layout.ingest(FOLDER_PREFIX + secrets.token_hex(8), secrets.token_hex(4))
            self._volume.make_folder(folder, PRIVATE_FOLDER, step="verify.folder")
            self._folder = folder
        return self._folder

    def distrust(self, verdict: Verdict) -> None:
        """Take the sums of a damaged blob away: fetches pass over reading a blob whose sums are young."""
        try:
            self._volume.remove(layout.sums(verdict.target.sha256), step="damage.sums")
        except FetchError:
            return  # there are none, or the volume takes no changes: then no fetch can use it either

    def set_aside(self, verdict: Verdict) -> bool:
        """Take the damaged file's name away, durable; False if something else has that name by now."""
        sha256 = verdict.target.sha256
        path, volume = layout.blob(sha256), self._volume
        found = volume.facts(path)
        if found is None or found.inode != verdict.inode:
            return False
        try:
            volume.rename(path, layout.trashed_damage(sha256, secrets.token_hex(4)), step="damage.trash")
        except Vanished:
            return False  # another look has done it
        volume.sync_folder(layout.TRASH, step="damage.trash")
        volume.sync_folder(path[:-1], step="damage.trash")
        return True
