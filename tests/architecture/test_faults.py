"""docs/faults.md is true: each row has reasons of the closed list, and tests that are there or said to be missing."""

import re

import pytest

from tests.tables import Row, rows
from tests.tree import ROOT

REQUIRED = range(1, 105)
NO_REASON = {"published"}
MISSING = "No test yet"

_NAMED = re.compile(r"^def (test_f(\d+)_\w+)", re.MULTILINE)
FOLDERS = ("tests/source_faults", "tests/storage", "tests/cluster", "tests/simulation")
"""Where tests are named after the rows."""


def table() -> list[Row]:
    """Return the lines of the tables."""
    return rows("faults.md", r"F\d+")


def named() -> set[tuple[str, str]]:
    """Return row and name of every test that is named after a row."""
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).glob("test_*.py"))]
    return {
        (f"F{number}", f"{path.relative_to(ROOT)}::{name}")
        for path in files
        for name, number in _NAMED.findall(path.read_text())
    }


def test_every_row_is_there_once() -> None:
    """The tables have each row that is promised, in order, and no row twice."""

    assert [f"F{number}" for number in REQUIRED] == [row.id for row in table()]


def test_every_named_test_is_in_its_row() -> None:
    """A test that is named after a row is found from there."""

    assert set() == named() - {(row.id, test) for row in table() for test in row.tests}


@pytest.mark.parametrize("row", table(), ids=lambda row: row.id)
def test_a_row_is_true(row: Row) -> None:
    """Its reasons are of the closed list and expected by its tests, which are there, or said to be missing."""

    assert ([], [], []) == row.is_true(beside=NO_REASON)
    assert row.reasons != []
    assert row.tests != [] or MISSING in row.told
