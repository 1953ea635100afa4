"""Results files: written after every round, so that a stopped run keeps what it has, and merged by scenario.

In: the header, samples. Out: benchmarks/results/DATE-(sha_ni|no-sha_ni|operator).json; a later run of a scenario on the
same day and kind of machine takes the place of the earlier one.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from benchmarks.goals import Goal
from benchmarks.samples import Figures, Sample

FOLDER = Path(__file__).parent / "results"


class Asked(Protocol):
    """What was asked: a scenario, or a question to the operator."""

    @property
    def key(self) -> str:
        """Its number."""

    @property
    def title(self) -> str:
        """What it is, in a line."""

    @property
    def goals(self) -> tuple[Goal, ...]:
        """What modelfetch is to reach."""


OPERATOR = "operator"
"""The kind of results of benchmarks/operator; those of downloads are of two kinds, by what hashing costs."""
_DATE = len("2026-01-01-")


def stem(header: dict[str, Any], kind: str = "") -> str:
    """Return the name of a results file without its ending."""
    return f"{header['date']}-{kind or ('sha_ni' if header['sha_ni'] else 'no-sha_ni')}"


@dataclass
class Results:
    """One results file."""

    path: Path
    machine: dict[str, Any]
    scenarios: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What was measured, and on which kind of machine: the end of the file's name."""
        return self.path.stem[_DATE:]

    @classmethod
    def opened(cls, path: Path, header: dict[str, Any]) -> "Results":
        """Return what the file holds, with this run's header; empty where there is none yet."""
        known = json.loads(path.read_text()) if path.exists() else {}
        return cls(path, header, known.get("scenarios", {}))

    @classmethod
    def read(cls, path: Path) -> "Results":
        """Return what a file holds."""
        known = json.loads(path.read_text())
        return cls(path, known["machine"], known["scenarios"])

    def put(self, scenario: Asked, facts: dict[str, Any], samples: dict[str, list[Sample]]) -> None:
        """Write the samples of a scenario so far, judged by its goals, over what the file held of it."""
        figures = Figures(samples)
        self.scenarios[scenario.key] = {
            "title": scenario.title,
            **facts,
            "goals": [goal.judged(figures) for goal in scenario.goals],
            "samples": {name: [asdict(sample) for sample in rows] for name, rows in samples.items()},
        }
        self._write()

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(self.path.name + ".part")
        draft.write_text(json.dumps({"machine": self.machine, "scenarios": self.scenarios}, indent=1) + "\n")
        draft.replace(self.path)


def newest() -> list[Results]:
    """Return the newest committed results of each kind of machine."""
    kept = {results.kind: results for results in map(Results.read, sorted(FOLDER.glob("*.json")))}
    return [results for _, results in sorted(kept.items(), reverse=True)]
