"""docs/bad-inputs.md is true: every row has reasons of the closed list, and tests that are there and speak of it."""

import re

import pytest

from tests.tables import Row, rows
from tests.tree import ROOT

REQUIRED = [*range(1, 15), *range(21, 25), *range(29, 34), *range(38, 46), 63, 65, *range(71, 77)]
NO_REASON = {"422", "413", "published"}
"""Answers of the API server, and what does no harm."""

_NAMED = re.compile(r"test_row_(\d+)_")


def table() -> list[Row]:
    """Return the lines of the table."""
    return rows("bad-inputs.md", r"\d+")


def speaks_of(row: Row, test: str) -> bool:
    """Return whether a test has the row's number in its name, its text or the values that it is run with."""
    text = (ROOT / test.partition("::")[0]).read_text()
    if f"test_row_{row.id}_" in test:
        return True
    if test.endswith("::test_row_at_admission"):
        values = re.search(r'parametrize\("row", \[([^\]]+)\]', text)
        return values is not None and row.id in values[1].split(", ")
    return re.search(rf"[Rr]ows? (\d+,? |to |and )*{row.id}\b", text) is not None


def test_every_row_is_there_once_and_in_order() -> None:
    """The table has each row that is promised, and no row twice."""
    numbers = [int(row.id) for row in table()]

    assert sorted(set(numbers)) == numbers
    assert set() == set(REQUIRED) - set(numbers)


def test_every_row_of_the_tests_is_in_the_table() -> None:
    """A test that is named after a row is found from the table."""
    files = [*(ROOT / "tests" / "rows").glob("test_*.py"), ROOT / "tests" / "cluster" / "test_rows.py"]
    named = {int(number) for file in files for number in _NAMED.findall(file.read_text())}

    assert set() == named - {int(row.id) for row in table()}


@pytest.mark.parametrize("row", table(), ids=lambda row: f"row {row.id}")
def test_a_row_is_true(row: Row) -> None:
    """Its reasons are of the closed list and expected by its tests, which are there and speak of it."""

    assert ([], [], []) == row.is_true(beside=NO_REASON)
    assert (True, True) == (row.reasons != [], row.tests != [])
    assert [] == [test for test in row.tests if not speaks_of(row, test)]
