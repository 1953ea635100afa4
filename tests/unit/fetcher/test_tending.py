"""What deleted fetches left unpublished on a volume, told of and taken away."""

from contextlib import suppress
from pathlib import Path

import pytest

from modelfetch.api.order import CheckOrder, RemovalTarget, RemoveOrder, SurveyOrder
from modelfetch.core.store import published_mark
from modelfetch.errors import FetchError
from modelfetch.fetcher.tending import tend
from modelfetch.reasons import Reason
from modelfetch.store.attempts import Holder
from modelfetch.store.fs import Filesystem
from modelfetch.store.manifest import owner_short
from modelfetch.store.store import Store
from tests.unit.store import samples


def opened(volume: Path) -> Store:
    """Return the store on `volume`."""
    return Store.open(str(volume), Filesystem())


def leave(volume: Path, holder: str, content: bytes = b"") -> None:
    """Let an attempt of this holder fail after it has verified `content`."""
    with opened(volume) as store, suppress(FetchError), store.ingest("attempt", holder) as ingest:
        samples.write(store, ingest, content)
        raise FetchError(Reason.SOURCE_UNAVAILABLE, "expected an answer, got none")


def left(volume: Path) -> int:
    """Return how many private folders there are."""
    return len(list((volume / "ingest").iterdir()))


@pytest.mark.parametrize("retain", [False, True])
def test_private_files_go_with_their_fetch(tmp_path: Path, retain: bool) -> None:
    """A removal takes what the fetch's attempts left, and no other's, whatever becomes of what is published."""
    for uid in ("gone", "stays"):
        leave(tmp_path, str(Holder("tests", "model", uid)), uid.encode())
    target = RemovalTarget(namespace="tests", name="model", owner="gone", retain=retain)
    tend(RemoveOrder(targets=(target,)), str(tmp_path))
    told = tend(SurveyOrder(namespace="tests", live=()), str(tmp_path))

    assert (1, ["stays"]) == (left(tmp_path), [owner.owner for owner in told.owners])


def test_what_is_published_is_retained(tmp_path: Path) -> None:
    """Of a fetch with deletionPolicy Retain the tree stays, even where its record says otherwise."""
    with opened(tmp_path) as store, store.ingest("attempt") as ingest:
        samples.fill(store, ingest, samples.PHI)
        store.views.publish(ingest, samples.owner(), samples.manifest(samples.PHI))
    target = RemovalTarget(namespace="ml", name="llama", owner="uid-1", retain=True)
    tend(RemoveOrder(targets=(target,)), str(tmp_path))

    assert samples.PHI.keys() == {path.name for path in (tmp_path / "models/ml/llama/current").iterdir()}


def test_a_survey_tells_whose_private_files_are_left(tmp_path: Path) -> None:
    """Owners of this namespace that are gone, by what their journals say; it changes nothing."""
    for holder in ("tests/a/gone", "tests/b/lives", "other/c/gone-too", "tests/../gone", "not/a", "tests/d/x\ny"):
        leave(tmp_path, holder, holder.encode())
    told = tend(SurveyOrder(namespace="tests", live=(owner_short("lives"),)), str(tmp_path))

    assert ([("a", "gone")], 6) == ([(owner.name, owner.owner) for owner in told.owners], left(tmp_path))


def test_a_check_tells_what_is_missing(tmp_path: Path) -> None:
    """By the marks of its order, as core/store.py makes them; it changes nothing."""
    with opened(tmp_path) as store:
        published = samples.publish(store, samples.PHI)
    there, gone = published_mark("uid-1", published.digest), published_mark("uid-2", published.digest)
    told = tend(CheckOrder(namespace="ml", published=(there, gone)), str(tmp_path))

    assert ((gone,), ()) == (told.missing, told.owners)


@pytest.mark.parametrize("root", ["", "shared/store"])
@pytest.mark.parametrize("is_folder", [True, False])
def test_where_there_is_no_store_everything_is_missing(tmp_path: Path, root: str, is_folder: bool) -> None:
    """A volume that is empty, or has no such folder, has no model; and no store is made of it."""
    if is_folder:
        (tmp_path / root).mkdir(parents=True, exist_ok=True)
    told = tend(CheckOrder(root=root, namespace="ml", published=("a:b",)), str(tmp_path))

    assert ("a:b",) == told.missing
    assert [] == [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_store_that_is_not_understood_tells_nothing(tmp_path: Path) -> None:
    """What a newer modelfetch wrote is not called missing."""
    opened(tmp_path).close()
    (tmp_path / "store.json").write_text('{"layoutVersion": 99}')

    with pytest.raises(FetchError, match="layout version"):
        tend(CheckOrder(namespace="ml", published=("a:b",)), str(tmp_path))
