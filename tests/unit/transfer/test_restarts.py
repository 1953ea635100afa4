"""Starting a file over: less is believed each time, and it ends."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.reader import RangeIgnored
from modelfetch.transfer.restarts import Interrupted, Plan, Restarts

CHECKSUM = FetchError(Reason.CHECKSUM_MISMATCH, "other bytes")
SIZE = FetchError(Reason.SIZE_MISMATCH, "other size")
CHANGED = FetchError(Reason.SOURCE_CHANGED, "other version")
DOWN = FetchError(Reason.SOURCE_UNAVAILABLE, "down")


def plans(restarts: Restarts, cause: Exception) -> list[Plan]:
    """Return the plans that follow `cause` until it is raised."""
    found: list[Plan] = []
    for _ in range(100):
        try:
            restarts.after(cause)
        except FetchError:
            return found
        found.append(restarts.plan)
    raise AssertionError("never ends")


@pytest.mark.parametrize("cause", [CHECKSUM, SIZE])
def test_wrong_bytes_are_fetched_twice_more(cause: FetchError) -> None:
    """Wrong bytes are fetched again on one stream, then on one that asks for no range, then it is final."""
    found = plans(Restarts(Plan(8), 5), cause)

    assert [Plan(1), Plan(1, resume=False)] == found


def test_wrong_bytes_of_a_web_page_are_told_as_one() -> None:
    """After the same number of tries the error says what came, and keeps what was expected."""
    restarts = Restarts(Plan(1), 5)
    for _ in range(2):
        restarts.after(CHECKSUM, "text/html")
    with pytest.raises(FetchError, match=r"FormatNotAllowed: .*web page .*text/html.*other bytes"):
        restarts.after(CHECKSUM, "text/html")


def test_a_changing_file_ends() -> None:
    """A file that never keeps its version ends as SourceChanged."""
    found = plans(Restarts(Plan(8), 5), CHANGED)

    assert [Plan(1), Plan(1, resume=False), Plan(1, resume=False)] == found


def test_ignored_ranges_are_not_asked_for_again() -> None:
    """A server that ignores ranges gets one plain request."""
    restarts = Restarts(Plan(8), 5)
    restarts.after(RangeIgnored("200"))

    assert Plan(1, resume=False) == restarts.plan


def test_interruptions_count_against_the_retries() -> None:
    """What cannot be resumed is tried as often as any request."""
    found = plans(Restarts(Plan(1), 3), Interrupted(DOWN))

    assert [Plan(1)] * 3 == found


@pytest.mark.parametrize("reason", [Reason.SOURCE_NOT_FOUND, Reason.SOURCE_UNAVAILABLE, Reason.STORAGE_IO_ERROR])
def test_other_errors_are_final(reason: Reason) -> None:
    """Nothing else is mended by starting over."""
    found = plans(Restarts(Plan(8), 5), FetchError(reason, "no"))

    assert [] == found


@given(st.lists(st.sampled_from([CHECKSUM, SIZE, CHANGED, Interrupted(DOWN), RangeIgnored("200")]), min_size=30))
def test_any_mixture_ends(causes: list[Exception]) -> None:
    """However causes are mixed, a file does not start over more than a dozen times."""
    restarts, passes = Restarts(Plan(8), 5), 0
    with contextlib.suppress(FetchError):
        for cause in causes:
            restarts.after(cause)
            passes += 1

    assert passes <= 12
