"""A blob that is used again is read again: damage is found and gets out of the way."""

import os
from pathlib import Path

import pytest

from modelfetch.errors import FetchError
from modelfetch.hashing import blake3_digest
from modelfetch.reasons import Reason
from modelfetch.store import layout
from modelfetch.store.blobs import Blob
from modelfetch.store.faults import Vanished
from modelfetch.store.recheck import TRUST_S, Verdict, note_read, read_again, set_aside, was_read_lately
from modelfetch.store.store import Store
from modelfetch.store.sums import write_sums
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


def blob_and_sums(store: Store, root: Path, *, sums_age_s: float = 0.0, blob_age_s: float = 10.0) -> float:
    """Publish a blob with sums, set how long ago each was last changed, and return the volume's time."""
    samples.publish(store, {"weights.bin": DATA})
    with store.ingest("sums") as ingest:
        write_sums(ingest, BLOB.sha256, BLOB.size, [blake3_digest(DATA)])
    now_s = store.volume.clock_s(layout.INGEST)
    for path, age_s in ((layout.blob(BLOB.sha256), blob_age_s), (layout.sums(BLOB.sha256), sums_age_s)):
        os.utime(root.joinpath(*path), (now_s - age_s, now_s - age_s))
    return now_s


@pytest.mark.parametrize(
    ("sums_age_s", "blob_age_s", "trusted"),
    [
        (0.0, 10.0, True),
        (TRUST_S - 1, TRUST_S, True),
        (TRUST_S, TRUST_S + 1, False),
        (5.0, 5.0, False),
        (5.0, 1.0, False),
        (-3600.0, 10.0, False),
    ],
    ids=["just now", "nearly a day", "a day", "changed in the same moment", "changed since", "in the future"],
)
def test_what_was_read_lately_and_not_changed_is_not_read_again(
    store: Store, root: Path, sums_age_s: float, blob_age_s: float, trusted: bool
) -> None:
    """A day, by the volume's clock, and only while the blob is older than the moment at which it was compared."""
    now_s = blob_and_sums(store, root, sums_age_s=sums_age_s, blob_age_s=blob_age_s)

    assert trusted == was_read_lately(store.volume, BLOB.sha256, now_s)


def test_without_sums_a_blob_is_always_read(store: Store) -> None:
    """Nothing says when a blob without sums was compared."""
    samples.publish(store, {"weights.bin": DATA})
    note_read(store.volume, BLOB.sha256)

    assert not was_read_lately(store.volume, BLOB.sha256, store.volume.clock_s(layout.INGEST))


def test_a_blob_that_was_read_counts_from_now_on(store: Store, root: Path) -> None:
    """Comparing a blob with its digest starts its day again."""
    now_s = blob_and_sums(store, root, sums_age_s=2 * TRUST_S, blob_age_s=3 * TRUST_S)
    before = was_read_lately(store.volume, BLOB.sha256, now_s)
    note_read(store.volume, BLOB.sha256)

    assert (False, True) == (before, was_read_lately(store.volume, BLOB.sha256, now_s + 1))
