"""The private folder of an attempt: nobody else's, and gone at the end."""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store import layout
from modelfetch.store.attempts import neighbour
from modelfetch.store.fs import Filesystem
from modelfetch.store.ingest import pinned_digests
from modelfetch.store.store import Store
from tests.unit.store import samples

OLD_S = 10_000.0


def make_old(root: Path, name: str, age_s: float) -> None:
    folder = next(root.glob(f"ingest/{name}.*"))
    then_s = folder.stat().st_mtime - age_s
    for path in (*folder.iterdir(), folder):
        os.utime(path, (then_s, then_s))


def leave(store: Store, attempt: str) -> None:
    """Leave a folder as a killed attempt does."""
    store.volume.make_folder(("ingest", f"{attempt}.0000"), 0o700, step="s")
    store.volume.make_folder(("ingest", f"{attempt}.0000", "sub"), step="s")
    store.volume.put(b"half", ("ingest", f"{attempt}.0000", "p"), ("ingest", f"{attempt}.0000", "file-1"), step="s")


def test_the_folder_is_private_and_goes(store: Store, root: Path) -> None:
    """Nobody else can look into it, and it is removed at the end with what was not committed."""
    with store.ingest("mf-1") as ingest:
        ingest.create("1").write_at(0, memoryview(b"x"))
        [folder] = root.glob("ingest/*")

        assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
        assert ["file-1", "journal"] == sorted(os.listdir(folder))
    assert [] == samples.leftovers(root)


def fail_in_the_middle(store: Store) -> None:
    with store.ingest("mf-1") as ingest:
        ingest.create("1")
        raise FetchError(Reason.CHECKSUM_MISMATCH, "x")


def test_the_folder_goes_after_an_error(store: Store, root: Path) -> None:
    """An attempt that fails leaves nothing, and its own error is what comes out."""
    with pytest.raises(FetchError) as raised:
        fail_in_the_middle(store)

    assert Reason.CHECKSUM_MISMATCH == raised.value.reason
    assert [] == samples.leftovers(root)


def test_an_attempt_that_ends_in_good_order_says_so(store: Store) -> None:
    """Its last word is proof: it has closed its files, so that another one may take them over at once."""
    with suppress(RuntimeError), store.ingest("a1") as ingest:
        ingest.pin_by_name("a" * 64)
        at_work = neighbour(store.volume, ingest.folder, store.volume.clock_s(layout.INGEST))
        raise RuntimeError
    left = neighbour(store.volume, ingest.folder, store.volume.clock_s(layout.INGEST))
    assert at_work is not None
    assert left is not None

    assert (False, True) == (at_work.has_ended(frozenset()), at_work.is_living)
    assert (True, False) == (left.has_ended(frozenset()), left.is_living)


def test_two_runs_of_one_attempt(store: Store) -> None:
    """Two Pods of one Job, which a lost node can cause, do not share a file."""
    with store.ingest("mf-1") as one, store.ingest("mf-1") as other:
        one.create("1").write_at(0, memoryview(b"one"))
        other.create("1").write_at(0, memoryview(b"other"))

        assert one.folder != other.folder


def test_one_name_twice(store: Store) -> None:
    """A second file of the same name is refused: two writers never share one."""
    with store.ingest("mf-1") as ingest:
        ingest.create("1")
        with pytest.raises(FetchError):
            ingest.create("1")


@pytest.mark.parametrize("attempt", ["../x", "a/b", "x" * 250])
def test_an_unsafe_attempt(store: Store, root: Path, attempt: str) -> None:
    """The name of an attempt is one step of a path, or it is refused."""
    with pytest.raises(FetchError) as refused, store.ingest(attempt):
        pass

    assert Reason.PATH_REJECTED == refused.value.reason
    assert [] == samples.leftovers(root)


def test_discard(store: Store, root: Path) -> None:
    """A discarded file is gone at once; again does nothing."""
    with store.ingest("mf-1") as ingest:
        partial = ingest.create("1")
        partial.discard()
        partial.discard()

        assert [] == list(root.glob("ingest/*/file-*"))
        assert not partial.is_open


def test_sizes(store: Store) -> None:
    """The size is what was written or cut to, in bytes."""
    with store.ingest("mf-1") as ingest:
        partial = ingest.create("1")
        partial.write_at(3, memoryview(b"abc"))
        before = partial.size_bytes()
        partial.truncate(2)

        assert (6, 2) == (before, partial.size_bytes())
        partial.close()


def test_a_sweep_takes_dead_attempts_only(store: Store, root: Path) -> None:
    """Old folders of other attempts go; young ones and those of attempts that are named stay."""
    for attempt in ("dead", "young", "kept"):
        leave(store, attempt)
    make_old(root, "dead", OLD_S)
    make_old(root, "kept", OLD_S)

    plan = store.plan_sweep(OLD_S - 1, keep=frozenset({"kept"}))
    store.sweep(plan)

    assert ["remove ingest/dead.0000"] == plan.lines()
    assert ["ingest/kept.0000", "ingest/young.0000"] == samples.leftovers(root)


def test_a_sweep_spares_who_still_writes(store: Store, root: Path) -> None:
    """An attempt whose one large file has been coming for days lives: the file is young, though its folder is old."""
    with store.ingest("slow") as ingest:
        partial = ingest.create("1")
        make_old(root, "slow", OLD_S)
        before = store.plan_sweep(OLD_S - 1).folders
        partial.write_at(0, memoryview(b"more"))

        assert ((ingest.folder,), ()) == (before, store.plan_sweep(OLD_S - 1).folders)


def test_a_sweep_passes_over_what_cannot_be_removed(root: Path) -> None:
    """A folder of another user is in nobody's way: the others go, and the fetch goes on."""
    refusals = iter([PermissionError(errno.EACCES, "not yours")])

    def refuse(step: str) -> None:
        if step == "before sweep.remove" and (error := next(refusals, None)) is not None:
            raise error

    with Store.open(str(root), Filesystem(refuse)) as store:
        leave(store, "a-theirs")
        leave(store, "dead")
        store.sweep(store.plan_sweep(0.0))

    assert ["ingest/a-theirs.0000"] == samples.leftovers(root)


def test_a_sweep_can_be_repeated(store: Store, root: Path) -> None:
    """A plan whose folders are gone is carried out without an error."""
    leave(store, "dead")
    plan = store.plan_sweep(0.0)
    store.sweep(plan)
    store.sweep(plan)

    assert [] == samples.leftovers(root)


def test_age_is_by_the_volume_s_clock(store: Store, root: Path) -> None:
    """A folder from the future of a skewed clock is young, however short the limit."""
    leave(store, "skewed")
    make_old(root, "skewed", -OLD_S)

    assert () == store.plan_sweep(0.0).folders


def test_pins_of_all_attempts_are_seen(store: Store) -> None:
    """What any attempt keeps can be listed, with hard links and without."""
    samples.publish(store, samples.LLAMA)
    shared, config = samples.sha256(samples.SHARED), samples.sha256(samples.LLAMA["config.json"])
    with store.ingest("a") as one, store.ingest("b") as other:
        store.blobs.pin(one, shared, len(samples.SHARED))
        store.blobs.pin(other, config, len(samples.LLAMA["config.json"]))

        assert {shared, config} == pinned_digests(store.volume)
    assert set() == pinned_digests(store.volume)
