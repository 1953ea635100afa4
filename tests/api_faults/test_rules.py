"""Which rule meets which call, and that a plan is one line that says all of it."""

import random

import pytest
from pydantic import ValidationError

from tests.api_faults.actions import Answer, Close, Drop, Kill, Lose, TimeTravel, Truncate
from tests.api_faults.call import Call
from tests.api_faults.generated import random_rules
from tests.api_faults.rules import Match, Plan, Rule, from_line, to_line

CREATE = Call("create", "jobs", "", "a", "mf-1", "model")
STATUS = Call("patch", "modelfetches", "status", "a", "model", "model")
LIST = Call("list", "jobs")
WATCH = Call("watch", "jobs")
AGENT = "kopf/1.45"
MET = {
    "everything": (Match(), {CREATE, STATUS, LIST, WATCH}),
    "writes": (Match("write"), {CREATE, STATUS}),
    "reads": (Match("read"), {LIST}),
    "a verb": (Match("watch"), {WATCH}),
    "a resource, not its subresource": (Match("", "modelfetches"), set()),
    "a subresource": (Match("", "modelfetches/status"), {STATUS}),
    "a name, or what a Job is for": (Match("write", name="model"), {CREATE, STATUS}),
    "an own name": (Match("write", name="mf-.*"), {CREATE}),
    "a whole name": (Match("write", name="mode"), set()),
    "a watch, whose events have names": (Match("watch", name="model"), {WATCH}),
    "a client": (Match("write", agent="^kopf"), {CREATE, STATUS}),
    "another client": (Match("write", agent="^modelfetch"), set()),
}
TURNS = {
    "the first": (Rule(Match(), Drop()), [1]),
    "the third": (Rule(Match(), Drop(), nth=3), [3]),
    "three from the second on": (Rule(Match(), Drop(), nth=2, times=3), [2, 3, 4]),
    "every other one": (Rule(Match(), Drop(), every=2, times=None), [1, 3, 5, 7]),
    "two of every third": (Rule(Match(), Drop(), nth=2, every=3, times=2), [2, 5]),
}
REFUSED = {
    "events of what is no watch": lambda: Rule(Match("list"), Lose(1)),
    "a watch that is answered": lambda: Rule(Match("watch"), Kill(), "after"),
    "an answer cut before there is one": lambda: Rule(Match("write"), Truncate(1)),
    "another answer after the true one": lambda: Rule(Match("write"), Answer(500), "response"),
    "a write into the past": lambda: Rule(Match("write"), TimeTravel(1)),
}


@pytest.mark.parametrize("case", MET)
def test_a_match_means(case):
    """Words of RBAC, patterns of whole names."""
    match, met = MET[case]

    assert met == {call for call in (CREATE, STATUS, LIST, WATCH) if match.fits(call, AGENT)}


@pytest.mark.parametrize("case", TURNS)
def test_a_rule_has_its_turn(case):
    """Of the calls that fit, those that the rule counts to."""
    rule, turns = TURNS[case]
    plan = Plan([rule])

    assert turns == [number for number in range(1, 9) if plan.take(CREATE, AGENT)]
    assert [len(turns)] == plan.met()


def test_calls_that_do_not_fit_are_not_counted():
    """The second write is the second one, however often somebody reads between."""
    plan = Plan([Rule(Match("write"), Drop(), nth=2)])
    taken = [bool(plan.take(call, AGENT)) for call in (LIST, CREATE, LIST, WATCH, STATUS)]

    assert [False, False, False, False, True] == taken


def test_rules_count_by_themselves():
    """Each sees all calls that fit it; those whose turn it is come in their order."""
    first, second = Rule(Match("write"), Drop(), nth=2), Rule(Match("create"), Kill())
    plan = Plan([first])
    plan.take(STATUS, AGENT)
    plan.add(second)

    assert [first, second] == plan.take(CREATE, AGENT)


def test_no_rule_is_in_force_any_more():
    """What was in force is gone, and its line with it."""
    plan = Plan([Rule(Match(), Drop(), times=None)])
    plan.clear()

    assert ([], "[]") == (plan.take(CREATE, AGENT), plan.line())


@pytest.mark.parametrize("case", REFUSED)
def test_a_rule_that_cannot_be_carried_out_is_refused(case):
    """Where it is written, not when it would have been its turn."""
    with pytest.raises(ValueError, match="in phase"):
        REFUSED[case]()


def test_a_plan_is_one_line_that_replays(request):
    """Any rules of chance, and one that kills, come back from their line as they were."""
    chance = random.Random(request.config.option.hypothesis_seed)
    rules = (Rule(Match("write"), Kill(), "response", nth=7), *random_rules(chance, 200))
    line = Plan(rules).line()

    assert rules == from_line(line)
    assert "\n" not in line


def test_a_seed_gives_the_same_rules():
    """And another one others."""
    once, again, other = (random_rules(random.Random(seed), 20) for seed in (1, 1, 2))

    assert once == again
    assert once != other


@pytest.mark.parametrize(
    "line",
    [
        '[{"match": {}, "action": {"do": "explode"}}]',
        '[{"match": {"verbs": "get"}, "action": {"do": "drop"}}]',
        '[{"match": {}, "action": {"do": "close", "after": 1}}]',
        '[{"match": {"verb": "get"}, "action": {"do": "linger", "seconds": 1}}]',
    ],
)
def test_a_line_that_is_no_plan_is_refused(line):
    """An action or a field that nobody knows, an action that its calls cannot meet."""
    with pytest.raises(ValidationError):
        from_line(line)


def test_a_line_may_leave_out_what_is_as_ever():
    """A person who writes one by hand writes little."""
    line = '[{"match": {"verb": "watch"}, "action": {"do": "close", "after": 1}}]'

    assert (Rule(Match("watch"), Close(1)),) == from_line(line)
    assert from_line(line) == from_line(to_line(from_line(line)))
