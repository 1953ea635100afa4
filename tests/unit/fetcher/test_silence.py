"""A run that is watched: where the volume answers, nothing is different. A silent one: tests/storage/test_hang.py."""

from pathlib import Path
from threading import Event

from modelfetch.api.order import RemovalTarget, RemoveOrder
from modelfetch.fetcher.attempt import Surroundings, carry_out
from modelfetch.fetcher.silence import attend
from modelfetch.reasons import Reason
from modelfetch.report import Report
from tests.loopback import CLOCK

ORDER = RemoveOrder(targets=(RemovalTarget(namespace="tests", name="model", owner="uid-1"),))


def around(volume: Path, told: list[Report]) -> Surroundings:
    return Surroundings(str(volume), told.append, Event(), CLOCK)


def test_a_run_on_a_volume_that_answers(tmp_path: Path) -> None:
    """The report is the run's own, and no thread stays."""
    ended, plain = attend(ORDER, around(tmp_path, [])), carry_out(ORDER, around(tmp_path, []))

    assert (plain.model_copy(update={"at": ended.report.at}), False) == (ended.report, ended.is_stuck)


def test_a_run_that_fails(tmp_path: Path) -> None:
    """A refusal of the volume is the run's own report, too."""
    (tmp_path / "foreign").write_text("not a store")
    ended = attend(ORDER, around(tmp_path, []))

    assert (Reason.STORAGE_UNSUITABLE, False) == (ended.report.reason, ended.is_stuck)
