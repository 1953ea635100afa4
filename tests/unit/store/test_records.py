"""Manifests and owners' records on the volume."""

from pathlib import Path

import pytest

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store import records
from modelfetch.store.store import Store
from tests.unit.store import samples

MANIFEST = samples.manifest(samples.LLAMA)


def path_of(root: Path) -> Path:
    return root / "manifests" / "sha256" / f"{MANIFEST.digest.removeprefix('sha256:')}.json"


def test_a_manifest_reads_back(store: Store) -> None:
    """Written twice, it is there once, under its digest."""
    with store.ingest("a") as ingest:
        records.write_manifest(ingest, MANIFEST)
        records.write_manifest(ingest, MANIFEST)

    assert {MANIFEST.digest} == records.manifest_digests(store.volume)
    assert MANIFEST == records.read_manifest(store.volume, MANIFEST.digest)


def test_a_broken_manifest_is_replaced(store: Store, root: Path) -> None:
    """Reading a damaged manifest says so; publishing it again repairs it."""
    with store.ingest("a") as ingest:
        records.write_manifest(ingest, MANIFEST)
        path_of(root).chmod(0o600)
        path_of(root).write_bytes(b"{}")
        with pytest.raises(FetchError) as refused:
            records.read_manifest(store.volume, MANIFEST.digest)
        records.write_manifest(ingest, MANIFEST)

    assert Reason.STORE_CORRUPT == refused.value.reason
    assert MANIFEST.text == path_of(root).read_bytes()


def test_other_names_among_the_manifests(store: Store, root: Path) -> None:
    """A name that is no digest is no manifest."""
    (root / "manifests" / "sha256" / "README.json").write_bytes(b"{}")

    assert frozenset() == records.manifest_digests(store.volume)
    assert records.read_manifest(store.volume, MANIFEST.digest) is None


def test_an_owner_s_record_is_replaced(store: Store) -> None:
    """The last one written counts."""
    store.volume.make_folders(("models", "ml", "llama"), step="s")
    with store.ingest("a") as ingest:
        records.write_owner(ingest, samples.owner())
        records.write_owner(ingest, samples.owner(uid="uid-2"))

    assert samples.owner(uid="uid-2") == records.read_owner(store.volume, "ml", "llama")
    assert records.read_owner(store.volume, "ml", "other") is None
