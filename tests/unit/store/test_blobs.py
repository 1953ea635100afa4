"""Content under its digest: committed by one writer, never changed, kept while somebody needs it."""

import os
from pathlib import Path

import pytest

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store.blobs import Blob
from modelfetch.store.fs import Filesystem
from modelfetch.store.manifest import ManifestFile
from modelfetch.store.store import Store
from tests.unit.store import samples

DATA = b"weights" * 100
DIGEST = samples.sha256(DATA)
FILE = ManifestFile(path="a.bin", size=len(DATA), sha256=DIGEST, verified_by="source")


def path_of(root: Path) -> Path:
    return root / "blobs" / "sha256" / DIGEST[:2] / DIGEST


def plant(root: Path, data: bytes, mode: int = 0o444) -> None:
    """Put other content under the digest name, as a broken disk or a person could."""
    path = path_of(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    path.chmod(mode)


def test_a_commit(store: Store, root: Path) -> None:
    """The content lies under its digest, read-only for everybody, and can be found by digest and size."""
    with store.ingest("a") as ingest:
        samples.write(store, ingest, DATA)

    assert DATA == path_of(root).read_bytes()
    assert [] == samples.violations(root)
    assert Blob(DIGEST, len(DATA)) == store.blobs.find(DIGEST, len(DATA))
    assert store.blobs.find(DIGEST, len(DATA) - 1) is None
    assert store.blobs.find("0" * 64, 0) is None


def test_the_same_content_twice(store: Store, root: Path) -> None:
    """The first file stays, and what is committed later is the same file."""
    with store.ingest("a") as ingest:
        samples.write(store, ingest, DATA, "1")
        first = path_of(root).stat().st_ino
        samples.write(store, ingest, DATA, "2")

    assert first == path_of(root).stat().st_ino


@pytest.mark.parametrize("size", [0, len(DATA) - 1, len(DATA) + 1])
def test_another_size_is_refused(store: Store, root: Path, size: int) -> None:
    """A file that has not the listed size gets no digest name and is discarded."""
    with store.ingest("a") as ingest:
        partial = ingest.create("1")
        partial.write_at(0, memoryview(DATA))
        with pytest.raises(FetchError) as refused:
            store.blobs.commit(ingest, partial, DIGEST, size)

        assert [] == list(root.glob("ingest/*/file-*"))
    assert Reason.SIZE_MISMATCH == refused.value.reason
    assert f"expected {size} bytes, got {len(DATA)}" in refused.value.message
    assert {} == samples.blob_files(root)


def test_a_digest_that_is_none(store: Store, root: Path) -> None:
    """A hostile digest never becomes a path."""
    with store.ingest("a") as ingest:
        partial = ingest.create("1")
        with pytest.raises(FetchError) as refused:
            store.blobs.commit(ingest, partial, "../../../../etc/x", 0)

    assert Reason.PATH_REJECTED == refused.value.reason
    assert {} == samples.blob_files(root)


def test_no_published_file_is_open(root: Path, links: str) -> None:
    """When a digest name appears, nobody has that file open any more: no late write can change it."""
    seen: list[list[str]] = []

    def hook(step: str) -> None:
        if step in ("before blob.link", "before blob.rename"):
            open_now = (os.readlink(path) for path in Path("/proc/self/fd").iterdir() if path.is_symlink())
            seen.append([target for target in open_now if "/file-" in target or "/pin-" in target])

    with Store.open(str(root), samples.filesystem(links, hook)) as store, store.ingest("a") as ingest:
        samples.write(store, ingest, DATA)

    assert [[]] == seen


@pytest.mark.parametrize(("data", "mode"), [(DATA[:-1], 0o444), (b"", 0o444), (DATA, 0o644), (DATA, 0o466)])
def test_a_broken_blob_is_replaced(store: Store, root: Path, data: bytes, mode: int) -> None:
    """A blob of another size, or one that somebody could write to, counts as absent; the next commit replaces it."""
    plant(root, data, mode)
    found = store.blobs.find(DIGEST, len(DATA))
    with store.ingest("a") as ingest:
        pinned = store.blobs.pin(ingest, DIGEST, len(DATA))
        samples.write(store, ingest, DATA)

    assert (None, None) == (found, pinned)
    assert [] == samples.violations(root)
    assert DATA == path_of(root).read_bytes()


@pytest.mark.parametrize("what", ["link", "folder", "fifo"])
def test_a_planted_blob_is_refused(store: Store, root: Path, tmp_path: Path, what: str) -> None:
    """Something else than a file under a digest name is never followed, used or replaced."""
    outside = tmp_path / "outside"
    outside.write_bytes(DATA)
    outside.chmod(0o444)
    path_of(root).parent.mkdir(parents=True)
    {"link": lambda p: p.symlink_to(outside), "folder": Path.mkdir, "fifo": os.mkfifo}[what](path_of(root))

    with pytest.raises(FetchError) as looked:
        store.blobs.find(DIGEST, len(DATA))
    with pytest.raises(FetchError) as committed, store.ingest("a") as ingest:
        samples.write(store, ingest, DATA)

    assert {Reason.STORE_CORRUPT} == {looked.value.reason, committed.value.reason}
    assert DATA == outside.read_bytes()


def test_a_swapped_private_file_is_refused(root: Path, links: str) -> None:
    """What another program puts in place of the file just written is not committed."""

    def hook(step: str) -> None:
        if step == "before file.finish.sync":
            [private] = root.glob("ingest/*/file-*")
            private.unlink()
            private.write_bytes(b"y" * len(DATA))

    with (
        Store.open(str(root), samples.filesystem(links, hook)) as store,
        pytest.raises(FetchError) as refused,
        store.ingest("a") as ingest,
    ):
        samples.write(store, ingest, DATA)

    assert Reason.STORE_CORRUPT == refused.value.reason
    assert {} == samples.blob_files(root)


def test_an_fsync_error_discards_the_file(root: Path, links: str) -> None:
    """After a failed fsync nothing is committed, and the next writer starts from nothing."""
    failures = iter([OSError(5, "Input/output error")])

    def hook(step: str) -> None:
        if step == "before file.finish.sync" and (error := next(failures, None)):
            raise error

    with Store.open(str(root), samples.filesystem(links, hook)) as store, store.ingest("a") as ingest:
        with pytest.raises(FetchError) as refused:
            samples.write(store, ingest, DATA)
        left = list(root.glob("ingest/*/file-*"))
        samples.write(store, ingest, DATA)

    assert Reason.STORAGE_IO_ERROR == refused.value.reason
    assert [] == left
    assert DATA == path_of(root).read_bytes()


def test_a_pin_outlives_the_blob(hard_store: Store, root: Path) -> None:
    """A blob that was removed while an attempt needs it gets its name back, and it is the same file."""
    samples.publish(hard_store, {"a.bin": DATA})
    before = path_of(root).stat().st_ino
    with hard_store.ingest("a") as ingest:
        hard_store.blobs.pin(ingest, DIGEST, len(DATA))
        path_of(root).unlink()
        hard_store.blobs.ensure(ingest, FILE)

    assert before == path_of(root).stat().st_ino


def test_what_was_never_committed_is_not_ensured(store: Store) -> None:
    """A manifest cannot name content that is not here."""
    with store.ingest("a") as ingest, pytest.raises(FetchError) as refused:
        store.blobs.ensure(ingest, FILE)

    assert Reason.STORAGE_IO_ERROR == refused.value.reason
    assert "a.bin" == refused.value.file


def test_a_small_file_is_found_by_git_s_id(store: Store, root: Path) -> None:
    """What was committed and remembered is found with its SHA-256 though no manifest names it, until it is gone."""
    data = samples.LLAMA["config.json"]
    with store.ingest("a") as ingest:
        samples.write(store, ingest, data)
    with Store.open(str(root), Filesystem()) as later:
        found = later.blobs.find_git_blob(samples.git_blob(data))
        samples.blob_files(root)[samples.sha256(data)].unlink()

        assert Blob(samples.sha256(data), len(data)) == found
        assert later.blobs.find_git_blob(samples.git_blob(data)) is None
        assert later.blobs.find_git_blob("0" * 40) is None


def test_remembering_syncs_nothing(root: Path) -> None:
    """A hint costs no fsync, nor does its folder, which is made once."""
    steps: list[str] = []
    with Store.open(str(root), Filesystem(steps.append)) as store, store.ingest("a") as ingest:
        for number in range(3):
            store.blobs.remember_git_blob(ingest, f"ab{number:038}", Blob(samples.sha256(b""), 0))

    assert 3 == steps.count("before alias.rename")
    assert 2 == steps.count("before alias.folder")
    assert [] == [step for step in steps if "alias" in step and "sync" in step]


def test_a_commit_syncs_no_folder_that_every_store_has(root: Path) -> None:
    """They are durable since the store was opened; what is new is one folder of blobs, durable in its own."""
    steps: list[str] = []
    with Store.open(str(root), Filesystem(steps.append)) as store, store.ingest("a") as ingest:
        for data in (b"a", b"b"):
            samples.write(store, ingest, data, data.decode())

    assert 2 == steps.count("before blob.folder")
    assert 2 == steps.count("before blob.folder.sync")
