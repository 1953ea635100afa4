"""What the state machine of model.py is made of: processes that can be killed, attempts at work, counts."""

import os
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass

from modelfetch.store.store import Store
from tests.crash.ledger import Task
from tests.unit.store import samples

PIECES = [b"", samples.SHARED, b"tokens" * 3000]
"""Contents of files that models share: none, a small one, and one of several segments where those are small."""


class Killed(BaseException):
    """The process ends here."""


class Enough(BaseException):
    """As many steps were taken as were asked for."""


@dataclass
class Count:
    """What all examples of one run took; `wanted` rules are enough."""

    wanted: int = 0
    rules: int = 0
    steps: int = 0
    kills: int = 0
    failures: int = 0
    publishes: int = 0


COUNT = Count()


@dataclass
class Mortal:
    """The hook of one process: counts its steps, calls `then` at one of them, and takes none after `then` raised."""

    at: int | None = None
    then: Callable[[], None] = lambda: None
    is_dead: bool = False

    def arm(self, at: int | None, then: Callable[[], None]) -> None:
        self.at, self.then = at, then

    def __call__(self, _step: str) -> None:
        if self.is_dead:
            raise Killed
        COUNT.steps += 1
        if self.at is not None:
            self.at -= 1
            if self.at < 0:
                self.at = None
                self.then()

    def die(self) -> None:
        self.is_dead = True
        raise Killed


@dataclass
class Writer:
    """One attempt at work."""

    attempt: str
    task: Task
    hook: Mortal
    store: Store
    work: Generator[str]
    is_publishing: bool = False
    is_robbed: bool = False
    """Whether a blob that it relies on may have been taken away by hand."""


def content_of(name: str) -> samples.Content:
    """Return the files that a content's name stands for: a number whose bits choose pieces, and a large file."""
    chosen = [number for number in range(len(PIECES)) if int(name) >> number & 1]
    own = {"name.txt": name.encode(), "own.bin": name.encode().ljust(64) * 700}
    return {**own, **{f"sub/{number}.bin": PIECES[number] for number in chosen}}


def open_files(attempt: str) -> list[int]:
    """Return copies of the descriptors of an attempt's private files."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            path = os.readlink(f"/proc/self/fd/{name}")
            if f"/ingest/{attempt}." in path and "/file-" in path:
                found.append(os.dup(int(name)))
    return found
