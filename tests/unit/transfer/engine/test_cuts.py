"""Connections that close (F70): what came is not asked for again."""

from dataclasses import replace

import pytest

from modelfetch.reasons import Reason
from modelfetch.transfer.segments import SEGMENT_BYTES
from modelfetch.transfer.verifier import Expected
from tests.fakes.evil_server import evil_server, file_answer
from tests.unit.transfer.engine.rig import LARGE, SMALL, Rig, cutting, exactly, sha256

CUTS = [0, 1, 65_537, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, len(LARGE) - 1]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("known", [True, False], ids=["size known", "size unknown"])
def test_a_cut_costs_nothing(cut: int, known: bool) -> None:
    """Whatever came before the connection closed is kept: no byte is sent twice (F70)."""
    with evil_server(cutting(LARGE, cut)) as server:
        received = Rig().fetch(server, Expected(len(LARGE) if known else None, sha256(LARGE)))

    assert (True, len(LARGE)) == (received == LARGE, server.bytes_sent)


@pytest.mark.parametrize("cut", [0, 1, 65_537, SEGMENT_BYTES - 1])
def test_a_cut_of_one_of_many_costs_little(cut: int) -> None:
    """With several connections a broken segment goes on where it broke; at most what others took over comes twice."""
    with evil_server(cutting(LARGE, cut, cut, cut)) as server:
        received = Rig(connections=3).fetch(server, exactly(LARGE))

    assert (True, True) == (received == LARGE, server.bytes_sent <= len(LARGE) + 2 * SEGMENT_BYTES)


def test_a_reset_is_a_cut() -> None:
    """A reset connection is resumed like a closed one; what the system threw away is at most sent again."""
    with evil_server(cutting(LARGE, 1_000_000, 1_000_000, reset=True)) as server:
        received = Rig().fetch(server, exactly(LARGE))

    assert LARGE == received


def test_five_cuts_of_a_small_file_cost_nothing() -> None:
    """Five cuts of a file below one segment send each byte once."""
    with evil_server(cutting(SMALL, *[20_000] * 5)) as server:
        received = Rig().fetch(server, exactly(SMALL))

    assert (True, len(SMALL)) == (received == SMALL, server.bytes_sent)


def test_progress_forgives_failures() -> None:
    """A connection that breaks again and again, but moves on each time, is not given up."""
    with evil_server(cutting(LARGE, *[200_000] * 30)) as server:
        received = Rig(retries=1).fetch(server, exactly(LARGE))

    assert (True, 31) == (received == LARGE, len(server.requests))


def test_a_byte_at_a_time_is_no_progress() -> None:
    """A server that closes after each byte is given up after the retries."""
    with evil_server(lambda request: replace(file_answer(request, LARGE), cut_at=1)) as server:
        error = Rig(retries=3).failure(server, exactly(LARGE))

    assert (Reason.SOURCE_UNAVAILABLE, 4, "file") == (error.reason, len(server.requests), error.file)


def test_no_retries_means_none() -> None:
    """With no retries the first cut ends it."""
    with evil_server(cutting(SMALL, 70_000)) as server:
        error = Rig(retries=0).failure(server, exactly(SMALL))

    assert (Reason.SOURCE_UNAVAILABLE, 1) == (error.reason, len(server.requests))
