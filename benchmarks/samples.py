"""What one run of one contender gave, and the figures that many of them add up to.

In: costs and counts of plays.py. Out: medians, the best peer and the limit of a scenario, for goals.py and the table.
"""

import statistics
from dataclasses import dataclass, field
from typing import Any

from benchmarks.contenders import LIMITS, PEERS


@dataclass(frozen=True)
class Sample:
    """One run: its cost, why it did not count (else empty), and what was counted beside it."""

    wall_s: float
    cpu_s: float
    rss_mib: float
    complaint: str = ""
    facts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Figures:
    """All samples of one scenario, by contender."""

    samples: dict[str, list[Sample]]

    @classmethod
    def of(cls, scenario: dict[str, Any]) -> "Figures":
        """Return the figures of a scenario as it stands in a results file."""
        return cls({name: [Sample(**row) for row in rows] for name, rows in scenario["samples"].items()})

    def good(self, name: str) -> list[Sample]:
        """Return the runs of a contender that ended well."""
        return [sample for sample in self.samples.get(name, []) if not sample.complaint]

    def failed(self, name: str) -> bool:
        """Return whether a run of a contender ended badly."""
        return len(self.good(name)) < len(self.samples.get(name, []))

    def median(self, name: str, what: str = "wall_s") -> float | None:
        """Return the median of a cost or a fact; None where no run ended well, or one ended badly."""
        good = self.good(name)
        if not good or self.failed(name):
            return None
        values = [getattr(sample, what, None) if hasattr(sample, what) else sample.facts.get(what) for sample in good]
        known = [value for value in values if value is not None]
        return statistics.median(known) if known else None

    def worst(self, name: str, what: str) -> float | None:
        """Return the largest value of a cost or a fact over all runs, None where one ended badly."""
        if self.median(name, what) is None:
            return None
        good = self.good(name)
        return max(getattr(sample, what) if hasattr(sample, what) else sample.facts[what] for sample in good)

    def spread(self, name: str) -> tuple[float, float]:
        """Return the shortest and the longest wall time of a contender with good runs."""
        walls = [sample.wall_s for sample in self.good(name)]
        return min(walls), max(walls)

    def best_peer(self) -> tuple[str, float] | None:
        """Return the peer with the smallest median wall time."""
        peers = [
            (name, wall)
            for name in self.samples
            if name in PEERS and name not in LIMITS and (wall := self.median(name))
        ]
        return min(peers, key=lambda pair: pair[1]) if peers else None

    def limit(self) -> tuple[str, float] | None:
        """Return the limit: the longest of those that were timed."""
        limits = [(name, wall) for name in self.samples if name in LIMITS and (wall := self.median(name))]
        return max(limits, key=lambda pair: pair[1]) if limits else None
