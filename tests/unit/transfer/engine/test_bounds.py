"""Limits hold also where the size is not known before."""

from dataclasses import replace

import pytest

from modelfetch.reasons import Reason
from modelfetch.transfer.engine import Bounds
from modelfetch.transfer.receiver import FREE_RESERVE_BYTES
from modelfetch.transfer.segments import SEGMENT_BYTES
from modelfetch.transfer.verifier import Expected
from tests.fakes.evil_server import Script, evil_server, file_answer, serve_file
from tests.unit.transfer.engine.rig import LARGE, SMALL, Rig, exactly

GIB = 2**30


def test_a_listed_file_over_the_limit_is_not_asked_for() -> None:
    """A file that is too large by its listing is refused before a request."""
    rig = Rig()
    rig.bounds = Bounds(max_file_size=len(SMALL) - 1)
    with evil_server(serve_file(SMALL)) as server:
        error = rig.failure(server, exactly(SMALL))

    assert (Reason.SIZE_LIMIT_EXCEEDED, 0) == (error.reason, server.connections)


@pytest.mark.parametrize("framing", [{}, {"chunked": True}], ids=["length", "chunks"])
def test_an_unlisted_file_is_bounded_while_it_comes(framing: dict[str, object]) -> None:
    """A file of unknown size is refused by its Content-Length, or at the first byte too many."""
    rig = Rig()
    rig.bounds = Bounds(max_file_size=50_000)
    script: Script = lambda request: replace(file_answer(request, SMALL), **framing)  # type: ignore[arg-type]  # noqa: E731
    with evil_server(script) as server:
        error = rig.failure(server, Expected())

    assert (Reason.SIZE_LIMIT_EXCEEDED, True) == (error.reason, len(rig.sinks["file"].content) <= 50_000)


def test_a_file_of_just_the_limit_is_moved() -> None:
    """The limit itself is allowed."""
    rig = Rig()
    rig.bounds = Bounds(max_file_size=len(SMALL))
    with evil_server(lambda request: replace(file_answer(request, SMALL), chunked=True)) as server:
        received = rig.fetch(server, Expected())

    assert SMALL == received


def test_an_unlisted_file_leaves_space_free() -> None:
    """A file of unknown size ends as InsufficientStorage before the volume is full."""
    rig = Rig()
    free = iter([GIB, FREE_RESERVE_BYTES, FREE_RESERVE_BYTES - 1])
    rig.bounds = Bounds(free_bytes=lambda: next(free))
    with evil_server(lambda request: replace(file_answer(request, LARGE), chunked=True)) as server:
        error = rig.failure(server, Expected())

    assert (Reason.INSUFFICIENT_STORAGE, 2 * SEGMENT_BYTES) == (error.reason, len(rig.sinks["file"].content))
