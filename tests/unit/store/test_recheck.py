"""A blob that is used again is read again: damage is found and gets out of the way."""

from pathlib import Path

import pytest

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store.blobs import Blob
from modelfetch.store.faults import Vanished
from modelfetch.store.recheck import Verdict, read_again, set_aside
from modelfetch.store.store import Store
from tests.unit.store import samples

DATA = b"weights" * 100
BLOB = Blob(samples.sha256(DATA), len(DATA))


def path_of(root: Path) -> Path:
    return root / "blobs" / "sha256" / BLOB.sha256[:2] / BLOB.sha256


def damage(root: Path) -> None:
    path = path_of(root)
    path.chmod(0o644)
    path.write_bytes(b"rotten!" * 100)
    path.chmod(0o444)


def go_on() -> None:
    """Nobody wants to stop."""


def test_content_is_compared_with_its_name(store: Store, root: Path) -> None:
    """Sound content is intact, other content of the same size is not."""
    with store.ingest("a") as ingest:
        samples.write(store, ingest, DATA)
        before = read_again(store.volume, BLOB, None, go_on)
        damage(root)

    assert (Verdict.INTACT, Verdict.DAMAGED) == (before, read_again(store.volume, BLOB, None, go_on))


@pytest.mark.parametrize(
    ("git_blob", "verdict"), [(samples.git_blob(DATA), Verdict.INTACT), (samples.git_blob(b"x"), Verdict.OTHER)]
)
def test_content_is_compared_with_git_s_id(store: Store, git_blob: str, verdict: Verdict) -> None:
    """Sound content that git's id does not name is told apart from damage."""
    with store.ingest("a") as ingest:
        samples.write(store, ingest, DATA)

    assert verdict is read_again(store.volume, BLOB, git_blob, go_on)


def test_damage_set_aside_is_replaced_by_a_commit(store: Store, root: Path) -> None:
    """The digest name is free for fresh bytes, and the damaged file is gone with the attempt."""
    with store.ingest("a") as ingest:
        samples.write(store, ingest, DATA, "1")
        damage(root)
        store.blobs.pin(ingest, BLOB.sha256, BLOB.size)
        set_aside(ingest, BLOB)
        samples.write(store, ingest, DATA, "2")
    replaced = read_again(store.volume, BLOB, None, go_on)

    assert (Verdict.INTACT, DATA) == (replaced, path_of(root).read_bytes())
    assert [] == samples.violations(root)


def test_what_is_gone_is_gone(store: Store) -> None:
    """A blob that another program removed meanwhile is Vanished to look at, and nothing to set aside."""
    with pytest.raises(Vanished):
        read_again(store.volume, BLOB, None, go_on)
    with store.ingest("a") as ingest:
        assert set_aside(ingest, BLOB) is None  # type: ignore[func-returns-value]


def test_reading_can_be_stopped(store: Store) -> None:
    """Whoever stops the attempt does not wait for the end of a large file."""

    def stop() -> None:
        raise FetchError(Reason.CANCELLED, "stopped")

    with store.ingest("a") as ingest:
        samples.write(store, ingest, DATA)
        with pytest.raises(FetchError, match="Cancelled"):
            read_again(store.volume, BLOB, None, stop)
