"""Which action befalls which request: rules, pure but for counting, and one JSON line that replays them.

Comes in: rules from a test, a seed (generated.py) or the line of an earlier run. Goes out: for each call the rules
whose turn it is, in the order in which they were added. A plan that cannot be carried out is refused at once.
"""

import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import Field, TypeAdapter

from tests.api_faults.actions import Action, Answer, Delay, Edit, Linger, TimeTravel, Truncate, _Strict
from tests.api_faults.call import READS, WRITES, Call

Phase = Literal["before", "after", "response"]
"""The request has not reached the server; the server has answered and the client has not heard it; it has heard it."""


@dataclass(frozen=True)
class Match(_Strict):
    """What a call must be; what is left out matches all. `verb` may be `read` or `write`, `resource` has RBAC's form.

    `name` is a pattern of the whole name, or of the ModelFetch that the object is for; of a watch it chooses the events
    that count. `agent` is found in the client's User-Agent, `sentence` is the whole of the call's.
    """

    verb: str = ""
    resource: str = ""
    name: str = ""
    agent: str = ""
    sentence: str = ""

    def fits(self, call: Call, agent: str) -> bool:
        """Return whether this call is one that counts."""
        kinds = {"": {call.verb}, "read": READS, "write": WRITES}.get(self.verb, {self.verb})
        return (
            call.verb in kinds
            and self.sentence in ("", call.sentence)
            and self.resource in ("", call.kind)
            and (call.verb == "watch" or self.names(call.name, call.about))
            and re.search(self.agent, agent) is not None
        )

    def names(self, *names: str) -> bool:
        """Return whether any of these names is meant."""
        return not self.name or any(re.fullmatch(self.name, name) for name in names)


@dataclass(frozen=True)
class Rule(_Strict):
    """What befalls the `nth` call that fits, and after it each `every`-th, `times` in all (None: for ever)."""

    match: Match
    action: Annotated[Action, Field(discriminator="do")]
    phase: Phase = "before"
    nth: int = 1
    every: int = 1
    times: int | None = 1

    def __post_init__(self) -> None:
        if problem := _problem(self):
            raise ValueError(f"{self.action.do}: {problem}, not {self.match.verb or 'all'} in phase {self.phase}")

    def takes(self, number: int) -> bool:
        """Return whether the call that fits for the `number`th time, from 1, is met."""
        turn, between = divmod(number - self.nth, self.every)
        return number >= self.nth and between == 0 and (self.times is None or turn < self.times)


def _problem(rule: Rule) -> str:
    action, verb, phase = rule.action, rule.match.verb, rule.phase
    if (isinstance(action, get_args(Edit)) or verb == "watch") and (verb, phase) != ("watch", "before"):
        return "a watch is met before it begins"
    if isinstance(action, Truncate) and (phase != "after" or verb == "watch"):
        return "an answer is cut after the server gave it"
    if isinstance(action, TimeTravel) and (phase != "before" or verb not in (*READS, "read", "watch")):
        return "a read goes elsewhere before it reaches the server"
    if isinstance(action, Linger) and (phase != "before" or verb not in (*WRITES, "write")):
        return "a write is on its way before it reaches the server"
    if isinstance(action, Answer | Delay) and phase == "response":
        return "who has its answer gets no other"
    return ""


_RULES = TypeAdapter(tuple[Rule, ...])


def to_line(rules: Iterable[Rule]) -> str:
    """Return rules as one line of JSON."""
    return _RULES.dump_json(tuple(rules), exclude_defaults=False).decode()


def from_line(line: str) -> tuple[Rule, ...]:
    """Return the rules of a line; raises ValueError (pydantic's) where it is no plan."""
    return _RULES.validate_json(line)


@dataclass
class _InForce:
    rule: Rule
    fitted: int = 0
    met: int = 0


class Plan:
    """The rules in force, and how often each was met; safe to use from any thread."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._in_force: list[_InForce] = []
        self._lock = threading.Lock()
        self.add(*rules)

    def add(self, *rules: Rule) -> None:
        """Put rules in force; they count from now on."""
        with self._lock:
            self._in_force += map(_InForce, rules)

    def clear(self) -> None:
        """Put all rules out of force."""
        with self._lock:
            self._in_force.clear()

    def edited(self, rule: Rule) -> None:
        """Count that an edit, by this rule as `take` returned it, was made: a watch may end before its event comes."""
        with self._lock:
            for entry in self._in_force:
                entry.met += entry.rule is rule

    def met(self) -> list[int]:
        """Return how many calls each rule in force has met, in order; of one that edits watches, how many edits."""
        with self._lock:
            return [entry.met for entry in self._in_force]

    def line(self) -> str:
        """Return the rules in force as one line of JSON, which `from_line` reads."""
        with self._lock:
            return to_line(entry.rule for entry in self._in_force)

    def take(self, call: Call, agent: str) -> list[Rule]:
        """Count this call and return the rules whose turn it is."""
        with self._lock:
            fitting = [entry for entry in self._in_force if entry.rule.match.fits(call, agent)]
            for entry in fitting:
                entry.fitted += 1
            taken = [entry for entry in fitting if entry.rule.takes(entry.fitted)]
            for entry in taken:
                entry.met += not isinstance(entry.rule.action, get_args(Edit))
        return [entry.rule for entry in taken]
