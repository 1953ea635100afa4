"""How long another attempt is waited for: as long as its journal grows, and its claim stands."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelfetch.fetcher.watch import LOOK_S, LOOKS, Watch
from modelfetch.store import layout
from modelfetch.store.attempts import LIVING_S
from modelfetch.store.fs import Filesystem
from modelfetch.store.journal import Claim, Forgotten, Head, Record, Settled, encode
from modelfetch.store.store import Store
from tests.unit.store.partials import ELSEWHERE, looked_up, plant

FOLDER = layout.ingest("other", "0000")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path), Filesystem()) as opened:
        opened.volume.make_folder(FOLDER, 0o700, step="s")
        plant(opened, FOLDER, [Head("other", "o", ELSEWHERE), Claim("k", 5, 1.0), Claim("l", 5, 1.0)])
        yield opened


def look(store: Store, watch: Watch, *keys: str) -> Watch | None:
    return watch.look(store.volume, keys or ("k",), store.volume.clock_s(layout.INGEST))


def append(root: Path, *records: Record) -> None:
    with root.joinpath(*layout.journal(FOLDER)).open("ab") as journal:
        journal.write(encode(records))


def test_one_that_gets_on_is_watched_on(store: Store, tmp_path: Path) -> None:
    """Each record begins the patience anew."""
    watch: Watch | None = Watch(looked_up(store, FOLDER), quiet=LOOKS)
    append(tmp_path, Forgotten(0))
    assert watch is not None
    watch = look(store, watch)

    assert watch is not None
    assert 0 == watch.quiet


def test_signs_of_life_alone_are_no_progress(store: Store, tmp_path: Path) -> None:
    """A minute of them is enough, however young the journal looks."""
    watch: Watch | None = Watch(looked_up(store, FOLDER))
    looks = 0
    while watch is not None:
        os.utime(tmp_path.joinpath(*layout.journal(FOLDER)))
        watch, looks = look(store, watch), looks + 1

    assert (LOOKS + 1, LIVING_S) == (looks, LOOKS * LOOK_S)


@pytest.mark.parametrize(("settled", "is_over"), [([], False), (["l"], False), (["k"], True), (["k", "l"], True)])
def test_a_claim_that_was_settled_ends_the_wait(
    store: Store, tmp_path: Path, settled: list[str], is_over: bool
) -> None:
    """What the other brings beside is not waited for."""
    watch = Watch(looked_up(store, FOLDER))
    append(tmp_path, *map(Settled, settled))

    assert is_over is (look(store, watch) is None)


def test_one_of_several_claims_is_enough(store: Store, tmp_path: Path) -> None:
    """The wait goes on until the last of the files has come."""
    watch = Watch(looked_up(store, FOLDER))
    append(tmp_path, Settled("k"))

    assert look(store, watch, "k", "l") is not None


def test_one_that_is_gone_is_not_waited_for(store: Store, tmp_path: Path) -> None:
    """It failed and cleared up, or was swept."""
    watch = Watch(looked_up(store, FOLDER))
    tmp_path.joinpath(*layout.journal(FOLDER)).unlink()

    assert look(store, watch) is None


def test_one_that_gives_no_sign_of_life_is_not_waited_for(store: Store, tmp_path: Path) -> None:
    """Its machine may be gone."""
    watch = Watch(looked_up(store, FOLDER))
    long_ago = store.volume.clock_s(layout.INGEST) - LIVING_S - 1
    os.utime(tmp_path.joinpath(*layout.journal(FOLDER)), (long_ago, long_ago))

    assert look(store, watch) is None
