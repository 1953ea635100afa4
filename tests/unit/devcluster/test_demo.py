"""What the demo writes about one ModelFetch."""

from typing import Any

import pytest

from modelfetch.devcluster.demo import progress_line, waiting_lines

ERROR = {"reason": "SourceUnavailable", "message": "expected an answer, got none", "remedy": "Nothing to do."}


@pytest.mark.parametrize(
    ("status", "line"),
    [
        ({}, f"  llama      Pending      {'╌' * 30} "),
        (
            {"phase": "Downloading", "progress": {"percent": 50}, "display": {"progress": "50%", "eta": "4s"}},
            f"  llama      Downloading  {'━' * 15}{'╌' * 15} 50%  4s",
        ),
        ({"phase": "Ready"}, f"  llama      Ready        {'━' * 30} "),
    ],
)
def test_progress_is_one_line(status: dict[str, Any], line: str) -> None:
    """Phase, bar and what is known, whatever is missing."""

    assert line == progress_line("llama", status)


@pytest.mark.parametrize(
    ("status", "lines"),
    [
        ({}, []),
        ({"lastError": ERROR}, []),
        (
            {"lastError": ERROR, "nextRetryTime": "2026-01-31T12:00:00Z"},
            [
                "  SourceUnavailable: expected an answer, got none",
                "  next try at 2026-01-31T12:00:00Z; Nothing to do.",
            ],
        ),
    ],
)
def test_who_waits_says_why(status: dict[str, Any], lines: list[str]) -> None:
    """A fetch that waits for its next try says what happened and when it goes on."""

    assert lines == waiting_lines(status)
