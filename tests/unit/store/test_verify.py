"""A look at a store finds all that is wrong with it, calls it by its kind, and changes nothing unasked."""

import errno
import os
import random
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.api.order import RemovalTarget
from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store import layout
from modelfetch.store.checkpoint import Checkpoint
from modelfetch.store.collection import execute_collection, plan_collection
from modelfetch.store.findings import Finding, Kind
from modelfetch.store.fs import Filesystem, Volume
from modelfetch.store.layout import Steps
from modelfetch.store.recheck import was_read_lately
from modelfetch.store.removal import execute_removal, plan_removal
from modelfetch.store.store import Store, look
from modelfetch.store.sums import write_sums
from modelfetch.store.verify import Outcome, Request, Watch, is_in_subset, verify
from modelfetch.transfer.segments import SEGMENT_BYTES
from tests.unit.store import damage, samples
from tests.unit.store.damage import DAMAGES, Place
from tests.unit.store.samples import LLAMA, LLAMA_2, PHI

Act = Callable[[Path], None]

BIG = bytes(random.Random(1).randbytes(SEGMENT_BYTES + 1000))
BIG_2 = bytes(random.Random(2).randbytes(SEGMENT_BYTES + 77_777))
BIGS: samples.Content = {"one.safetensors": BIG, "two.safetensors": BIG_2, "config.json": LLAMA["config.json"]}
ROUNDS = 2
"""How often each kind of damage is done to each kind of store."""


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    """Return a folder in memory where there is one."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="modelfetch-") as folder:
        yield Path(folder)


def publish_all(store: Store) -> None:
    samples.publish(store, LLAMA)
    samples.publish(store, LLAMA_2, commit="d" * 40)
    samples.publish(store, PHI, samples.owner("phi"))
    samples.publish(store, BIGS, samples.owner("big"))


def run(root: Path, watch: Watch | None = None, checkpoint: Checkpoint | None = None, **request: object) -> Outcome:
    with look(str(root), Filesystem()) as volume:
        return verify(volume, Request(**request), watch or Watch(), checkpoint)  # type: ignore[arg-type]


def found(outcome: Outcome) -> set[tuple[str, Kind]]:
    return {(finding.path, finding.kind) for finding in outcome.findings}


def copied(source: Path, target: Path) -> Path:
    """Return a copy that keeps hard links, modes and links."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)
    return target


def everything(root: Path) -> dict[str, tuple[int, int, int]]:
    paths = [root, *root.rglob("*")]
    return {str(path): (path.lstat().st_ino, path.lstat().st_mtime_ns, path.lstat().st_mode) for path in paths}


@pytest.mark.parametrize("is_full", [False, True])
def test_a_sound_store_has_no_findings(store: Store, root: Path, is_full: bool) -> None:
    """Every blob is read once, and large ones get the sums that they lack."""
    publish_all(store)
    outcome = run(root, is_full=is_full, threads=2)
    contents = {samples.sha256(data): len(data) for content in (LLAMA, LLAMA_2, PHI, BIGS) for data in content.values()}

    assert () == outcome.findings
    assert (3, 4, len(contents), len(contents), sum(contents.values())) == (
        outcome.models,
        outcome.revisions,
        outcome.blobs,
        outcome.blobs_read,
        outcome.bytes_read,
    )
    assert 2 == outcome.sums_written == len(list(root.glob("blobs/blake3/*/*")))
    assert [] == samples.leftovers(root)


@pytest.mark.parametrize("is_full", [False, True])
def test_a_second_look_writes_nothing(store: Store, root: Path, is_full: bool) -> None:
    """Once sums are there, no byte, mode or time of the store changes."""
    publish_all(store)
    run(root)
    before = everything(root)
    outcome = run(root, is_full=is_full, threads=2)

    assert ((), 0) == (outcome.findings, outcome.sums_written)
    assert before == everything(root)


@pytest.mark.parametrize("has_sums", [True, False])
@pytest.mark.parametrize("is_full", [False, True])
def test_all_seeded_damage_is_found(store: Store, root: Path, quick: Path, is_full: bool, has_sums: bool) -> None:
    """Each of some hundred damages is found and called by its kind, by BLAKE3 and SHA-256, on both kinds of links."""
    publish_all(store)
    run(root)
    missed = []
    for seed in range(ROUNDS):
        for name, act in DAMAGES.items():
            place = Place(copied(root, quick / "copy"), random.Random(f"{seed} {name}"))
            if not has_sums and "sums" not in name:
                shutil.rmtree(place.root / "blobs" / "blake3")
            expected = act(place)
            actual = found(run(place.root, is_full=is_full, threads=2))
            if not expected <= actual:
                missed.append((seed, name, expected - actual, actual))

    assert [] == missed


def test_content_is_called_by_its_kind_at_any_depth(hard_store: Store, root: Path) -> None:
    """A large blob that has sums is read by BLAKE3 and, once it differs, again by SHA-256 to say what it is."""
    publish_all(hard_store)
    run(root)
    path = samples.blob_files(root)[samples.sha256(BIG)]
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(SEGMENT_BYTES + 10)
        file.write(b"\0\0\0")
    path.chmod(0o444)
    outcome = run(root, threads=2)
    expected = Finding(
        str(path.relative_to(root)),
        Kind.CORRUPT,
        f"expected the content of its name, got '{samples.sha256(path.read_bytes())}'",
    )

    assert (expected,) == outcome.findings
    assert [str(tree) for tree in outcome.users[expected.path]] == [
        "models/ml/big/" + samples.manifest(BIGS).revision_name
    ]


def test_sums_that_are_whole_and_wrong(hard_store: Store, root: Path) -> None:
    """Sums that lie about an intact blob are told and written anew; the blob is not called damaged."""
    publish_all(hard_store)
    with hard_store.ingest("attempt-1") as ingest:
        write_sums(ingest, samples.sha256(BIG), len(BIG), [b"\0" * 32, b"\1" * 32])
    first = run(root)
    second = run(root)

    assert {(f"blobs/blake3/{samples.sha256(BIG)[:2]}/{samples.sha256(BIG)}", Kind.WRONG_HINT)} == found(first)
    assert set() == found(second)


def test_subsets_read_every_blob_once(hard_store: Store, root: Path) -> None:
    """The parts of a look have no blob in common and leave none out; names are looked at in each."""
    publish_all(hard_store)
    outcomes = [run(root, subset=(number, 3)) for number in (1, 2, 3)]
    (root / "models/ml/llama/current").unlink()
    last = [found(run(root, subset=(number, 3))) for number in (1, 2, 3)]

    assert len(samples.blob_files(root)) == sum(outcome.blobs_read for outcome in outcomes)
    assert [{("models/ml/llama/current", Kind.MISSING)}] * 3 == last


@given(st.integers(0, 2**256 - 1), st.integers(1, 400))
def test_a_digest_is_in_one_subset(number: int, count: int) -> None:
    """Exactly one part of any number of parts reads a blob."""
    sha256 = f"{number:064x}"

    assert [True] == [one for part in range(1, count + 1) if (one := is_in_subset(sha256, (part, count)))]


def test_a_stopped_look_goes_on(hard_store: Store, root: Path, tmp_path: Path) -> None:
    """What was read before the stop is not read again, and together all of it was."""
    publish_all(hard_store)
    watch = Watch()
    with Checkpoint.open(tmp_path / "state", {}, resume=False) as checkpoint:
        watch.advance = lambda _count: watch.stop.set()
        first = run(root, watch, checkpoint)
    with Checkpoint.open(tmp_path / "state", {}, resume=True) as checkpoint:
        known = checkpoint.count
        second = run(root, None, checkpoint)

    assert (False, True) == (first.is_whole, second.is_whole)
    assert (known, len(samples.blob_files(root)) - known) == (second.blobs_resumed, second.blobs_read)


def test_damage_is_read_again_by_a_resumed_look(hard_store: Store, root: Path, tmp_path: Path) -> None:
    """A resumed look tells what the stopped one had found."""
    publish_all(hard_store)
    damage.flip(Place(root, random.Random(3)), damage.BLOBS, Kind.CORRUPT)
    state = tmp_path / "state"
    with Checkpoint.open(state, {}, resume=False) as checkpoint:
        first = run(root, None, checkpoint)
    state.write_text(state.read_text().removesuffix("done\n"))  # as a kill just before the end
    with Checkpoint.open(tmp_path / "state", {}, resume=True) as checkpoint:
        second = run(root, None, checkpoint)

    assert (1, 1) == (len(first.findings), second.blobs_read)
    assert first.findings == second.findings


def test_repair_sets_damage_aside(store: Store, root: Path) -> None:
    """A damaged blob loses its name and sums, and the next publish of its model makes everything right again."""
    publish_all(store)
    run(root)
    sha256 = samples.sha256(BIG)
    damage.rewrite(samples.blob_files(root)[sha256], BIG[:-1] + b"x")
    outcome = run(root, repair=True)
    names = [name.split(".")[:2] for name in samples.leftovers(root)]
    sums = {path.name for path in root.glob(damage.SUMS)}
    samples.publish(store, BIGS, samples.owner("big"))

    assert (sha256,) == outcome.set_aside
    assert [["trash/damaged", sha256]] == names
    assert {samples.sha256(BIG_2)} == sums
    assert () == run(root).findings


def test_nothing_is_set_aside_unasked(store: Store, root: Path) -> None:
    """A look alone leaves damage where it is."""
    publish_all(store)
    run(root)
    damage.flip(Place(root, random.Random(1)), damage.BLOBS, Kind.CORRUPT)
    before = everything(root)
    outcome = run(root)

    assert (1, ()) == (len(outcome.findings), outcome.set_aside)
    assert before == everything(root)


def test_no_fetch_relies_on_damage(hard_store: Store, root: Path) -> None:
    """A blob that was found damaged is read again before it is used, however young its sums and old its time."""
    publish_all(hard_store)
    run(root)
    path = samples.blob_files(root)[samples.sha256(BIG)]
    then = path.stat().st_mtime - 10
    os.utime(path, (then, then))
    now_s = hard_store.volume.clock_s(layout.INGEST)
    before = was_read_lately(hard_store.volume, path.name, now_s)
    damage.rewrite(path, BIG[:-1] + b"x")
    os.utime(path, (then, then))
    run(root)

    assert (True, False) == (before, was_read_lately(hard_store.volume, path.name, now_s))


def test_a_publisher_at_work_is_no_finding(hard_store: Store, root: Path) -> None:
    """What is missing for a moment only, between two steps of a publisher, is there at the second look."""
    publish_all(hard_store)
    current = root / "models/ml/phi/current"
    text = os.readlink(current)
    current.unlink()
    paused: list[float] = []

    def finish(seconds: float) -> None:
        paused.append(seconds)
        current.symlink_to(text)

    with hard_store.ingest("attempt-2"):
        outcome = run(root, Watch(pause=finish))

    assert ((), 1) == (outcome.findings, len(paused))


def test_a_blob_replaced_meanwhile_is_no_finding(hard_store: Store, root: Path, tmp_path: Path) -> None:
    """Damage that a fetch has noticed and replaced while the look went on does not count."""
    samples.publish(hard_store, {"weights": BIG})
    path = samples.blob_files(root)[samples.sha256(BIG)]
    fresh = tmp_path / "fresh"
    shutil.copy2(path, fresh)
    damage.rewrite(path, BIG[:-1] + b"x")
    left = [len(BIG)]

    def replace_after_the_last_read(count: int) -> None:
        left[0] -= count
        if left[0] == 0:
            fresh.rename(path)

    outcome = run(root, Watch(advance=replace_after_the_last_read))

    assert not fresh.exists()
    assert set() == {finding.kind for finding in outcome.findings} & {Kind.CORRUPT, Kind.SWAPPED, Kind.WRONG_SIZE}


class FailingVolume(Volume):
    """A volume one of whose blobs cannot be opened any more."""

    bad: Steps = ()

    @contextmanager
    def folder(self, path: Steps) -> Iterator[int]:
        if path == self.bad and threading.current_thread().name.startswith("scrub"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        with super().folder(path) as fd:
            yield fd


@pytest.mark.parametrize("is_full", [False, True])
def test_what_cannot_be_read_is_told(hard_store: Store, root: Path, is_full: bool) -> None:
    """An error of the storage is neither damage nor soundness, and the other blobs are read."""
    publish_all(hard_store)
    run(root)
    bad = layout.blob(samples.sha256(BIG))
    with FailingVolume(os.open(root, os.O_RDONLY | os.O_DIRECTORY), lambda _step: None) as volume:
        volume.bad = bad[:-1]
        outcome = verify(volume, Request(is_full=is_full, threads=2), Watch())

    assert {("/".join(bad), Kind.UNREADABLE)} == found(outcome)
    assert outcome.blobs == outcome.blobs_read


def test_a_defect_in_a_thread_is_raised(hard_store: Store, root: Path) -> None:
    """A look that did not read everything never ends as if it had."""
    publish_all(hard_store)

    def fail(_count: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(root, Watch(advance=fail), threads=2)


def test_a_newer_manifest_ends_the_look(hard_store: Store, root: Path) -> None:
    """Documents of a newer modelfetch are no damage: the whole look is refused."""
    publish_all(hard_store)
    data = b'{"schemaVersion":2}\n'
    (root / "manifests" / "sha256" / f"{samples.sha256(data)}.json").write_bytes(data)
    with pytest.raises(FetchError) as refused:
        run(root)

    assert Reason.VERSION_SKEW == refused.value.reason


def publish_next(root: Path) -> None:
    with Store.open(str(root), samples.filesystem("hard")) as opened:
        samples.publish(opened, {"config.json": b"new", "big": BIG_2 + b"new"}, commit="e" * 40)


def take_over(root: Path) -> None:
    with Store.open(str(root), samples.filesystem("hard")) as opened:
        samples.publish(opened, LLAMA_2, samples.owner(uid="uid-2"), commit="d" * 40)


def remove_big(root: Path) -> None:
    target = RemovalTarget(namespace="ml", name="big", owner="uid-1")
    with Store.open(str(root), samples.filesystem("hard")) as opened:
        execute_removal(opened, plan_removal(opened, [target], abandoned_s=0.0))


def collect(root: Path) -> None:
    with Store.open(str(root), samples.filesystem("hard")) as opened:
        execute_collection(opened, plan_collection(opened.volume, 0.0))


@pytest.mark.parametrize("act", [publish_next, take_over, remove_big, collect])
@pytest.mark.parametrize("moment", ["after the first look", "between reads"])
def test_what_others_do_meanwhile_is_no_finding(hard_store: Store, root: Path, act: Act, moment: str) -> None:
    """Publishers, removals and collections that run beside a look are no damage."""
    publish_all(hard_store)
    with hard_store.ingest("attempt-1") as ingest:
        samples.write(hard_store, ingest, b"left by a failed fetch")
    acts = [act]
    watch = Watch()

    def once(_bytes: int) -> None:
        if acts:
            acts.pop()(root)

    if moment == "between reads":
        watch.advance = once
    else:
        watch.plan = once
    outcome = run(root, watch)

    assert ([], (), True) == (acts, outcome.findings, outcome.is_whole)
