"""Which published models are there, whole, by the marks that somebody wrote down once."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from modelfetch.errors import FetchError
from modelfetch.store import layout
from modelfetch.store.manifest import owner_short
from modelfetch.store.presence import absent
from modelfetch.store.store import Store
from tests.unit.store import samples

LLAMA = f"{owner_short('uid-1')}:{layout.manifest_key(samples.manifest(samples.LLAMA).digest)}"
LLAMA_2 = f"{owner_short('uid-1')}:{layout.manifest_key(samples.manifest(samples.LLAMA_2).digest)}"
OTHERS = f"{owner_short('uid-2')}:{layout.manifest_key(samples.manifest(samples.LLAMA).digest)}"


@pytest.fixture(params=["hard", "soft"])
def store(tmp_path: Path, request: pytest.FixtureRequest):
    """A store with one published model, of hard links or of symlinks."""
    with Store.open(str(tmp_path), samples.filesystem(request.param)) as made:
        samples.publish(made, samples.LLAMA)
        yield made


def test_what_is_published_is_there(store: Store) -> None:
    """Its owner, its manifest and all its files are as they were written down."""
    assert () == absent(store.volume, "ml", (LLAMA,))


def test_another_owners_model_and_another_revision_are_not_there(store: Store) -> None:
    """What has the same name, or was published since, is something else."""
    assert {OTHERS, LLAMA_2} == set(absent(store.volume, "ml", (LLAMA, LLAMA_2, OTHERS)))


def test_a_revision_stays_there_when_another_is_published(store: Store) -> None:
    """Consumers may have mounted any of them, and a status names its folder."""
    samples.publish(store, samples.LLAMA_2)

    assert () == absent(store.volume, "ml", (LLAMA, LLAMA_2))


def test_a_copy_that_lost_its_links_is_there(store: Store, tmp_path: Path) -> None:
    """A volume that was recovered file by file has all that its readers need."""
    tree = (tmp_path / "models/ml/llama/current").resolve()
    shutil.copytree(tree, tmp_path / "copy")
    shutil.rmtree(tree)
    (tmp_path / "copy").rename(tree)

    assert () == absent(store.volume, "ml", (LLAMA,))


def test_what_is_none_of_a_stores_own_is_passed_over(store: Store, tmp_path: Path) -> None:
    """A client of NFS leaves such names; the models beside them are there."""
    (tmp_path / "models/ml/.nfs0001").write_bytes(b"")
    (tmp_path / "models/ml/away").symlink_to(tmp_path)

    assert () == absent(store.volume, "ml", (LLAMA,))


def test_a_folder_that_leads_elsewhere_has_nothing(store: Store, tmp_path: Path) -> None:
    """No link in a tree is followed but those to blobs."""
    sub = (tmp_path / "models/ml/llama/current").resolve() / "sub"
    sub.rename(tmp_path / "elsewhere")
    sub.symlink_to(tmp_path / "elsewhere")

    assert (LLAMA,) == absent(store.volume, "ml", (LLAMA,))


def test_a_namespace_of_its_own(store: Store) -> None:
    """A model of that owner in another namespace is not looked at; a namespace without any has none."""
    assert (LLAMA,) == absent(store.volume, "other", (LLAMA,))


def _without_a_file(root: Path) -> None:
    (root / "models/ml/llama/current/config.json").unlink()


def _with_a_shorter_file(root: Path) -> None:
    path = root / "models/ml/llama/current/config.json"
    path.unlink()
    path.write_bytes(b"{}")


def _without_its_manifest(root: Path) -> None:
    for path in (root / "manifests/sha256").iterdir():
        path.unlink()


def _with_another_manifest(root: Path) -> None:
    for path in (root / "manifests/sha256").iterdir():
        path.chmod(0o644)
        path.write_bytes(b"{}")


def _without_its_record(root: Path) -> None:
    (root / "models/ml/llama/owner.json").unlink()


def _with_a_record_that_says_nothing(root: Path) -> None:
    (root / "models/ml/llama/owner.json").chmod(0o644)
    (root / "models/ml/llama/owner.json").write_bytes(b"nothing")


@pytest.mark.parametrize(
    "harm",
    [
        _without_a_file,
        _with_a_shorter_file,
        _without_its_manifest,
        _with_another_manifest,
        _without_its_record,
        _with_a_record_that_says_nothing,
    ],
)
def test_what_is_not_whole_is_not_there(store: Store, tmp_path: Path, harm: Callable[[Path], None]) -> None:
    """Whatever a consumer would miss, or nothing vouches for; the next fetch of it mends it."""
    harm(tmp_path)

    assert (LLAMA,) == absent(store.volume, "ml", (LLAMA,))


def test_links_to_a_blob_that_has_gone_lead_nowhere(tmp_path: Path) -> None:
    """A tree of symlinks is as whole as its blobs."""
    with Store.open(str(tmp_path), samples.filesystem("soft")) as store:
        samples.publish(store, samples.LLAMA)
        (tmp_path / "/".join(layout.blob(samples.sha256(samples.SHARED)))).unlink()

        assert (LLAMA,) == absent(store.volume, "ml", (LLAMA,))


def test_a_volume_that_cannot_be_read_tells_nothing(store: Store, tmp_path: Path) -> None:
    """A namespace that could not be looked at has no model that is called missing."""
    (tmp_path / "models/ml").rename(tmp_path / "models/away")
    (tmp_path / "models/ml").symlink_to(tmp_path / "models/away")

    with pytest.raises(FetchError, match="ml"):
        absent(store.volume, "ml", (LLAMA,))
