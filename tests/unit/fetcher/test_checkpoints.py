"""What was received becomes durable while the fetch goes on, and others see that it does."""

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelfetch.errors import FetchError
from modelfetch.fetcher.checkpoints import BYTES, Checkpoints
from modelfetch.reasons import Reason
from modelfetch.store import layout
from modelfetch.store.fs import Filesystem
from modelfetch.store.ingest import Ingest
from modelfetch.store.journal import decode
from modelfetch.store.store import Store
from tests.unit.store.partials import FIRST, SECOND, receive, segment

PATIENCE_S = 30.0
FOR_EVER_S = 3600.0
SHORT_S = 0.001


class Steps:
    """Remembers the steps of a volume; those in `failing` fail."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.failing: set[str] = set()
        self._changed = threading.Condition()

    def __call__(self, step: str) -> None:
        with self._changed:
            self.seen.append(step)
            self._changed.notify_all()
        if step in self.failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def wait_for(self, step: str, times: int = 1) -> bool:
        """Return True as soon as the step was seen that often."""
        with self._changed:
            return self._changed.wait_for(lambda: self.seen.count(step) >= times, PATIENCE_S)


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def ingest(tmp_path: Path, steps: Steps) -> Iterator[Ingest]:
    with Store.open(str(tmp_path / "store"), Filesystem(steps)) as store, store.ingest("a") as opened:
        yield opened


def states(ingest: Ingest) -> list[int]:
    """Return after how many bytes the journal has a state of the hash."""
    log = decode(ingest.volume.read(layout.journal(ingest.folder), 1 << 20) or b"")
    assert log is not None
    return [state.size for state in log.files[0].states] if log.files else []


def test_much_is_made_durable_at_once(ingest: Ingest, steps: Steps) -> None:
    """64 MiB are not kept waiting for the second to pass: data first, then the state of the hash, then the journal."""
    with Checkpoints(ingest, FOR_EVER_S) as checkpoints:
        receive(ingest, [FIRST], hashed=SECOND)
        checkpoints.wrote(BYTES - 1)
        steps.seen.clear()
        checkpoints.wrote(1)

        assert steps.wait_for("after journal.sync")
    order = ["after file.checkpoint", "after journal.append", "after journal.sync"]
    assert order == [step for step in steps.seen if step in order][:3]
    assert [SECOND] == states(ingest)


def test_little_is_made_durable_soon(ingest: Ingest, steps: Steps) -> None:
    """Whatever was written is durable after the interval."""
    with Checkpoints(ingest, SHORT_S):
        receive(ingest, [FIRST])

        assert steps.wait_for("after file.checkpoint")


def test_the_end_makes_durable_what_there_is(ingest: Ingest, steps: Steps) -> None:
    """However short the fetch was, and whatever ended it, what it received is durable when the thread has ended."""
    with Checkpoints(ingest, FOR_EVER_S):
        receive(ingest, [FIRST], hashed=SECOND)

    assert 1 == steps.seen.count("after file.checkpoint")
    assert [SECOND] == states(ingest)


def test_hashing_alone_is_written_down(ingest: Ingest) -> None:
    """A fetch that only hashes what an earlier one received need not hash it again after a kill."""
    partial = receive(ingest, [FIRST, SECOND])
    ingest.checkpoint()
    with Checkpoints(ingest, FOR_EVER_S):
        partial.hashed(SECOND, b"a state")

    assert [SECOND] == states(ingest)


def test_a_fetch_that_waits_shows_that_it_lives(ingest: Ingest, steps: Steps, tmp_path: Path) -> None:
    """Without a byte received the journal's time goes on, and no disk is kept busy."""
    ingest.checkpoint()
    [journal] = tmp_path.glob("store/ingest/*/journal")
    os.utime(journal, (1, 1))
    before = len(steps.seen)
    with Checkpoints(ingest, SHORT_S):
        limit = threading.Event()
        while journal.stat().st_mtime == 1 and not limit.wait(SHORT_S):
            continue

    assert [] == steps.seen[before:]


def test_an_error_is_told_to_those_who_write(ingest: Ingest, steps: Steps) -> None:
    """A checkpoint that fails ends no thread silently: the next write of the file says what the volume answered."""
    steps.failing.add("before file.checkpoint")
    with Checkpoints(ingest, FOR_EVER_S) as checkpoints:
        partial = receive(ingest, [FIRST])
        checkpoints.wrote(BYTES)
        assert steps.wait_for("after journal.sync")
        with pytest.raises(FetchError, match=r"file\.checkpoint") as raised:
            partial.write_segment(SECOND, segment(SECOND))

    assert Reason.STORAGE_IO_ERROR is raised.value.reason
    assert 1 == steps.seen.count("before file.checkpoint")
