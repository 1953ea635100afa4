"""The check of statuses finds what it is for: a history that breaks a rule of kstatus, or of messages."""

import copy
from typing import Any

import pytest

from modelfetch.core.conditions import Standing, make
from modelfetch.reasons import Reason
from tests.kstatus import check_history, check_versions
from tests.unit.core.looks import NOW

WAITING = Standing("blocked", "Pending", Reason.UNSCHEDULABLE, "no node has 3 GiB")


def history() -> list[dict[str, Any]]:
    """Return two good statuses of one attempt."""
    conditions = make(WAITING, [], 1, NOW)
    status = {
        "observedGeneration": 1,
        "attempt": {"number": 1},
        "conditions": [c.model_dump(by_alias=True) for c in conditions],
    }
    return [status, copy.deepcopy(status)]


BROKEN = {
    "only a number changed": {"message": "no node has 4 GiB"},
    "moved without its status": {"lastTransitionTime": "2126-01-01T00:00:00Z"},
    "goes back": {"lastTransitionTime": "2016-01-01T00:00:00Z"},
    "is in no list": {"reason": "Because"},
    "longer than 1024": {"message": "x" * 1025},
    "another generation": {"observedGeneration": 2},
    "stands twice": {"type": "Ready"},
    "present without being true": {"status": "Unknown"},
}


def test_a_good_history_is_none_to_complain_of():
    """The histories that are broken below are good before."""
    assert [] == check_history(history(), generation=1)


@pytest.mark.parametrize("rule", BROKEN)
def test_a_broken_rule_is_found(rule):
    """Each by its name."""
    first, second = history()
    for condition in second["conditions"]:
        condition.update(BROKEN[rule])

    assert [problem for problem in check_history([first, second]) if rule in problem]


def test_a_wait_without_an_end_is_found():
    """Of a fetch that has no attempt, and does not say when somebody looks again."""
    status = {**history()[0], "phase": "Pending"}
    del status["attempt"]

    assert [problem for problem in check_history([status]) if "until when" in problem]
    assert [] == check_history([{**status, "nextRetryTime": "2030-01-01T00:00:00Z"}])


def test_another_attempt_may_say_another_number():
    """What it met is news."""
    first, second = history()
    second["attempt"] = {"number": 2}
    for condition in second["conditions"]:
        condition["message"] = "no node has 4 GiB"

    assert [] == check_history([first, second])


def test_a_status_of_a_spec_to_come_is_found():
    """Nobody may foresee a generation."""
    body = {"metadata": {"generation": 1}, "status": {**history()[0], "observedGeneration": 2}}

    assert [problem for problem in check_versions([body]) if "does not have yet" in problem]


def test_a_reason_that_is_for_ever_does_not_go_on():
    """Reconciling says that it becomes Ready by itself."""
    status = {**history()[0], "phase": "Pending"}
    for condition in status["conditions"]:
        condition["reason"] = Reason.CHECKSUM_MISMATCH.value

    assert [problem for problem in check_history([status]) if "for ever" in problem]


def test_what_is_stalled_does_not_promise_to_go_on():
    """Whoever waits for that waits for ever."""
    stalled = Standing("stalled", "Failed", Reason.SOURCE_UNAVAILABLE, "no. Nothing to do: the fetch goes on.")
    conditions = [c.model_dump(by_alias=True) for c in make(stalled, [], 1, NOW)]

    assert ["status 0: it is stalled, and says that it goes on"] == check_history(
        [{"observedGeneration": 1, "phase": "Failed", "conditions": conditions}]
    )
