"""Reports as lines: what is read back from output that holds anything besides."""

import json
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


DONE = {
    "event": "result",
    "at": "2026-01-01T00:00:00Z",
    "step": "Publishing",
    "ok": True,
    "artifact": {
        "digest": "sha256:" + "a" * 64,
        "path": "models/demo/minilm/c0ffee-a",
        "commit": "c0ffee",
        "files": 1,
        "bytes": 1,
    },
}


def line(place: str, value: object) -> str:
    """Return the report of a publication in which something else stands at one place."""
    told = json.loads(json.dumps(DONE))
    *above, name = place.split(".")
    (told[above[0]] if above else told)[name] = value
    return json.dumps(told)


def test_a_publication_is_read() -> None:
    """As it is told, so the cases below differ in one thing only."""
    found = report.parse(json.dumps(DONE))

    assert found is not None
    assert found.artifact is not None


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("ok", 1),
        ("ok", "true"),
        ("at", 7),
        ("at", "2026-01-01T00:00:00"),
        ("at", "9999-12-31T23:59:59Z"),
        ("artifact.commit", ""),
        ("artifact.path", ""),
        ("artifact.path", "models/demo"),
        ("artifact.path", "models/../../etc"),
        ("artifact.path", "/models/demo/minilm"),
        ("artifact.files", "1"),
        ("artifact.bytes", 2**63),
        ("artifact.bytes", -1),
    ],
)
def test_what_is_no_such_value_is_no_report(place: str, value: object) -> None:
    """Nobody is Ready by a text for a truth, at a place that is none, or with a number that no status can hold."""

    assert report.parse(line(place, value)) is None
