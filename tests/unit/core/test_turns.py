"""When each of the attempts that run is looked at again: few of them often, many each in its turn."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.core import looks
from tests.unit.core.looks import NOW, decide


@pytest.mark.parametrize(
    ("running", "phase", "seconds"),
    [(0, "Running", 2), (30, "Running", 2), (60, "Pending", 4), (1000, "Pending", 10)],
)
def test_a_few_attempts_are_looked_at_often(running, phase, seconds):
    """And a Pod that does not start is not left for long, however many there are."""
    seen = looks.look(jobs=(looks.job(),), pods={"job-1": looks.pod(phase=phase)}, running=running)

    assert NOW + timedelta(seconds=seconds) == decide(seen).again_at


def _turn(uid, at, running=1500):
    """Return when a running attempt is looked at again, one of so many."""
    seen = looks.look(looks.fetch(uid=uid), now=at, running=running, jobs=(looks.job(owner_uid=uid, name=uid),))
    return decide(replace(seen, pods={"job-1": looks.pod(phase="Running")})).again_at


def test_many_attempts_take_turns():
    """Looked at in the same second, each has its own turn soon after: few at a time, and then at set intervals."""
    turns = {f"uid-{number}": _turn(f"uid-{number}", NOW) for number in range(1500)}
    seconds = Counter(int((at - NOW).total_seconds()) for at in turns.values())
    again = {round((_turn(uid, at) - at).total_seconds(), 2) for uid, at in turns.items()}

    (period_s,) = again
    assert 100 <= period_s <= 125
    assert period_s // 2 <= min(seconds) <= max(seconds) <= 1.5 * period_s
    assert max(seconds.values()) <= 2 * 15


def test_turns_stay_where_they_are_while_attempts_come_and_go():
    """Else who waits for a turn would begin to wait anew each time, and others would come twice."""
    assert 1 == len({_turn("uid", NOW, running) for running in range(1400, 1500, 10)})


@pytest.mark.parametrize("late_s", [0.2, 0.9])
def test_a_look_that_is_late_skips_no_turn(late_s):
    """Reading a log takes its time; one of a few more than need turns is looked at every few seconds all the same."""
    at, waits = NOW, []
    for _ in range(10):
        at += timedelta(seconds=late_s)
        waits.append((_turn("uid", at, 31) - at).total_seconds())
        at = _turn("uid", at, 31)

    assert max(waits[1:]) < 3
