"""Servers that cannot resume, or lie about it (F67, F73, F74, F80)."""

from dataclasses import replace

import pytest

from modelfetch.reasons import Reason
from modelfetch.transfer.segments import SEGMENT_BYTES
from modelfetch.transfer.verifier import Expected
from tests.fakes.evil_server import Answer, Script, evil_server, file_answer, in_turn, serve_file
from tests.unit.transfer.engine.rig import LARGE, SMALL, Rig, cutting, exactly, flipped


@pytest.mark.parametrize("etag", ['W/"weak"', None], ids=["weak", "none"])
def test_without_a_strong_validator_a_cut_starts_over(etag: str | None) -> None:
    """Where versions cannot be told apart nothing is stitched: the file is taken from 0, the digest decides (F74)."""
    with evil_server(cutting(SMALL, 60_000, etag=etag)) as server:
        received = Rig().fetch(server, exactly(SMALL))

    assert (True, [None, None]) == (received == SMALL, [request.range for request in server.requests])


@pytest.mark.parametrize("connections", [1, 4])
def test_each_node_has_its_own_etag(connections: int) -> None:
    """A CDN whose nodes give different ETags for the same bytes ends well: one whole answer, digest compared (F74)."""
    nodes: Script = lambda request: file_answer(request, LARGE, f'"node-{request.number}"')  # noqa: E731
    with evil_server(nodes) as server:
        received = Rig(connections).fetch(server, exactly(LARGE))

    assert LARGE == received


@pytest.mark.parametrize("connections", [1, 4])
def test_ranges_are_ignored(connections: int) -> None:
    """A server without ranges is asked for the whole file once that is known (F80)."""
    with evil_server(serve_file(LARGE, ranges=False)) as server:
        received = Rig(connections).fetch(server, exactly(LARGE))

    assert (True, connections > 1) == (received == LARGE, len(server.requests) == 2)


@pytest.mark.parametrize(
    "resumed",
    [
        lambda _request: Answer(416, (("Content-Range", f"bytes */{len(LARGE)}"),)),
        serve_file(LARGE, ranges=False),
        lambda request: file_answer(request, LARGE).with_headers(
            content_range=f"bytes 0-{len(LARGE) - 1}/{len(LARGE)}"
        ),
        lambda request: file_answer(request, LARGE).with_headers(
            content_range=f"bytes {(request.range or (0, 0))[0] - 4096}-{len(LARGE) - 1}/{len(LARGE)}"
        ),
        lambda request: file_answer(request, LARGE).without("content-range"),
        lambda request: file_answer(request, LARGE, '"v2"'),
        lambda request: file_answer(request, LARGE).with_headers(etag='"v2"'),
    ],
    ids=["416", "200", "from 0", "4096 early", "no range", "new ETag 200", "new ETag 206"],
)
def test_a_resume_that_lies_starts_over(resumed: Script) -> None:
    """When the answer to a resume is not exactly the rest, the file is taken from 0, never appended to (F67, F73)."""
    rig = Rig()
    script = in_turn(cutting(LARGE, 3_000_000), resumed, serve_file(LARGE, '"v2"'))
    with evil_server(script) as server:
        received = rig.fetch(server, exactly(LARGE))

    assert (True, [0]) == (received == LARGE, rig.sinks["file"].truncations)


def test_a_file_that_changed_is_taken_whole() -> None:
    """A file that changes in the middle is received from the start in its new version, none of the old in it (F73)."""
    changed = bytes(reversed(LARGE))
    with evil_server(in_turn(cutting(LARGE, 3_000_000), serve_file(changed, '"v2"'))) as server:
        received = Rig().fetch(server, Expected(len(changed)))

    assert changed == received


@pytest.mark.parametrize("connections", [1, 4])
def test_a_file_that_always_changes_is_source_changed(connections: int) -> None:
    """A file that is another one at each request, and breaks each time, ends as SourceChanged or by its digest."""
    versions: Script = lambda request: replace(  # noqa: E731
        file_answer(request, flipped(LARGE, request.number), f'"{request.number}"'), cut_at=SEGMENT_BYTES - 1
    )
    with evil_server(versions) as server:
        error = Rig(connections, retries=3).failure(server, exactly(LARGE))

    assert error.reason in {Reason.SOURCE_CHANGED, Reason.SOURCE_UNAVAILABLE}


def test_versions_are_not_mixed_over_connections() -> None:
    """A new version while several connections run is SourceChanged inside, and ends in one whole version."""
    changed = bytes(reversed(LARGE))
    script: Script = lambda request: (  # noqa: E731
        file_answer(request, LARGE) if request.number == 0 else file_answer(request, changed, '"v2"')
    )
    with evil_server(script) as server:
        received = Rig(connections=3).fetch(server, exactly(changed))

    assert changed == received
