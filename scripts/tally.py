"""Say how many tests passed, failed and were skipped, over several suites, and how those of each fault went.

In: a folder and the names of the suites whose JUnit reports must be there. Out: one line a fault, one line a suite, one
line a skip with its reason, and the last line `N passed, N failed, N skipped`. Exit code 1 where something failed, or
where a suite wrote no report or ran no test: silence is no success.
"""

import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from scripts import faults


@dataclass
class Tally:
    """Counts of one suite; `skips` counts tests with the reason of each."""

    passed: int = 0
    failed: int = 0
    skips: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    cases: list[tuple[str, str, str]] = field(default_factory=list)
    """Of each test: its module, its name, and what it came to."""


def read(report: Path) -> Tally:
    """Return the counts of one JUnit report; a missing, broken or empty one counts as one failure."""
    tally = Tally()
    try:
        cases = list(ElementTree.parse(report).iter("testcase"))
    except (OSError, ElementTree.ParseError) as error:
        return Tally(failed=1, failures=[f"no report: {error}"])
    if not cases:
        return Tally(failed=1, failures=["no test ran"])
    for case in cases:
        count(case, tally)
    return tally


def count(case: ElementTree.Element, tally: Tally) -> None:
    """Add one test to `tally`; an error in a fixture is a failure."""
    module, test = case.get("classname") or "", case.get("name") or ""
    name = f"{module}::{test}"
    skip = case.find("skipped")
    if case.find("failure") is not None or case.find("error") is not None:
        tally.failed += 1
        tally.failures.append(name)
        result = "failed"
    elif skip is not None:
        tally.skips[f"{name}: {skip.get('message') or 'no reason given'}"] += 1
        result = "skipped"
    else:
        tally.passed += 1
        result = "passed"
    tally.cases.append((module, test, result))


def main(arguments: list[str]) -> int:
    """Print the counts of the suites named in `arguments` (folder, then names) and return the exit code."""
    folder, *suites = arguments
    tallies = {suite: read(Path(folder) / f"{suite}.xml") for suite in suites}
    print()
    for line in faults.lines(faults.results(case for tally in tallies.values() for case in tally.cases)):
        print(line)
    print()
    for suite, tally in tallies.items():
        print(f"{suite}: {tally.passed} passed, {tally.failed} failed, {tally.skips.total()} skipped")
        for failure in tally.failures:
            print(f"  failed: {failure}")
        for skip, times in sorted(tally.skips.items()):
            print(f"  skipped: {skip}" + (f" ({times} times)" if times > 1 else ""))
    failed = sum(tally.failed for tally in tallies.values())
    passed = sum(tally.passed for tally in tallies.values())
    skipped = sum(tally.skips.total() for tally in tallies.values())
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
