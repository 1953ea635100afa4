"""What a store says of its room is what lies there."""

from pathlib import Path

import pytest

from modelfetch.store.contents import gather
from modelfetch.store.store import Store
from modelfetch.store.usage import ModelUsage, measure, revisions
from tests.unit.store import samples
from tests.unit.store.samples import LLAMA, LLAMA_2, PHI, SHARED


@pytest.fixture
def filled(store: Store) -> Store:
    samples.publish(store, LLAMA)
    samples.publish(store, LLAMA_2, commit="d" * 40)
    samples.publish(store, PHI, samples.owner("phi", deletion_policy="Retain"))
    return store


def test_every_revision_is_listed(filled: Store, root: Path) -> None:
    """Each tree has a row with what its manifest and its owner's record say; the newest of a model is current."""
    rows = revisions(gather(filled.volume))
    manifest = samples.manifest(PHI)

    assert [("llama", False), ("llama", True), ("phi", True)] == [(row.name, row.is_current) for row in rows]
    assert (manifest.revision_name, manifest.digest, "hf://ml/x", 2, len(SHARED) + 2, "uid-1", "Retain") == (
        rows[2].revision,
        rows[2].digest,
        rows[2].source,
        rows[2].files,
        rows[2].size,
        rows[2].owner,
        rows[2].deletion_policy,
    )
    assert (root / "models/ml/phi" / rows[2].revision).stat().st_mtime == rows[2].published_s


def test_what_cannot_be_read_is_left_out(filled: Store, root: Path) -> None:
    """A revision without a readable manifest or record is still listed, with nothing about it."""
    for path in [*root.glob("manifests/sha256/*"), *root.glob("models/*/*/owner.json")]:
        path.unlink()
    rows = revisions(gather(filled.volume))

    assert 3 == len(rows)
    assert {(None, None, None, None)} == {(row.digest, row.files, row.size, row.owner) for row in rows}


def test_shared_content_is_counted_once(filled: Store) -> None:
    """Apparent sizes add up all files; unique and shared say what each model really takes."""
    usage = measure(filled.volume, gather(filled.volume))
    llama = sum(map(len, [*LLAMA.values(), *LLAMA_2.values()]))
    own = len(LLAMA["config.json"]) + len(LLAMA_2["config.json"])

    assert (
        ModelUsage("ml", "llama", 2, llama, own, len(SHARED)),
        ModelUsage("ml", "phi", 1, len(SHARED) + 2, 2, len(SHARED)),
    ) == usage.models
    assert (5, len(SHARED) + own + 2) == (usage.blobs, usage.blob_bytes)
    assert (0, 0, 0, 0) == (usage.unreferenced, usage.unreferenced_bytes, usage.ingest_bytes, usage.trash_bytes)


def test_what_is_not_published_is_told_apart(filled: Store, root: Path) -> None:
    """Blobs that no manifest lists, private files and trash are counted, pins on blobs are not."""
    with filled.ingest("attempt-2") as ingest:
        samples.write(filled, ingest, b"unlisted")
        ingest.create("partial").write_at(0, memoryview(b"12345"))
        journal = sum(path.stat().st_size for path in root.glob("ingest/*/journal"))
        (root / "trash" / "folder").mkdir()
        (root / "trash" / "folder" / "file").write_bytes(b"123")
        usage = measure(filled.volume, gather(filled.volume))

    assert (1, 8, 5 + journal, 3) == (
        usage.unreferenced,
        usage.unreferenced_bytes,
        usage.ingest_bytes,
        usage.trash_bytes,
    )
    assert usage.free_bytes > 0
