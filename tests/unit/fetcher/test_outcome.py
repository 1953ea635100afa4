"""The last report of a run, and its text for a kubelet."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch import report
from modelfetch.errors import FetchError
from modelfetch.fetcher import outcome
from modelfetch.reasons import Reason
from modelfetch.report import TERMINATION_LIMIT, Artifact, Owner, Progress, Report

LAST = Report(
    event="progress", at=datetime(2026, 1, 1, tzinfo=UTC), step="Downloading", progress=Progress(files_done=2)
)


@pytest.mark.parametrize("reason", list(Reason))
def test_a_refusal_carries_its_row(reason: Reason) -> None:
    """Remedy, retry and exit code come from the table; progress stays what it was."""
    failed = outcome.failed(LAST, FetchError(reason, "expected this, got that", file="a.bin"))

    assert (reason, reason.row.last_remedy, reason.row.retryable) == (failed.reason, failed.remedy, failed.retryable)
    assert (False, "a.bin", 2) == (failed.ok, failed.file, failed.progress.files_done)
    assert reason.row.exit_code == outcome.exit_code(failed)


@pytest.mark.parametrize(
    ("message", "file", "told"),
    [
        ("expected 1 byte, got 2", "a/b.bin", "'a/b.bin': expected 1 byte, got 2"),
        ("expected 1 byte for 'b.bin', got 2", "b.bin", "expected 1 byte for 'b.bin', got 2"),
        ("expected 1 byte, got 2", None, "expected 1 byte, got 2"),
    ],
)
def test_a_refusal_names_its_file(message: str, file: str | None, told: str) -> None:
    """Whoever reads only the message learns which file it is about, once."""

    assert told == outcome.failed(LAST, FetchError(Reason.SIZE_MISMATCH, message, file=file)).message


def test_a_good_end() -> None:
    """A published artifact is ok and exits 0."""
    artifact = Artifact(digest="sha256:" + "0" * 64, path="models/a/b/c", commit="c" * 40, files=1, bytes=2)
    done = outcome.published(LAST, artifact)

    assert ("result", True, artifact, 0) == (done.event, done.ok, done.artifact, outcome.exit_code(done))


@given(message=st.text(max_size=3000), file=st.text(max_size=3000), current=st.text(max_size=512))
def test_a_termination_message_always_fits_and_parses(message: str, file: str, current: str) -> None:
    """Whatever a message holds, the kubelet's 4096 bytes hold a whole report with its reason."""
    last = LAST.model_copy(update={"progress": Progress(current_file=current)})
    text = outcome.termination_message(outcome.failed(last, FetchError(Reason.PATH_REJECTED, message, file=file)))
    read = report.parse(text)
    assert read is not None

    assert len(text.encode()) <= TERMINATION_LIMIT
    assert Reason.PATH_REJECTED == read.reason


def test_a_long_survey_tells_as_many_owners_as_fit() -> None:
    """A survey of many orphans names some of them now, and the others after those are gone."""
    owners = tuple(Owner(namespace="n" * 60, name=f"model-{number}", owner="u" * 36) for number in range(500))
    told = outcome.tended(LAST, outcome.Told(owners))

    assert 0 < len(told.owners) < 500
    assert len(told.line().encode()) <= TERMINATION_LIMIT


def test_a_long_check_tells_as_many_as_fit() -> None:
    """Those that it names are fetched anew, and the next check names the others."""
    missing = tuple(f"{number:012x}:{number:012x}" for number in range(500))
    told = outcome.tended(LAST, outcome.Told(missing=missing))

    assert missing[: len(told.missing)] == told.missing
    assert 0 < len(told.missing) < 500
    assert len(told.line().encode()) <= TERMINATION_LIMIT
