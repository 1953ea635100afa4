"""Statuses and waits (F65, F66, F68, F69, F76)."""

from dataclasses import replace

import pytest

from modelfetch.reasons import Reason
from tests.fakes.evil_server import Answer, Request, Script, evil_server, file_answer, in_turn, serve_file
from tests.unit.transfer.engine.rig import LARGE, SMALL, Rig, exactly


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("connections", [1, 4])
def test_trouble_of_a_moment_is_passed_over(status: int, connections: int) -> None:
    """A busy or broken moment of the server costs a wait, no byte (F68, F69)."""
    script: Script = lambda request: (  # noqa: E731
        Answer(status) if request.number in {0, 1, 3} else file_answer(request, LARGE)
    )
    with evil_server(script) as server:
        received = Rig(connections).fetch(server, exactly(LARGE))

    assert (True, len(LARGE)) == (received == LARGE, server.bytes_sent)


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        ("7", 7, 8),
        ("Thu, 01 Jan 2026 12:00:07 GMT", 7, 8),
        ("Thu, 01 Jan 2020 00:00:00 GMT", 0, 1),
        ("315360000", 0, 1),
    ],
    ids=["seconds", "date", "past date", "ten years"],
)
def test_retry_after_is_honoured_within_reason(value: str, low: float, high: float) -> None:
    """A server's wait is kept in each of its forms, unless it is absurd (F68)."""
    rig = Rig()
    with evil_server(in_turn(lambda _request: Answer(429, (("Retry-After", value),)), serve_file(SMALL))) as server:
        rig.fetch(server, exactly(SMALL))

    assert low <= sum(rig.waits.seconds) <= high


@pytest.mark.parametrize(
    ("status", "reason", "tries"),
    [
        (401, Reason.SOURCE_UNAUTHORIZED, 1),
        (403, Reason.SOURCE_FORBIDDEN, 1),
        (404, Reason.SOURCE_NOT_FOUND, 1),
        (429, Reason.RATE_LIMITED, 3),
        (503, Reason.SOURCE_UNAVAILABLE, 3),
    ],
)
def test_lasting_statuses_have_their_reason(status: int, reason: Reason, tries: int) -> None:
    """What does not change is not repeated; what does not end is given up; both name the file (F65, F66, F69)."""
    with evil_server(lambda _request: Answer(status)) as server:
        error = Rig(retries=2).failure(server, exactly(SMALL))

    assert (reason, tries, "file") == (error.reason, len(server.requests), error.file)


@pytest.mark.parametrize("connections", [1, 3])
def test_an_expired_address_in_the_middle_is_resolved_again(connections: int) -> None:
    """A signed address that stops working in mid-file is resolved again; received bytes are kept (F76)."""

    def signed(request: Request) -> Answer:
        answer = file_answer(request, LARGE)
        if request.target.endswith("sig=0"):
            return replace(answer, cut_at=500_000) if request.number == 0 else Answer(403)
        return answer

    with evil_server(signed) as cdn:
        hub: Script = lambda request: Answer(302, (("Location", cdn.url(f"/f?sig={request.number}")),))  # noqa: E731
        with evil_server(hub) as server:
            received = Rig(connections).fetch(server, exactly(LARGE))

    assert (True, len(LARGE)) == (received == LARGE, cdn.bytes_sent)
