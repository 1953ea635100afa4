"""Rules by chance: the same ones for the same seed.

Comes in: a source of chance. Goes out: rules that `Plan` takes. None of them kills anybody, and none lasts for ever.
"""

import random

from tests.api_faults.actions import (
    Action,
    Answer,
    Close,
    Coalesce,
    Delay,
    Drop,
    Expire,
    Lose,
    Pause,
    Repeat,
    Reset,
    Silence,
    TimeTravel,
    Truncate,
)
from tests.api_faults.rules import Match, Phase, Rule

STATUSES = (409, 429, 500, 502, 503, 504)
KINDS = ("", "jobs", "modelfetches/status", "modelstores/status")
WATCHED = ("modelfetches", "modelstores", "jobs", "pods")
LONGEST_S = 2.0
_FIRST = 10
"""Of so many calls or events one is met."""


def random_rules(chance: random.Random, count: int) -> tuple[Rule, ...]:
    """Return `count` rules."""
    return tuple(chance.choice((_of_a_write, _of_a_read, _of_a_watch))(chance) for _ in range(count))


def _of_a_write(chance: random.Random) -> Rule:
    phase: Phase = chance.choice(("before", "after"))
    actions: list[Action] = [Drop(), Reset(), Delay(chance.uniform(0, LONGEST_S)), Answer(chance.choice(STATUSES))]
    if phase == "after":
        actions.append(Truncate(chance.randrange(200), honest=chance.random() < 0.5))
    match = Match("write", chance.choice(KINDS))
    return Rule(match, chance.choice(actions), phase, nth=_some(chance), times=chance.randint(1, 3))


def _of_a_read(chance: random.Random) -> Rule:
    actions: list[Action] = [Drop(), Reset(), Answer(chance.choice((429, 503))), TimeTravel(_some(chance))]
    action = chance.choice(actions)
    # What is told of the past is told as a list: only of what may be listed.
    match = Match("list", chance.choice(WATCHED)) if isinstance(action, TimeTravel) else Match("read")
    return Rule(match, action, nth=_some(chance))


def _of_a_watch(chance: random.Random) -> Rule:
    at = _some(chance)
    actions: list[Action] = [
        Close(at, chance.choice(("end", "cut", "reset"))),
        Coalesce(at, chance.randint(2, 4)),
        Expire(at),
        Lose(at),
        Pause(at, chance.uniform(0, LONGEST_S)),
        Repeat(at),
        Silence(at),
    ]
    return Rule(Match("watch", chance.choice(WATCHED)), chance.choice(actions))


def _some(chance: random.Random) -> int:
    return chance.randint(1, _FIRST)
