"""What the oracle of the random model believes."""

from pathlib import Path

from tests.crash.model_oracle import Oracle

NAME = "5" * 64


def test_a_damaged_blob_that_may_come_back_is_not_mended(tmp_path: Path) -> None:
    """A removal that was killed has it in trash/, from where the next one puts it back for whoever pinned its name."""
    for folder in ("blobs/sha256", "manifests/sha256", "models", "ingest", "trash"):
        (tmp_path / folder).mkdir(parents=True)
    trashed = tmp_path / "trash" / f"blob.{NAME}.80"
    trashed.write_bytes(b"damaged")
    before = Oracle(tmp_path).is_mended(NAME)
    trashed.unlink()

    assert (False, True) == (before, Oracle(tmp_path).is_mended(NAME))
