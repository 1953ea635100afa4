"""Say how the tests of each fault went: the table of docs/faults.md with results.

In: the rows of docs/faults.md and what each test came to. Out: a line a row, with its tests; `not run` where no report
tells of one, `no test yet` where the page says so, and `in part` where either is true of a part. `more in make e2e`
says that only tests of that did not run.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from tests.tables import Row, rows

MISSING = "No test yet"
"""What the page says of a row, or of a part of one, that nothing shows."""
ELSEWHERE = "tests/e2e/"
"""These are run by `make e2e`, and not all of them by `make test`."""
Results = dict[str, Counter[str]]
"""By `path::function`: how many of its cases `passed`, `failed` and were `skipped`."""


def results(cases: Iterable[tuple[str, str, str]]) -> Results:
    """Return the results of cases: the module of each, its name, and what it came to."""
    found: Results = defaultdict(Counter)
    for module, name, result in cases:
        found[f"{module.replace('.', '/')}.py::{name.partition('[')[0]}"][result] += 1
    return found


def lines(found: Results) -> Iterator[str]:
    """Yield a line for each fault, and how many there are of each result."""
    words: Counter[str] = Counter()
    for row in rows("faults.md", r"F\d+"):
        word = _word(row, found)
        words[word] += 1
        yield f"{row.id}: {word}: {row.what}{_tests(row, found)}"
    yield f"{words.total()} faults: " + ", ".join(f"{times} {word}" for word, times in sorted(words.items()))


def _word(row: Row, found: Results) -> str:
    counts = sum((found.get(test, Counter()) for test in row.tests), Counter[str]())
    if counts["failed"]:
        return "failed"
    if not counts["passed"]:
        return "no test yet" if not row.tests else "skipped" if counts["skipped"] else "not run"
    left = [test for test in row.tests if not found.get(test, Counter())["passed"]]
    if MISSING in row.told or not all(test.startswith(ELSEWHERE) for test in left):
        return "passed in part"
    return "passed, more in make e2e" if left else "passed"


def _tests(row: Row, found: Results) -> str:
    told = [f"{test.partition('::')[2]} {_counts(found.get(test, Counter()))}" for test in row.tests]
    return f" ({', '.join(told)})" if told else ""


def _counts(counts: Counter[str]) -> str:
    return " and ".join(f"{times} {result}" for result, times in sorted(counts.items())) or "not run"
