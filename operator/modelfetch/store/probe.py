"""What a volume can do, found out by doing it once in a private folder, before anything is downloaded.

Comes in: a volume. Goes out: `Capabilities`, or FetchError(StorageUnsuitable) that names what is missing. Needed are
fsync of files and folders, rename over an existing file, rename of folders, and symbolic links, all folders of the
store on one volume; hard links are used where there are any.
"""

import secrets
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store import layout
from modelfetch.store.faults import Vanished
from modelfetch.store.fs import PRIVATE_FOLDER, Volume
from modelfetch.store.layout import Steps


class Links(StrEnum):
    """What the names in a tree and the pins are."""

    HARD = "hard"
    SYMBOLIC = "symbolic"


@dataclass(frozen=True)
class Capabilities:
    """How a volume behaves. `keeps_modes` is False where every file has the same permissions."""

    links: Links
    keeps_modes: bool


def probe(volume: Volume) -> Capabilities:
    """Return what the volume can do; raises FetchError(StorageUnsuitable) if that is too little."""
    _require_one_volume(volume)
    folder = layout.ingest("probe", secrets.token_hex(4))
    volume.make_folder(folder, PRIVATE_FOLDER, step="probe.folder")
    try:
        return _try_all(volume, folder)
    finally:
        _remove(volume, folder)


def _require_one_volume(volume: Volume) -> None:
    """Return when a file can be renamed from each folder to each other; raises FetchError(StorageUnsuitable)."""
    found = {folder: volume.facts(folder) for folder in layout.FOLDERS}
    devices = {folder: facts.inode[0] for folder, facts in found.items() if facts is not None}
    for folder, device in devices.items():
        if device != devices.get(layout.INGEST, device):
            raise _unsuitable(f"all of the store on it, '{'/'.join(folder)}' included")


def _try_all(volume: Volume, folder: Steps) -> Capabilities:
    first, second = (*folder, "first"), (*folder, "second")
    volume.put(b"first", (*folder, "private"), first, step="probe.file")
    found = volume.facts(first)
    links = Links.HARD if _has_hard_links(volume, first, second) else Links.SYMBOLIC
    if not volume.symlink("first", (*folder, "link"), step="probe.symlink"):
        raise _unsuitable("symbolic links")
    if volume.link_text((*folder, "link")) != "first":
        raise _unsuitable("symbolic links that keep their text")
    volume.make_folder((*folder, "tree"), step="probe.folder")
    volume.rename((*folder, "tree"), (*folder, "moved"), step="probe.move")
    _replace(volume, (*folder, "private"), first)
    return Capabilities(links, keeps_modes=found is not None and not found.is_writable)


def _replace(volume: Volume, private: Steps, target: Steps) -> None:
    # Not by `put`: that syncing works is known by now, and each sync may take a disk tens of milliseconds.
    with closing(volume.create(private, step="probe.replace.create")) as file:
        file.write_at(0, memoryview(b"second"), step="probe.replace.write")
    volume.rename(private, target, step="probe.replace.rename")
    if volume.read(target, 16) != b"second":
        raise _unsuitable("a rename that replaces an existing file")


def _has_hard_links(volume: Volume, first: Steps, second: Steps) -> bool:
    try:
        volume.link(first, second, step="probe.link")
    except Vanished:
        raise
    except FetchError as error:
        if error.reason is not Reason.STORAGE_UNSUITABLE:
            raise
        return False
    one, other = volume.facts(first), volume.facts(second)
    # Some network file systems copy, or give each name its own inode number: such links prove nothing later.
    return one is not None and other is not None and one.inode == other.inode


def _unsuitable(what: str) -> FetchError:
    return FetchError(Reason.STORAGE_UNSUITABLE, f"expected a volume with {what}, got one without")


def _remove(volume: Volume, folder: Steps) -> None:
    try:
        volume.remove_tree(folder, step="probe.remove")
    except FetchError:
        return  # a later sweep removes it
