"""Opening a store: made once, by whoever comes first, and never over something else."""

import json
import os
from pathlib import Path

import pytest

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store import layout
from modelfetch.store.fs import Filesystem
from modelfetch.store.store import Store
from tests.unit.store import samples


def refusal(root: Path, path: str = "") -> FetchError:
    with pytest.raises(FetchError) as refused:
        Store.open(str(root), Filesystem(), path)
    return refused.value


@pytest.mark.parametrize("path", ["", "shared", "shared/models", "/shared/"])
def test_an_empty_folder_becomes_a_store(root: Path, path: str) -> None:
    """Opened again, it has the id that it got the first time."""
    with Store.open(str(root), Filesystem(), path) as first, Store.open(str(root), Filesystem(), path) as second:
        written = json.loads((root / path.strip("/") / "store.json").read_bytes())

        assert first.id == second.id
        assert {"id": first.id, "layoutVersion": 1} == written


def test_a_fresh_file_system_becomes_a_store(root: Path) -> None:
    """The lost+found of a newly made ext4 is no foreign content."""
    (root / "lost+found").mkdir(parents=True)

    with Store.open(str(root), Filesystem()) as store:
        assert len(store.id) == 32


@pytest.mark.parametrize("name", ["data.db", "models", ".hidden"])
@pytest.mark.parametrize("below", ["x", "a/b/x"])
def test_a_foreign_folder_is_left_alone(root: Path, name: str, below: str) -> None:
    """A folder with anything else in it is refused, named, and nothing is written to it."""
    (root / name / below).parent.mkdir(parents=True)
    (root / name / below).write_bytes(b"")

    error = refusal(root)

    assert Reason.STORAGE_UNSUITABLE == error.reason
    assert f"'{name}'" in error.message
    assert [name] == os.listdir(root)


@pytest.mark.parametrize("paths", [("second", ""), ("", "second"), ("team/a", "team/b", ""), ("a", "a/b", "")])
def test_stores_may_share_a_claim_whichever_comes_first(root: Path, paths: tuple[str, ...]) -> None:
    """One may be the root of the claim: another one below it is no foreign content, and each has an id of its own."""
    ids = set()
    for path in paths:
        with Store.open(str(root), Filesystem(), path) as store:
            ids.add(store.id)

    assert len(paths) == len(ids)


def test_a_store_in_the_making_is_no_foreign_content(root: Path) -> None:
    """Its fetcher has made its folder, or claimed an id in it, and no more yet."""
    (root / "empty").mkdir(parents=True)
    (root / "claimed").mkdir()
    (root / "claimed" / layout.ID_CLAIM[0]).symlink_to("a" * 32)

    with Store.open(str(root), Filesystem()) as store:
        assert len(store.id) == 32


def test_a_file_beside_another_store_is_foreign(root: Path) -> None:
    """What is not a store's does not become ours by standing near one."""
    with Store.open(str(root), Filesystem(), "team/a"):
        (root / "team" / "notes.txt").write_bytes(b"")

    assert Reason.STORAGE_UNSUITABLE == refusal(root).reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"id":"' + "a" * 32 + '","layoutVersion":2}', Reason.VERSION_SKEW),
        ('{"layoutVersion":99,"all":"new"}', Reason.VERSION_SKEW),
        ('{"id":"../../x","layoutVersion":1}', Reason.STORE_CORRUPT),
        ('{"layoutVersion":1}', Reason.STORE_CORRUPT),
        ("[]", Reason.STORE_CORRUPT),
        ("", Reason.STORE_CORRUPT),
        ("\x00" * 60, Reason.STORE_CORRUPT),
    ],
)
def test_a_store_that_is_not_understood_is_left_alone(root: Path, text: str, reason: Reason) -> None:
    """A newer or broken store.json is refused, and nothing is written beside it."""
    root.mkdir()
    (root / "store.json").write_text(text)

    assert reason == refusal(root).reason
    assert ["store.json"] == os.listdir(root)


def test_a_planted_id_is_refused(root: Path) -> None:
    """The link that says the id of a store in the making is looked at before it is believed."""
    root.mkdir()
    (root / ".store-id").symlink_to("/etc")

    assert Reason.STORE_CORRUPT == refusal(root).reason


@pytest.mark.parametrize("path", ["../x", "a/../b", "a//b"])
def test_a_path_out_of_the_root_is_refused(root: Path, path: str) -> None:
    """The folder of a store is below the root."""

    assert Reason.PATH_REJECTED == refusal(root, path).reason


@pytest.mark.parametrize("name", ["ingest", "blobs", "blobs/sha256", "models", "manifests", "trash"])
def test_a_planted_folder_is_refused(root: Path, tmp_path: Path, name: str) -> None:
    """Where a folder of the store was replaced by a link, nothing is written through it."""
    Store.open(str(root), Filesystem()).close()
    outside = tmp_path / "outside"
    (root / name).rename(tmp_path / "away")
    outside.mkdir()
    (root / name).symlink_to(outside)

    assert Reason.STORE_CORRUPT == refusal(root).reason
    assert [] == os.listdir(outside)


def steps_of_opening(root: Path) -> list[str]:
    told: list[str] = []
    Store.open(str(root), Filesystem(told.append)).close()
    return told


def test_the_folders_of_a_known_store_are_not_synced_again(root: Path) -> None:
    """Whoever wrote store.json had made its folders durable first; its own name may not be so yet."""
    first, second = steps_of_opening(root), steps_of_opening(root)

    assert "after store.folder.sync" in first[: first.index("before store.create")]
    assert "after store.folder.sync" not in first[first.index("before store.create") :]
    assert ["before store.known.sync", "after store.known.sync"] == [step for step in second if "store" in step]


@pytest.mark.parametrize("name", ["ingest", "blobs/sha256", "models", "manifests/sha256", "trash"])
def test_a_folder_that_somebody_took_away_is_made_again(root: Path, name: str) -> None:
    """It is made durable before anything is put into it."""
    steps_of_opening(root)
    (root / name).rmdir()

    assert "after store.folder.sync" in steps_of_opening(root)
    assert (root / name).is_dir()


def test_free_room(store: Store) -> None:
    """Room is what the volume says: bytes, and files where it counts them."""
    said = os.statvfs("/")

    assert 0 < store.free_bytes() <= max(said.f_blocks * said.f_frsize, 2**63)
    assert store.free_inodes() is None or store.free_inodes() >= 0  # type: ignore[operator]


def test_closing_twice(root: Path) -> None:
    """A second close does nothing, so that it cannot close another file that got the number."""
    store = Store.open(str(root), Filesystem())
    store.close()
    before = os.open("/dev/null", os.O_RDONLY)
    store.close()

    os.fstat(before)
    os.close(before)


def test_no_file_stays_open(root: Path, links: str) -> None:
    """A whole run gives back every descriptor that it took."""
    before = len(os.listdir("/proc/self/fd"))
    with Store.open(str(root), samples.filesystem(links)) as store:
        samples.publish(store, samples.LLAMA)

    assert before == len(os.listdir("/proc/self/fd"))
