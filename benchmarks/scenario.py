"""What a scenario is, and one turn of one contender in it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.contenders import OURS, Task
from benchmarks.goals import Goal

if TYPE_CHECKING:
    from benchmarks.bench import Bench
    from benchmarks.samples import Sample


@dataclass(frozen=True)
class Scenario:
    """One question: which files, from which server, by whom, and what modelfetch is to reach.

    `limits` are timed in the same rounds; `also` are collections that the scenario needs beside its own.
    """

    key: str
    title: str
    collection: str
    server: str
    play: Callable[["Bench", "Turn"], "Sample"]
    peers: tuple[str, ...]
    goals: tuple[Goal, ...]
    limits: tuple[str, ...] = ()
    connections: int = 4
    ours: tuple[str, ...] = (OURS,)
    also: tuple[str, ...] = ()

    @property
    def contenders(self) -> tuple[str, ...]:
        """All who take part, in the order of a round."""
        return (*self.ours, *self.peers, *self.limits)


@dataclass(frozen=True)
class Turn:
    """One run of one contender; rounds count from 1."""

    scenario: Scenario
    contender: str
    round: int

    def task(self, bench: "Bench", out: Path) -> Task:
        """Return what the contender has to do."""
        return Task(
            collection=bench.collections[self.scenario.collection],
            address=bench.address(self.scenario.server),
            out=out,
            connections=self.scenario.connections,
            ca_file=bench.ca_file if self.scenario.server == "tls" else None,
        )
