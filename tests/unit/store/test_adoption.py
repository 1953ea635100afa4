"""What earlier attempts left is taken over with proof, copied without, and nothing of it is ever needed."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store import layout
from modelfetch.store.adoption import Adoption
from modelfetch.store.attempts import neighbours
from modelfetch.store.ingest import Ingest
from modelfetch.store.journal import Begun, Head, Record, Segment, State, decode
from modelfetch.store.partial import RecordedPartial
from modelfetch.store.store import Store
from modelfetch.transfer.segments import SEGMENT_BYTES
from tests.unit.store import samples
from tests.unit.store.partials import (
    CONTENT,
    DIGESTS,
    ELSEWHERE,
    ENDED,
    FIRST,
    SECOND,
    THIRD,
    V1,
    leave,
    plant,
    segment,
    whose,
)

WANTED = {"k": 5}


def nothing() -> None:
    """Let the attempt go on."""


def adoption(store: Store, ingest: Ingest, *ended: str, check: Callable[[], None] = nothing) -> Adoption:
    others = neighbours(store.volume, ingest.folder, store.volume.clock_s(layout.INGEST))
    return Adoption(ingest, tuple(others), frozenset(ended), check)


def had(store: Store, ingest: Ingest, *ended: str) -> dict[int, RecordedPartial]:
    """Do as a fetch does."""
    found = adoption(store, ingest, *ended)
    return found.take(WANTED) or found.copy(WANTED)


def inode(path: Path) -> int:
    return path.stat().st_ino


def mine(root: Path, ingest: Ingest) -> Path:
    return root.joinpath(*layout.partial(ingest.folder, "5"))


def test_with_proof_the_file_is_taken_over(hard_store: Store, root: Path) -> None:
    """It is the same file under our name: no byte is read or written for it, and its state of the hash counts."""
    theirs = root / leave(hard_store, "old", [FIRST, SECOND], hashed=SECOND) / "file-0"
    before = inode(theirs)
    with hard_store.ingest("new") as ingest:
        [partial] = had(hard_store, ingest, "old").values()
        kept = partial.kept(nothing)

        assert (before, False) == (inode(mine(root, ingest)), theirs.exists())
        assert (frozenset({FIRST, SECOND}), V1, SECOND) == (kept.segments, kept.identity, kept.hashed)


def test_a_process_that_is_gone_for_certain_is_proof(hard_store: Store, root: Path) -> None:
    """On one machine no operator is needed: the process is looked up."""
    theirs = root / leave(hard_store, "old", [FIRST], ENDED) / "file-0"
    before = inode(theirs)
    with hard_store.ingest("new") as ingest:
        had(hard_store, ingest)

        assert before == inode(mine(root, ingest))


def test_without_proof_it_is_copied(hard_store: Store, root: Path) -> None:
    """The other's file stays as it is, ours is another one; damaged segments do not come along."""
    theirs = root / leave(hard_store, "old", [FIRST, SECOND, THIRD]) / "file-0"
    with theirs.open("r+b") as file:
        file.seek(SEGMENT_BYTES + 1)
        file.write(b"?")
    damaged = theirs.read_bytes()
    with hard_store.ingest("new") as ingest:
        [partial] = had(hard_store, ingest).values()
        kept = partial.kept(nothing)

        assert inode(theirs) != inode(mine(root, ingest))
        assert (frozenset({FIRST, THIRD}), V1, damaged) == (kept.segments, kept.identity, theirs.read_bytes())


def test_a_writer_that_goes_on_hurts_only_itself(hard_store: Store, root: Path) -> None:
    """A lost node's process still has its file open: what it writes later is not in what is published."""
    theirs = root / leave(hard_store, "old", [FIRST, SECOND, THIRD]) / "file-0"
    with theirs.open("r+b") as zombie, hard_store.ingest("new") as ingest:
        [partial] = had(hard_store, ingest).values()
        partial.kept(nothing)
        zombie.write(b"late" * 1000)
        zombie.flush()
        blob = hard_store.blobs.commit(ingest, partial.partial, samples.sha256(CONTENT), len(CONTENT))
        zombie.write(b"later" * 1000)

    assert CONTENT == root.joinpath(*layout.blob(blob.sha256)).read_bytes()


def test_the_one_with_the_most_is_taken(hard_store: Store) -> None:
    """Of several attempts that had begun the file, the one that came farthest."""
    leave(hard_store, "a", [FIRST], ENDED)
    leave(hard_store, "b", [FIRST, SECOND], ENDED)
    leave(hard_store, "c", [THIRD], ENDED)
    with hard_store.ingest("new") as ingest:
        [partial] = had(hard_store, ingest).values()

        assert {FIRST, SECOND} == partial.kept(nothing).segments


def test_a_file_that_was_taken_away_is_replaced_by_the_next(hard_store: Store, root: Path) -> None:
    """Between the look and the rename another attempt took it: what a third one has is taken instead."""
    for name, starts in (("a", [FIRST]), ("b", [FIRST, SECOND])):
        leave(hard_store, name, starts, ENDED)
    with hard_store.ingest("new") as ingest:
        found = adoption(hard_store, ingest)
        (root / "ingest" / "b.0000" / "file-0").unlink()
        [partial] = found.take(WANTED).values()

        assert {FIRST} == partial.kept(nothing).segments


@pytest.mark.parametrize("process", [ENDED, ELSEWHERE], ids=["over", "alive"])
def test_two_that_take_the_same_file(hard_store: Store, process: object) -> None:
    """One gets it, or both get copies; each goes on with a file of its own, and with nothing it can still begin."""
    leave(hard_store, "old", [FIRST, SECOND], process)  # type: ignore[arg-type]
    with hard_store.ingest("one") as one, hard_store.ingest("other") as other:
        looks = [adoption(hard_store, ingest) for ingest in (one, other)]
        taken = [look.take(WANTED) or look.copy(WANTED) for look in looks]
        kept = [partial.kept(nothing).segments for found in taken for partial in found.values()]
        fresh = [ingest.receive(5, "k") for ingest, found in zip((one, other), taken, strict=True) if not found]

        assert {frozenset({FIRST, SECOND})} == set(kept)
        assert 2 == len(kept) + len(fresh)


def link(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.with_name("journal"))


def folder(file: Path) -> None:
    file.unlink()
    file.mkdir()
    (file / "x").write_text("x")


def second_name(file: Path) -> None:
    os.link(file, file.with_name("second"))


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize("process", [ENDED, ELSEWHERE], ids=["over", "alive"])
@pytest.mark.parametrize("planted", [link, folder, second_name, pipe, Path.unlink])
def test_something_else_in_a_file_s_place_is_no_file(
    hard_store: Store, root: Path, process: object, planted: Callable[[Path], None]
) -> None:
    """It is not followed and not published, and the place is free for a file of our own."""
    theirs = root / leave(hard_store, "old", [FIRST], process) / "file-0"  # type: ignore[arg-type]
    planted(theirs)
    with hard_store.ingest("new") as ingest:
        found = had(hard_store, ingest)
        if not found:
            ingest.receive(5, "k").write_segment(FIRST, segment(FIRST))
        file = mine(root, ingest)

        assert (False, True, 1) == (file.is_symlink(), file.is_file(), file.stat().st_nlink)
        assert (planted is second_name and process is ELSEWHERE) == bool(found)


HOSTILE: list[tuple[str, list[Record]]] = [
    ("no segments", [Begun(0, "k", V1)]),
    ("no size", [Begun(0, "k", replace(V1, size=None)), Segment(0, 0, SEGMENT_BYTES, DIGESTS[0])]),
    ("an empty file", [Begun(0, "k", replace(V1, size=0)), Segment(0, 0, 0, DIGESTS[0])]),
    ("a huge file", [Begun(0, "k", replace(V1, size=1 << 61)), Segment(0, 1 << 60, SEGMENT_BYTES, DIGESTS[0])]),
    ("an odd start", [Begun(0, "k", V1), Segment(0, 77, SEGMENT_BYTES, DIGESTS[0])]),
    ("a long segment", [Begun(0, "k", V1), Segment(0, 0, 1 << 50, DIGESTS[0])]),
    ("behind the end", [Begun(0, "k", V1), Segment(0, 9 * SEGMENT_BYTES, SEGMENT_BYTES, DIGESTS[0])]),
    ("another digest", [Begun(0, "k", V1), Segment(0, 0, SEGMENT_BYTES, DIGESTS[1])]),
    ("another number", [Begun(1 << 61, "k", V1), Segment(1 << 61, 0, SEGMENT_BYTES, DIGESTS[0])]),
    ("a state alone", [Begun(0, "k", V1), State(0, SECOND, "f", b"s")]),
]


@pytest.mark.parametrize("process", [ENDED, ELSEWHERE], ids=["over", "alive"])
@pytest.mark.parametrize("records", [records for _, records in HOSTILE], ids=[name for name, _ in HOSTILE])
def test_a_hostile_journal_gives_nothing_and_fails_nothing(
    hard_store: Store, root: Path, process: object, records: list[Record]
) -> None:
    """Nothing of it is kept, nothing is written beyond the file, and the file can be received and committed."""
    path = leave(hard_store, "old", [FIRST], process)  # type: ignore[arg-type]
    plant(hard_store, tuple(path.parts), [Head("old", "", process), *records])  # type: ignore[arg-type]
    with hard_store.ingest("new") as ingest:
        found = had(hard_store, ingest)
        partial = found.get(5) or ingest.receive(5, "k")

        assert (frozenset(), True) == (partial.kept(nothing).segments, partial.partial.size_bytes() <= SEGMENT_BYTES)
        partial.forget()
        partial.partial.truncate(0)
        partial.partial.write_at(0, memoryview(b"small"))
        hard_store.blobs.commit(ingest, partial.partial, samples.sha256(b"small"), 5)


@pytest.mark.parametrize("process", [ENDED, ELSEWHERE], ids=["over", "alive"])
def test_it_can_be_stopped(hard_store: Store, process: object) -> None:
    """Copying may take long: a fetch that shall end is not held up by it."""
    leave(hard_store, "old", [FIRST, SECOND], process)  # type: ignore[arg-type]

    def stop() -> None:
        raise FetchError(Reason.CANCELLED, "the fetch was stopped")

    with hard_store.ingest("new") as ingest:
        found = adoption(hard_store, ingest, check=stop)
        with pytest.raises(FetchError) as raised:
            found.take(WANTED) or found.copy(WANTED)

    assert Reason.CANCELLED == raised.value.reason


def left(store: Store, ingest: Ingest, *ended: str) -> list[str]:
    """Return which folders are to go."""
    return [folder[-1] for folder in adoption(store, ingest, *ended).leftovers(WANTED).folders]


def test_folders_of_those_who_may_live_stay(hard_store: Store) -> None:
    """Without proof nobody's folder is swept, whether there is anything of use in it or not."""
    leave(hard_store, "a", [FIRST])
    leave(hard_store, "b", [])
    with hard_store.ingest("living"), hard_store.ingest("new") as ingest:
        assert [] == left(hard_store, ingest)


def test_folders_of_ended_attempts_go(hard_store: Store) -> None:
    """Those of this fetch's own attempts always, others once nothing is in them that we do not take along."""
    leave(hard_store, "own", [FIRST])
    leave(hard_store, "taken", [FIRST], ENDED)
    other = leave(hard_store, "other", [FIRST], ENDED)
    records: list[Record] = [Begun(0, "another", V1), Segment(0, FIRST, SEGMENT_BYTES, DIGESTS[0])]
    plant(hard_store, tuple(other.parts), [Head("other", "", ENDED), *records])
    with hard_store.ingest("new") as ingest:
        assert ["own.0000", "taken.0000"] == left(hard_store, ingest, "own")


def test_pins_of_another_fetch_stay(hard_store: Store, root: Path) -> None:
    """A fetch that was killed keeps the blobs that it had verified: another model's fetch must not let them go."""
    for name, owner in (("ours", "ns/new/1"), ("theirs", "ns/old/1")):
        path = leave(hard_store, name, [], ENDED)
        whose(hard_store, tuple(path.parts), Head(name, owner, ENDED))
        (root / path / f"pin-{'a' * 64}").touch()
    with hard_store.ingest("new", "ns/new/1") as ingest:
        assert ["ours.0000"] == left(hard_store, ingest)


def test_an_adopted_file_is_left_again(hard_store: Store, root: Path) -> None:
    """A fetch that took a file over and fails leaves it to the next: with all it had, and what came since."""
    leave(hard_store, "one", [FIRST], ENDED)

    def fail() -> None:
        with hard_store.ingest("two") as ingest:
            [partial] = had(hard_store, ingest).values()
            partial.kept(nothing)
            partial.write_segment(SECOND, segment(SECOND))
            raise FetchError(Reason.SOURCE_UNAVAILABLE, "x")

    with pytest.raises(FetchError):
        fail()
    log = decode(next(root.glob("ingest/two.*/journal")).read_bytes())
    with hard_store.ingest("three") as ingest:
        [partial] = had(hard_store, ingest, "two").values()

        assert {FIRST, SECOND} == partial.kept(nothing).segments
    assert log is not None
    assert [5] == list(log.files)
