"""Stalls, stops and deadlines (F75)."""

import time
from dataclasses import replace

import pytest

from modelfetch.reasons import Reason
from tests.fakes.evil_server import Answer, Request, evil_server, file_answer, in_turn, serve_file
from tests.unit.transfer.engine.rig import LARGE, SMALL, Rig, exactly


@pytest.mark.parametrize("trickle", [0, 1], ids=["silence", "a byte now and then"])
@pytest.mark.parametrize("stall_at", [0, 99_000])
def test_a_stall_is_replaced_and_nothing_lost(stall_at: int, trickle: int) -> None:
    """A connection below the minimum rate is replaced; what it brought is kept (F75)."""
    script = in_turn(
        lambda request: replace(file_answer(request, SMALL), stall_at=stall_at, trickle=trickle), serve_file(SMALL)
    )
    with evil_server(script) as server:
        received = Rig(stall_timeout_s=0.3).fetch(server, exactly(SMALL))

    assert (True, True) == (received == SMALL, server.bytes_sent <= len(SMALL) + 1024)


def test_lasting_stalls_are_source_stalled() -> None:
    """A source that always stalls is given up."""
    with evil_server(lambda request: replace(file_answer(request, SMALL), stall_at=10)) as server:
        error = Rig(retries=1, stall_timeout_s=0.2).failure(server, exactly(SMALL))

    assert Reason.SOURCE_STALLED == error.reason


@pytest.mark.parametrize("connections", [1, 4])
def test_a_stop_ends_it(connections: int) -> None:
    """A stop while connections are silent ends the run as Cancelled, and no thread is left."""
    rig = Rig(connections)

    def stopping(request: Request) -> Answer:
        if request.number == min(connections, 3) - 1:
            rig.stop.set()
        return replace(file_answer(request, LARGE), stall_at=10)

    with evil_server(stopping) as server:
        error = rig.failure(server, exactly(LARGE))

    assert Reason.CANCELLED == error.reason


def test_a_stop_before_the_start_moves_nothing() -> None:
    """A run that is stopped before it begins sends no request and says so."""
    rig = Rig()
    rig.stop.set()
    with evil_server(serve_file(SMALL)) as server:
        error = rig.failure(server, exactly(SMALL))

    assert (Reason.CANCELLED, 0) == (error.reason, server.connections)


def test_the_deadline_ends_it() -> None:
    """A transfer that is still going at its deadline is DeadlineExceeded."""
    with evil_server(lambda request: replace(file_answer(request, SMALL), stall_at=10)) as server:
        error = Rig(deadline=time.monotonic() + 0.3).failure(server, exactly(SMALL))

    assert Reason.DEADLINE_EXCEEDED == error.reason
