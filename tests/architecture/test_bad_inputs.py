"""docs/bad-inputs.md is true: every row has reasons of the closed list, and tests that are there and speak of it."""

import ast
import re
from dataclasses import dataclass

import pytest

from modelfetch.reasons import Reason
from tests.tree import ROOT

REQUIRED = [*range(1, 15), *range(21, 25), *range(29, 34), *range(38, 46), 63, 65, *range(71, 77)]
NO_REASON = {"422", "413", "published"}
"""Answers of the API server, and what does no harm."""

_ROW = re.compile(r"\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|")
_CODE = re.compile(r"`([^`]+)`")
_NAMED = re.compile(r"test_row_(\d+)_")


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    number: int
    input: str
    reasons: list[str]
    told: str
    tests: list[str]


def table() -> list[Row]:
    """Return the lines of the table."""
    found = _ROW.findall((ROOT / "docs" / "bad-inputs.md").read_text())
    return [
        Row(int(number), text, _CODE.findall(reasons), told, _CODE.findall(tests))
        for number, text, reasons, told, tests in found
    ]


def source_of(test: str) -> str | None:
    """Return the text of a test named `path::name`, None where there is none."""
    path, _, name = test.partition("::")
    if not (ROOT / path).is_file():
        return None
    text = (ROOT / path).read_text()
    functions = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name == name]
    return ast.get_source_segment(text, functions[0]) if functions else None


def speaks_of(row: Row, test: str) -> bool:
    """Return whether a test has the row's number in its name, its text or the values that it is run with."""
    text = (ROOT / test.partition("::")[0]).read_text()
    if f"test_row_{row.number}_" in test:
        return True
    if test.endswith("::test_row_at_admission"):
        values = re.search(r'parametrize\("row", \[([^\]]+)\]', text)
        return values is not None and str(row.number) in values[1].split(", ")
    return re.search(rf"[Rr]ows? (\d+,? |to |and )*{row.number}\b", text) is not None


def shows(reason: str, test: str) -> bool:
    """Return whether the file of a test expects this reason."""
    text = (ROOT / test.partition("::")[0]).read_text()
    return f"Reason.{Reason(reason).name}" in text or f'"{reason}"' in text


def test_every_row_is_there_once_and_in_order() -> None:
    """The table has each row that is promised, and no row twice."""
    numbers = [row.number for row in table()]

    assert sorted(set(numbers)) == numbers
    assert set() == set(REQUIRED) - set(numbers)


def test_every_row_of_the_tests_is_in_the_table() -> None:
    """A test that is named after a row is found from the table."""
    files = [*(ROOT / "tests" / "rows").glob("test_*.py"), ROOT / "tests" / "cluster" / "test_rows.py"]
    named = {int(number) for file in files for number in _NAMED.findall(file.read_text())}

    assert set() == named - {row.number for row in table()}


@pytest.mark.parametrize("row", table(), ids=lambda row: f"row {row.number}")
def test_a_row_is_true(row: Row) -> None:
    """Its reasons are of the closed list and expected by its tests, which are there and speak of it."""
    unknown = set(row.reasons) - NO_REASON - {reason.value for reason in Reason}
    ours = [reason for reason in row.reasons if reason not in NO_REASON and reason not in unknown]

    assert (set(), True, True) == (unknown, row.reasons != [], row.tests != [])
    assert [] == [test for test in row.tests if source_of(test) is None]
    assert [] == [test for test in row.tests if not speaks_of(row, test)]
    assert [] == [reason for reason in ours if not any(shows(reason, test) for test in row.tests)]
