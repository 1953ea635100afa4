"""An attempt that was there first is waited for as long as it gets on, and nobody needs anybody."""

import os
import time
from pathlib import Path

import pytest

from modelfetch.devcluster.hub import FixtureHub
from modelfetch.fetcher.watch import LOOKS
from modelfetch.reasons import Reason
from modelfetch.store import layout
from modelfetch.store.fs import Filesystem
from modelfetch.store.journal import Claim, Settled, encode
from modelfetch.store.processes import Process
from modelfetch.store.store import Store
from tests.loopback import from_hub, published_files
from tests.unit.fetcher.crew.scene import FILES, LAST_ONLY, LATE, SHA256, SIZE, Hasty, asked, held, hurried, other, sent
from tests.unit.store import samples
from tests.unit.store.partials import (
    CONTENT,
    ELSEWHERE,
    ENDED,
)


def test_one_that_does_not_get_on_is_not_waited_for(hub: FixtureHub, tmp_path: Path) -> None:
    """After a minute without progress the fetch goes on alone: with copies, since the other may still write."""
    theirs = held(hub, tmp_path)
    before = (theirs / "file-0").read_bytes()
    stop = Hasty()
    report = hurried(from_hub(hub, "org/name"), tmp_path, stop)

    assert (None, FILES, LAST_ONLY) == (report.reason, published_files(tmp_path), asked(hub))
    assert LOOKS + 1 == stop.pauses
    assert before == (theirs / "file-0").read_bytes()


def test_one_that_gets_on_is_waited_for(hub: FixtureHub, tmp_path: Path) -> None:
    """However long it takes, as long as its journal grows; when it gives the file up, the fetch goes on at once."""
    pauses = 3 * LOOKS
    theirs = held(hub, tmp_path)

    def get_on(count: int) -> None:
        with (theirs / "journal").open("ab") as journal:
            journal.write(encode([Settled("of another file" if count < pauses else SHA256)]))

    stop = Hasty(get_on)
    report = hurried(from_hub(hub, "org/name"), tmp_path, stop)

    assert (None, pauses + 1, FILES) == (report.reason, stop.pauses, published_files(tmp_path))


def test_what_the_other_has_brought_is_used(hub: FixtureHub, tmp_path: Path) -> None:
    """Nothing is fetched, and the file is the other's."""
    theirs = held(hub, tmp_path)

    def bring(_count: int) -> None:
        with Store.open(str(tmp_path), Filesystem()) as store:
            samples.publish(store, {"x": CONTENT})
        with (theirs / "journal").open("ab") as journal:
            journal.write(encode([Settled(SHA256)]))

    report = hurried(from_hub(hub, "org/name"), tmp_path, Hasty(bring))

    assert (None, [], FILES) == (report.reason, asked(hub), published_files(tmp_path))
    assert SIZE == report.progress.bytes_reused


def test_one_whose_folder_goes_is_not_waited_for(hub: FixtureHub, tmp_path: Path) -> None:
    """It has failed and cleaned up: the fetch goes on with the next look."""
    theirs = held(hub, tmp_path)

    def vanish(_count: int) -> None:
        for file in theirs.iterdir():
            file.unlink()
        theirs.rmdir()

    stop = Hasty(lambda count: vanish(count) if count == 0 else None)
    report = hurried(from_hub(hub, "org/name"), tmp_path, stop)

    assert (None, 1, SIZE) == (report.reason, stop.pauses, sent(hub))


@pytest.mark.parametrize("process", [ELSEWHERE, ENDED], ids=["seen by the operator", "gone for certain"])
def test_one_that_has_ended_is_not_waited_for(hub: FixtureHub, tmp_path: Path, process: Process) -> None:
    """Its journal looks young, but it was seen to end: its file is taken over at once, and its folder goes."""
    theirs = held(hub, tmp_path, process)
    inode = (theirs / "file-0").stat().st_ino
    stop = Hasty()
    ended = ("other",) if process is ELSEWHERE else ()
    report = hurried(from_hub(hub, "org/name", name="first", ended=ended), tmp_path, stop)
    blob = tmp_path.joinpath(*layout.blob(SHA256))

    assert (None, 0, LAST_ONLY) == (report.reason, stop.pauses, asked(hub))
    assert (inode, CONTENT, False) == (blob.stat().st_ino, blob.read_bytes(), theirs.exists())


def test_one_that_came_later_is_not_waited_for(hub: FixtureHub, tmp_path: Path) -> None:
    """It is that one's turn to wait."""
    other(tmp_path, Claim(SHA256, SIZE, LATE))
    stop = Hasty()

    assert (None, 0) == (hurried(from_hub(hub, "org/name"), tmp_path, stop).reason, stop.pauses)


def test_a_wait_can_be_stopped(hub: FixtureHub, tmp_path: Path) -> None:
    """SIGTERM ends a fetch that waits as soon as one that downloads."""
    held(hub, tmp_path)
    stop = Hasty(lambda count: stop.set() if count == 3 else None)
    report = hurried(from_hub(hub, "org/name"), tmp_path, stop)

    assert (Reason.CANCELLED, 4) == (report.reason, stop.pauses)


def test_a_clock_that_was_put_back_keeps_nobody_waiting(hub: FixtureHub, tmp_path: Path) -> None:
    """A journal from an hour ahead is what a dead attempt left behind, not a sign of life for an hour."""
    theirs = held(hub, tmp_path)
    ahead = time.time() + 3600
    os.utime(theirs / "journal", (ahead, ahead))
    stop = Hasty()

    assert (None, 0) == (hurried(from_hub(hub, "org/name"), tmp_path, stop).reason, stop.pauses)
