"""What an attempt tells of itself: whole, monotone, and in time."""

import threading
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from modelfetch.fetcher.progress import Progress
from modelfetch.report import Report, Resolved
from modelfetch.transfer.counters import Snapshot

RESOLVED = Resolved(revision="main", commit="c" * 40, total_bytes=100, file_count=3)


class Moving:
    """Counters that a test sets."""

    def __init__(self) -> None:
        self.now = Snapshot(0, 0, (), 0)

    def __call__(self) -> Snapshot:
        return self.now


def made(moving: Moving) -> tuple[Progress, list[Report]]:
    told: list[Report] = []
    return Progress(told.append, lambda: datetime(2026, 1, 1, tzinfo=UTC), moving, "Resolving"), told


def test_a_new_step_is_told_at_once() -> None:
    """Each change of step is a line, with the counters of that moment."""
    progress, told = made(Moving())
    progress.enter("Resolving")
    progress.resolve(RESOLVED, {"a": 60, "b": 40, "c": None})
    progress.enter("Downloading")

    assert [("Resolving", 0, 0), ("Downloading", 100, 3)] == [
        (report.step, report.progress.bytes_total, report.progress.files_total) for report in told
    ]


def test_reused_and_received_bytes_are_done_alike() -> None:
    """Bytes from the store count as done and are named; the time left is what is left at the rate of the moment."""
    moving = Moving()
    progress, _ = made(moving)
    progress.resolve(RESOLVED, {"a": 60, "b": 40, "c": None})
    progress.reuse("a", 60)
    moving.now = Snapshot(10, 0, ("b",), 7)
    found = progress.latest().progress

    assert (70, 60, 1, "b", 5) == (
        found.bytes_done,
        found.bytes_reused,
        found.files_done,
        found.current_file,
        found.eta_seconds,
    )


def test_a_size_that_is_learnt_counts() -> None:
    """The total grows when a file tells its size."""
    progress, _ = made(Moving())
    progress.resolve(RESOLVED, {"a": None})
    progress.learn_size("a", 500)
    progress.learn_size("a", 500)

    assert 500 == progress.latest().progress.bytes_total


@given(steps=st.lists(st.integers(0, 200), max_size=20))
def test_what_is_done_never_goes_back(steps: list[int]) -> None:
    """A file that starts over lowers the engine's counter, not the one that is told; and done is never above total."""
    moving = Moving()
    progress, _ = made(moving)
    progress.resolve(RESOLVED, {"a": 100})
    told = []
    for done in steps:
        moving.now = Snapshot(done, 0, (), 0)
        told.append(progress.latest().progress)

    assert sorted(report.bytes_done for report in told) == [report.bytes_done for report in told]
    assert all(report.bytes_done <= report.bytes_total for report in told)


def test_it_tells_by_itself_while_nothing_happens() -> None:
    """As a context manager it goes on telling, and stops with the block."""
    moving = Moving()
    told: list[Report] = []
    heard = threading.Event()

    def hear(report: Report) -> None:
        told.append(report)
        heard.set()

    with Progress(hear, lambda: datetime(2026, 1, 1, tzinfo=UTC), moving, "Resolving"):
        assert heard.wait(30)

    assert "progress" == told[0].event
