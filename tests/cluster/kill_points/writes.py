"""The list of writes of each scenario, as it was reviewed: writes.json, and how a run is compared with it.

Comes in: the writes of runs, as sentences. Goes out: `Expected` by scenario; whatever a run writes beyond it, or not,
as words. `always` has every write as often as it comes; what stands in `sometimes` may come any number of times more,
as where two events were seen at one look.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.api_faults.rules import Phase
from tests.cluster.kill_points.run import Blow

FILE = Path(__file__).parent / "writes.json"
PHASES: tuple[Phase, ...] = ("before", "after", "response")


@dataclass(frozen=True)
class Expected:
    """What one scenario writes."""

    always: tuple[str, ...]
    sometimes: tuple[str, ...] = ()

    def differences(self, writes: Sequence[str]) -> list[str]:
        """Return what is written and not listed, or listed and not written."""
        counts, least = Counter(writes), Counter(self.always)
        missing = [f"missing: {line}" for line in (least - counts).elements()]
        return missing + [f"not listed: {line}" for line in (counts - least) if line not in self.sometimes]

    def blows(self) -> list[tuple[Blow, bool]]:
        """Return a kill before, after the commit of, and after the answer to each write, and whether it must come."""
        seen: Counter[str] = Counter()
        points = []
        for line in (*self.always, *self.sometimes):
            seen[line] += 1
            points += [(Blow(phase, seen[line], line), line not in self.sometimes) for phase in PHASES]
        return points


_RENEWAL = "update leases .*: held"
_BY_TIME = re.compile(
    f"patch modelstores/status .*|{_RENEWAL}|patch modelfetches/status .*: Pending, (StorageNotReady|PodRejected)"
)
"""Writes whose number is that of the seconds that went by: counts of the store, renewals, waits announced anew."""


def without_renewals(writes: Iterable[str]) -> list[str]:
    """Return the writes that are work: of a Lease there are as many as the machine takes seconds for the scenario."""
    return [line for line in writes if not re.fullmatch(_RENEWAL, line)]


def learn(runs: Iterable[Sequence[str]]) -> Expected:
    """Return what several runs of one scenario have in common, and what only some have."""
    first, *others = runs
    counts = [Counter(run) for run in (first, *others)]
    every = sorted(set().union(*counts))
    least = Counter({line: min(count[line] for count in counts) for line in every})
    by_time = [line for line in every if _BY_TIME.fullmatch(line)]
    least.update({line: min(least[line], 1) - least[line] for line in by_time})
    always = [line for n, line in enumerate(first) if first[: n + 1].count(line) <= least[line]]
    vary = [line for line in every if line in by_time or any(count[line] > least[line] for count in counts)]
    return Expected(tuple(always), tuple(vary))


def read() -> dict[str, Expected]:
    """Return the reviewed list."""
    stored = json.loads(FILE.read_text(encoding="utf-8"))
    return {name: Expected(tuple(lists["always"]), tuple(lists["sometimes"])) for name, lists in stored.items()}


def write(lists: Mapping[str, Expected]) -> None:
    """Afterwards the file holds these lists; they want a review."""
    text = json.dumps({name: asdict(expected) for name, expected in lists.items()}, indent=2)
    FILE.write_text(text + "\n", encoding="utf-8")
