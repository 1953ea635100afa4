"""Reports as lines: what is read back from output that holds anything besides."""

from datetime import UTC, datetime

import pytest

from modelfetch import report
from modelfetch.report import Progress, Report

LAST = Report(event="progress", at=datetime(2026, 1, 1, tzinfo=UTC), step="Downloading")


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\u2029", "\x0b", "\x0c", "\x1c", "\r", "\n", '"', "é"])
def test_a_line_ends_at_line_feeds_only(character: str) -> None:
    """A character that some call the end of a line, in a name of the source, hides no report."""
    told = LAST.model_copy(update={"progress": Progress(current_file=f"a{character}b")})

    assert told == report.parse(f"{LAST.line()}\n{told.line()}\n")


@pytest.mark.parametrize("foreign", ["", "{", "null", '{"event": "result"}', "Traceback (most recent call last):"])
def test_foreign_lines_are_passed_over(foreign: str) -> None:
    """The last whole report counts, whatever another program wrote after it."""

    assert LAST == report.parse(f"{LAST.line()}\n{foreign}")


def test_no_report_is_none() -> None:
    """Output without a report is no report."""

    assert report.parse("hello\n{}\n") is None
