"""Other attempts as their journals tell: who is at work, who goes first, how much room is spoken for."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.store import layout
from modelfetch.store.attempts import LIVING_S, Neighbour, Rank, neighbours, refreshed
from modelfetch.store.fs import Filesystem
from modelfetch.store.journal import Begun, Claim, Granted, Head, Log, Record, Segment, Settled, encode
from modelfetch.store.processes import Process
from modelfetch.store.store import Store
from modelfetch.transfer.reader import Identity
from modelfetch.transfer.segments import SEGMENT_BYTES
from tests.unit.store.partials import ELSEWHERE, ENDED, looked_up, plant

HEAD = Head("a", "o", ELSEWHERE)
GIB = 1 << 30


def folder_of(store: Store, name: str, *records: Record, head: Head = HEAD) -> layout.Steps:
    """Leave the folder of an attempt with this journal."""
    folder = layout.ingest(name, "0000")
    store.volume.make_folder(folder, 0o700, step="s")
    plant(store, folder, [head, *records])
    return folder


def log_of(*records: Record) -> Log:
    log = Log(HEAD)
    for record in records:
        log.take(record)
    return log


def names(found: list[Neighbour]) -> list[str]:
    return [one.folder[-1] for one in found]


def test_all_but_oneself_are_neighbours(hard_store: Store) -> None:
    """Each folder with a journal is one; folders and files without are none."""
    one, _other = folder_of(hard_store, "one"), folder_of(hard_store, "other")
    hard_store.volume.make_folder(layout.ingest("old", "0000"), step="s")
    hard_store.volume.put(b"x", layout.ingest("x", "1"), layout.ingest("file", "0000"), step="s")

    assert ["other.0000"] == names(neighbours(hard_store.volume, one, 0.0))


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "huge", "long", "unreadable bytes", "link to a folder"])
def test_a_planted_journal_is_nobody_s_word(hard_store: Store, root: Path, tmp_path: Path, kind: str) -> None:
    """Whatever stands in a journal's place, nothing outside is read, nothing hangs, and the others are seen."""
    good = folder_of(hard_store, "good")
    bad = root / "ingest" / "bad.0000"
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "journal").write_bytes(encode([HEAD]))
    if kind == "link to a folder":
        bad.symlink_to(outside)
    else:
        bad.mkdir()
    match kind:
        case "link":
            (bad / "journal").symlink_to(outside / "journal")
        case "folder":
            (bad / "journal").mkdir()
        case "pipe":
            os.mkfifo(bad / "journal")
        case "huge":
            with (bad / "journal").open("wb") as file:
                file.write(encode([HEAD]))
                file.truncate(1 << 40)
        case "long":
            (bad / "journal").write_bytes(b"[" * 1_000_000 + b" 00000000\n")
        case "unreadable bytes":
            (bad / "journal").write_bytes(bytes(range(256)) * 100)

    assert [good[-1]] == names(neighbours(hard_store.volume, (), 0.0))


@pytest.mark.parametrize(
    ("idle_s", "process", "is_living"),
    [
        (0.0, ELSEWHERE, True),
        (LIVING_S - 1, ELSEWHERE, True),
        (LIVING_S + 1, ELSEWHERE, False),
        (-1.0, ELSEWHERE, True),
        (-3600.0, ELSEWHERE, False),
        (0.0, ENDED, False),
        (0.0, Process.current(), True),
    ],
)
def test_who_seems_to_be_at_work(
    hard_store: Store, root: Path, idle_s: float, process: Process, is_living: bool
) -> None:
    """Signs of life count by the volume's clock; a process that ended for certain is not waited for."""
    folder = folder_of(hard_store, "one", head=replace(HEAD, process=process))
    now_s = hard_store.volume.clock_s(layout.INGEST)
    os.utime(root.joinpath(*folder, "journal"), (now_s - idle_s, now_s - idle_s))
    [found] = neighbours(hard_store.volume, (), now_s)

    assert is_living == found.is_living


def test_proof_that_an_attempt_has_ended(hard_store: Store) -> None:
    """Either somebody saw it end, or its process is gone for certain; silence is no proof."""
    [silent] = neighbours(hard_store.volume, folder_of(hard_store, "x")[:-1], 1e12)
    gone = looked_up(hard_store, folder_of(hard_store, "gone", head=replace(HEAD, attempt="gone", process=ENDED)))

    assert (False, True, True) == (
        silent.has_ended(frozenset({"b"})),
        silent.has_ended(frozenset({"a"})),
        gone.has_ended(frozenset()),
    )


ranks = st.builds(Rank, st.booleans(), st.sampled_from([1.0, 2.0]), st.tuples(st.sampled_from("abcd")))


@given(st.lists(ranks, min_size=2, max_size=4, unique_by=lambda rank: rank.folder))
def test_of_those_who_see_each_other_one_goes_first(claimed: list[Rank]) -> None:
    """Everybody names the same one, and that one waits for nobody, whatever the clocks say."""
    logs = {rank: log_of(Claim("k", 1, rank.stamp), *([] if rank.is_looking else [Granted()])) for rank in claimed}
    others = {rank: Neighbour(rank.folder, log, 0.0, 0) for rank, log in logs.items()}
    waits = {
        mine: [rank for rank, other in others.items() if rank != mine and other.goes_first("k", mine)]
        for mine in claimed
    }

    assert [min(claimed)] == [rank for rank, before in waits.items() if not before]


class Attempt:
    """An attempt that claims, looks, and then waits or fetches, one step at a time, on a store in memory."""

    def __init__(self, name: str, stamp: float, room: int, wants: int) -> None:
        self.rank = Rank(True, stamp, (name,))
        self.log = log_of()
        self.wants, self.room = wants, room
        self.waits_for: str | None = None
        self.is_refused = self.is_fetching = False

    def seen(self) -> Neighbour:
        return Neighbour(self.rank.folder, self.log, 0.0, 0)

    def do(self, step: str, others: list["Attempt"]) -> None:
        """Take one step."""
        seen = [other.seen() for other in others if not other.is_refused]
        if self.waits_for or self.is_refused:
            return
        if step == "claim":
            self.log.take(Claim("k", self.wants, self.rank.stamp))
        elif step == "look":
            first = [one for one in seen if one.goes_first("k", self.rank)]
            if first:
                self.waits_for = first[0].folder[0]
                self.log.take(Settled("k"))
        elif step == "take it":
            self.log.take(Granted())
        else:
            reserved = sum(one.reserved_bytes(self.rank) for one in seen)
            self.is_refused = self.wants > self.room - reserved
            self.is_fetching = step == "look again" and not self.is_refused


STEPS = ["claim", "look", "ask for room", "take it", "look again"]
stamps = st.lists(st.sampled_from([1.0, 1.5, 2.0]), min_size=2, max_size=4)


@given(stamps, st.data())
def test_nobody_waits_in_a_circle(given_stamps: list[float], data: st.DataObject) -> None:
    """In any interleaving of claims and looks, with clocks as they like, those who wait wait for one who fetches."""
    attempts = [Attempt(f"a{number}", stamp, 100, 1) for number, stamp in enumerate(given_stamps)]
    run(attempts, data)
    waiting = {one.rank.folder[0]: one.waits_for for one in attempts if one.waits_for}

    for name in waiting:
        seen = {name}
        while (name := waiting.get(name, "")) and name not in seen:
            seen.add(name)
        assert "" == name
    assert any(one.is_fetching for one in attempts)


@given(stamps, st.data())
def test_two_that_do_not_fit_never_both_pass(given_stamps: list[float], data: st.DataObject) -> None:
    """In any interleaving, what was promised to all who pass fits into the room."""
    attempts = [Attempt(f"a{number}", stamp, 100, 60) for number, stamp in enumerate(given_stamps)]
    for number, one in enumerate(attempts):
        one.log.take(Claim(f"own-{number}", 0, one.rank.stamp))
    run(attempts, data, without=("look",))

    assert sum(one.wants for one in attempts if one.is_fetching) <= 100


def run(attempts: list[Attempt], data: st.DataObject, without: tuple[str, ...] = ()) -> None:
    """Let the attempts take their steps in an order that Hypothesis draws."""
    left = {number: [step for step in STEPS if step not in without] for number in range(len(attempts))}
    while left:
        number = data.draw(st.sampled_from(sorted(left)))
        step = left[number].pop(0)
        attempts[number].do(step, [one for one in attempts if one is not attempts[number]])
        left = {key: steps for key, steps in left.items() if steps}


MINE = Rank(True, 10.0, ("ingest", "m"))


@pytest.mark.parametrize(
    ("records", "idle_s", "reserved"),
    [
        ([Claim("k", GIB, 9.0)], 0.0, GIB),
        ([Claim("k", GIB, 11.0)], 0.0, 0),
        ([Claim("k", GIB, 11.0), Granted()], 0.0, GIB),
        ([Claim("k", GIB, 9.0), Granted()], LIVING_S + 1, 0),
        ([Claim("k", GIB, 9.0), Claim("l", GIB, 9.0), Settled("k")], 0.0, GIB),
        ([Claim("k", None, 9.0)], 0.0, 0),
        (
            [Claim("k", GIB, 9.0), Begun(0, "k", Identity(size=GIB)), Segment(0, 0, SEGMENT_BYTES, b"d" * 32)],
            0.0,
            GIB - SEGMENT_BYTES,
        ),
    ],
    ids=["before", "behind", "granted", "dead", "settled", "unknown", "begun"],
)
def test_how_much_room_is_spoken_for(records: list[Record], idle_s: float, reserved: int) -> None:
    """What those who go first, or were granted room, have still to write; of the dead nothing."""
    assert reserved == Neighbour(("ingest", "x"), log_of(*records), idle_s, 0).reserved_bytes(MINE)


def test_a_journal_is_followed(hard_store: Store, root: Path) -> None:
    """Only what came since is read; a journal that is gone, or became a link, ends it."""
    folder = folder_of(hard_store, "one", Claim("k", 5, 1.0))
    before = looked_up(hard_store, folder)
    file = root.joinpath(*folder, "journal")
    with file.open("ab") as journal:
        journal.write(encode([Settled("k")]) + b'["torn')
    after = refreshed(hard_store.volume, before, 0.0)
    with file.open("rb") as journal:
        content = journal.read()
    assert after is not None
    still = refreshed(hard_store.volume, after, 0.0)
    file.unlink()
    gone = refreshed(hard_store.volume, after, 0.0)
    file.symlink_to(root / "store.json")

    assert ({}, len(content), True) == (after.log.claims, after.journal_bytes, still is not None)
    assert (None, None) == (gone, refreshed(hard_store.volume, after, 0.0))


def test_looking_changes_nothing(root: Path) -> None:
    """Journals are read on a volume that refuses to be written to as well."""
    steps: list[str] = []
    with Store.open(str(root), Filesystem()) as store:
        folder = folder_of(store, "one")
    with Store.open(str(root), Filesystem(steps.append)) as store:
        steps.clear()
        found = neighbours(store.volume, (), 0.0)

    assert ([], [folder]) == (steps, [one.folder for one in found])
