"""Looking at a store makes nothing and follows no link."""

import os
from pathlib import Path

import pytest

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store.fs import Filesystem
from modelfetch.store.store import Store, look


def test_entries_are_what_stands_in_a_folder(tmp_path: Path) -> None:
    """Files, folders and links come by name, links not followed; a missing folder is empty."""
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    with Filesystem().look(str(tmp_path)) as volume:
        found = volume.entries(())
        missing = volume.entries(("nothing",))

    assert {} == missing
    assert ["file", "folder", "link"] == list(found)
    assert (3, True, True) == (found["file"].size, found["folder"].is_folder, found["link"].is_link)


def test_entries_behind_a_link_are_refused(tmp_path: Path) -> None:
    """A folder that is a planted link is no folder."""
    (tmp_path / "link").symlink_to("/")
    with Filesystem().look(str(tmp_path)) as volume, pytest.raises(FetchError) as refused:
        volume.entries(("link",))

    assert Reason.STORE_CORRUPT == refused.value.reason


def test_a_look_changes_nothing(store: Store, root: Path) -> None:
    """The store is opened without a probe and without a trace."""
    before = {path: os.lstat(path).st_mtime_ns for path in [root, *root.rglob("*")]}
    with look(str(root), Filesystem()) as volume:
        names = volume.names(())

    assert "store.json" in names
    assert before == {path: os.lstat(path).st_mtime_ns for path in [root, *root.rglob("*")]}


def test_what_is_no_store_stays_none(tmp_path: Path) -> None:
    """An empty folder does not become a store by being looked at."""
    with pytest.raises(FetchError) as refused:
        look(str(tmp_path), Filesystem())

    assert (Reason.STORAGE_UNSUITABLE, []) == (refused.value.reason, list(tmp_path.iterdir()))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", Reason.STORE_CORRUPT),
        (b'{"id": "1", "layoutVersion": 1}', Reason.STORE_CORRUPT),
        (b'{"id": "' + b"a" * 32 + b'", "layoutVersion": 2}', Reason.VERSION_SKEW),
    ],
)
def test_a_store_that_cannot_be_read(tmp_path: Path, content: bytes, reason: Reason) -> None:
    """A torn store.json, or one of a newer layout, is refused with its reason."""
    (tmp_path / "store.json").write_bytes(content)
    with pytest.raises(FetchError) as refused:
        look(str(tmp_path), Filesystem())

    assert reason == refused.value.reason
