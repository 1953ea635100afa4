"""A defect of our own, planted at a line of the operator's code: raised once, in the middle of a look.

Comes in: steps (driver.py). Goes out: the lines that looks execute on the way, and the same run with a defect at one of
them. What takes in events or looks after the queue is not part of a look.
"""

import asyncio
import logging
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import modelfetch
from modelfetch.controller.fetches import Fetches
from modelfetch.controller.queue import KeyedQueue
from modelfetch.controller.stores import Stores
from tests.simulation.calm import end_well
from tests.simulation.driver import Steps
from tests.simulation.world import World

_PACKAGE = str(Path(modelfetch.__file__).parent)
_FOLDERS = tuple(f"{_PACKAGE}/{name}/" for name in ("controller", "core"))
_LOOKS = (Fetches.reconcile.__code__, Stores.reconcile.__code__)
_QUEUE = KeyedQueue.__module__
_log = logging.getLogger("modelfetch.controller")


class Defect(Exception):
    """What nobody expects."""


@dataclass(frozen=True)
class Place:
    """A line of a function, and the how manieth time that it is executed."""

    code: CodeType
    line: int
    time: int = 0

    def __str__(self) -> str:
        """Return where and when that is."""
        where = f"{Path(self.code.co_filename).relative_to(_PACKAGE)}:{self.line}"
        return f"{where} in {self.code.co_qualname}, {self.time}."


class _Tracer:
    """Gathers the lines of looks, or raises at one of them."""

    def __init__(self, target: Place | None = None) -> None:
        self.places: Counter[Place] = Counter()
        self.was_there = False
        self._target = target
        self._times = 0

    def __call__(self, frame: FrameType, _event: str, _arg: Any) -> Any:
        code = frame.f_code
        if self._target is not None:
            return self._raise if code is self._target.code and not self.was_there and _is_in_look(frame) else None
        return self._gather if code.co_filename.startswith(_FOLDERS) and _is_in_look(frame) else None

    def _gather(self, frame: FrameType, event: str, _arg: Any) -> Any:
        if event == "line":
            self.places[Place(frame.f_code, frame.f_lineno)] += 1
        return self._gather

    def _raise(self, frame: FrameType, event: str, _arg: Any) -> Any:
        assert self._target is not None
        # Whoever is cancelled is to end: that is how an operator is killed here.
        is_ending = isinstance(sys.exc_info()[1], asyncio.CancelledError)
        if event == "line" and frame.f_lineno == self._target.line and not is_ending:
            self._times += 1
            self.was_there = self._times == self._target.time
            if self.was_there:
                raise Defect(str(self._target))
        return self._raise


def _is_in_look(frame: FrameType) -> bool:
    above: FrameType | None = frame
    while above is not None and above.f_code not in _LOOKS:
        above = above.f_back
    return above is not None and frame.f_globals["__name__"] != _QUEUE


def places(steps: Steps) -> list[Place]:
    """Return the lines that looks execute in these steps, in a fixed order, each in the middle of all its times."""
    found = _play(steps, _Tracer()).places
    return sorted((replace(place, time=(times + 1) // 2) for place, times in found.items()), key=str)


def play_with(steps: Steps, place: Place) -> bool:
    """Take the steps with a defect at `place`, end well, and return whether it was met; raises Broken."""
    return _play(steps, _Tracer(place)).was_there


def _play(steps: Steps, tracer: _Tracer) -> _Tracer:
    _log.addFilter(_is_no_defect)
    sys.settrace(tracer)
    try:
        with World() as world:
            for rule, number in steps:
                world.step(rule, number)
            sys.settrace(None)
            end_well(world)
    finally:
        sys.settrace(None)
        _log.removeFilter(_is_no_defect)
    return tracer


def _is_no_defect(record: logging.LogRecord) -> bool:
    return not record.exc_info or record.exc_info[0] is not Defect
