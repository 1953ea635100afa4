"""F67, F70, F73, F74 and F80: connections that close, and servers that cannot go on where they stopped."""

from dataclasses import replace

import pytest

from modelfetch.reasons import Reason
from modelfetch.transfer.segments import SEGMENT_BYTES
from tests.fakes.evil_server import Answer, Request, Script, evil_server, file_answer, in_turn, serve_file
from tests.source_faults.scene import Remote, Scene, require_ended, require_published
from tests.source_faults.scripts import LARGE, SMALL, changed, cut_in_file, good

EDGES = [SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1]
CUTS = [0, 1, *EDGES, 2 * SEGMENT_BYTES, len(LARGE) - 1]
SEGMENTS = 3
ANCIENT, OLD = "Sat, 01 Jan 2000 00:00:00 GMT", "Sun, 02 Jan 2000 00:00:00 GMT"


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("has_size", [True, False], ids=["size known", "size unknown"])
def test_f70_cut_at_byte(scene: Scene, cut: int, connections: int, has_size: bool) -> None:
    """F70: wherever in a large file a connection closes, one more request brings the rest; nothing comes twice."""
    scene.connections = connections
    with evil_server(cut_in_file(LARGE, cut)) as server:
        ending = scene.fetch(server.url(), LARGE, has_size=has_size)

    require_published(ending, {"file": LARGE})
    assert len(server.requests) <= (2 if connections == 1 or not has_size else 2 * SEGMENTS)
    assert server.bytes_sent <= len(LARGE) + SEGMENT_BYTES


@pytest.mark.parametrize("cut", [0, 1, len(SMALL) // 2, len(SMALL) - 1])
@pytest.mark.parametrize("has_size", [True, False], ids=["size known", "size unknown"])
def test_f70_cut_of_a_small_file(scene: Scene, cut: int, has_size: bool) -> None:
    """F70: a small file is one request, and one more for the rest after a cut."""
    with evil_server(cut_in_file(SMALL, cut)) as server:
        ending = scene.fetch(server.url(), SMALL, has_size=has_size)

    require_published(ending, {"file": SMALL})
    assert (2, len(SMALL)) == (len(server.requests), server.bytes_sent)


@pytest.mark.parametrize("connections", [1, 4])
def test_f70_reset(scene: Scene, connections: int) -> None:
    """F70: a connection that is reset costs what the system threw away, and a segment at most."""
    scene.connections = connections
    with evil_server(cut_in_file(LARGE, SEGMENT_BYTES + 100_000, reset=True)) as server:
        ending = scene.fetch(server.url(), LARGE)

    require_published(ending, {"file": LARGE})
    assert server.bytes_sent <= len(LARGE) + SEGMENT_BYTES


@pytest.mark.parametrize("connections", [1, 4])
def test_f70_a_cut_in_every_answer(scene: Scene, connections: int) -> None:
    """F70: a source that closes after each 300 kB is asked once for each of them, and gives every byte once."""
    scene.connections, step = connections, 300_000
    with evil_server(changed(good(LARGE), lambda answer: replace(answer, cut_at=step))) as server:
        ending = scene.fetch(server.url(), LARGE)

    require_published(ending, {"file": LARGE})
    assert len(server.requests) <= SEGMENTS * (SEGMENT_BYTES // step + 1)
    assert server.bytes_sent <= len(LARGE) + SEGMENT_BYTES


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("cut", [0, 1])
def test_f70_no_progress(scene: Scene, content: bytes, cut: int) -> None:
    """F70: a source that closes at once, again and again, is SourceUnavailable after exactly the retries."""
    scene.retries = 2
    with evil_server(changed(good(content), lambda answer: replace(answer, cut_at=cut))) as server:
        ending = scene.fetch(server.url(), content)

    require_ended(ending, Reason.SOURCE_UNAVAILABLE, server.url())
    assert 3 == len(server.requests)


def test_f70_many_files(scene: Scene) -> None:
    """F70: of many files that are all cut once, each costs two requests and no byte more."""
    contents = {f"/{number}": SMALL[number:] for number in range(32)}
    cuts = {target: cut_in_file(content, 40_000) for target, content in contents.items()}
    with evil_server(lambda request: cuts[request.target](request)) as server:
        ending = scene.fetch_all({path[1:]: Remote(server.url(path), content) for path, content in contents.items()})

    require_published(ending, {path[1:]: content for path, content in contents.items()})
    assert (64, sum(map(len, contents.values()))) == (len(server.requests), server.bytes_sent)


@pytest.mark.parametrize("point", [1, SEGMENT_BYTES + 1, 2 * SEGMENT_BYTES, len(LARGE) - 1])
@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("has_size", [True, False], ids=["size known", "size unknown"])
def test_f70_the_next_attempt_goes_on(scene: Scene, point: int, connections: int, has_size: bool) -> None:
    """F70: of a source that goes away in the middle the next attempt asks only for what is not there whole."""
    scene.connections, scene.retries = connections, 1
    cut = cut_in_file(LARGE, point, times=99)
    with evil_server(cut) as server:
        gone = scene.fetch(server.url(), LARGE, has_size=has_size)
        server.script = good(LARGE)
        back = scene.fetch(server.url(), LARGE, has_size=has_size)

    require_ended(gone, Reason.SOURCE_UNAVAILABLE, server.url())
    require_published(back, {"file": LARGE})
    assert server.bytes_sent <= len(LARGE) + (connections if has_size else 1) * SEGMENT_BYTES


@pytest.mark.parametrize("etag", ['"v2"', 'W/"v1"', None], ids=["another", "weak", "none"])
def test_f70_the_next_attempt_joins_no_versions(scene: Scene, etag: str | None) -> None:
    """F70: where the next attempt finds another version, what was kept of the old one is no part of the file."""
    scene.retries = 1
    with evil_server(cut_in_file(LARGE, 2 * SEGMENT_BYTES + 1, times=99)) as server:
        gone = scene.fetch(server.url(), LARGE, has_digest=False)
        server.script = good(LARGE[::-1], etag)
        back = scene.fetch(server.url(), LARGE[::-1], has_digest=False)

    require_ended(gone, Reason.SOURCE_UNAVAILABLE)
    require_published(back, {"file": LARGE[::-1]})
    assert len(server.requests) <= 2 * 2 + 4


def _lie(first: int, *, size: int = len(LARGE), honest: bool = True) -> Script:
    """Return the script of a server whose part begins so many bytes early; its body too where it is honest."""

    def script(request: Request) -> Answer:
        start = max(0, (request.range or (0, 0))[0] - first)
        span = f"bytes {start}-{size - 1}/{size}"
        answer = file_answer(request, LARGE).with_headers(content_range=span)
        return replace(answer, body=LARGE[start:] if honest else answer.body)

    return script


def _shifted(request: Request) -> Answer:
    start, size = (request.range or (0, 0))[0] - 4096, len(LARGE)
    answer = file_answer(request, LARGE).with_headers(content_range=f"bytes {start}-{size - 4097}/{size}")
    return replace(answer, body=LARGE[start : size - 4096])


LIES = {
    "shifted": _shifted,
    "416": lambda _request: Answer(416, (("Content-Range", f"bytes */{len(LARGE)}"),)),
    "200": serve_file(LARGE, ranges=False),
    "from 0": _lie(len(LARGE)),
    "4096 early": _lie(4096),
    "wrong header": _lie(4096, honest=False),
    "no range": lambda request: file_answer(request, LARGE).without("content-range"),
    "another unit": lambda request: file_answer(request, LARGE).with_headers(content_range="items 1-2/3"),
    "a longer file": _lie(0, size=len(LARGE) + 1),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
@pytest.mark.parametrize("cut", [5000, SEGMENT_BYTES])
@pytest.mark.parametrize("has_digest", [True, False], ids=["digest", "no digest"])
def test_f67_resume_that_lies(scene: Scene, lie: Script, cut: int, has_digest: bool) -> None:
    """F67: an answer to a resume that is not exactly the rest is never appended: the file is taken from 0, once."""
    with evil_server(in_turn(cut_in_file(LARGE, cut), lie, good(LARGE))) as server:
        ending = scene.fetch(server.url(), LARGE, has_digest=has_digest)

    require_published(ending, {"file": LARGE})
    assert len(server.requests) <= 3


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
@pytest.mark.parametrize("connections", [1, 4])
def test_f67_every_resume_lies(scene: Scene, lie: Script, connections: int) -> None:
    """F67: a source that cannot resume and closes each time is given up within bounds, with nothing published."""
    scene.retries, scene.connections = 2, connections

    def script(request: Request) -> Answer:
        start = (request.range or (0, 0))[0]
        return lie(request) if start else replace(file_answer(request, LARGE), cut_at=3_000_000)

    with evil_server(script) as server:
        ending = scene.fetch(server.url(), LARGE)

    require_ended(ending, Reason.SOURCE_UNAVAILABLE, server.url())
    assert len(server.requests) <= 2 * (scene.retries + 1) + SEGMENTS


def _versions(etags: bool, headers: tuple[str, str]) -> tuple[Script, Script, bytes]:
    """Return the scripts of a file before and after a change, and its new content."""
    new = LARGE[::-1]
    if etags:
        return cut_in_file(LARGE, SEGMENT_BYTES + 5), serve_file(new, '"v2"'), new
    before, after = cut_in_file(LARGE, SEGMENT_BYTES + 5, etag=None), serve_file(new, None)
    return (
        changed(before, lambda answer: answer.with_headers(last_modified=headers[0])),
        lambda request: _by_date(request, after, headers[1]),
        new,
    )


def _by_date(request: Request, script: Script, date: str) -> Answer:
    stale = request.headers.get("if-range") not in (None, date)
    headers = {name: value for name, value in request.headers.items() if not (stale and name == "range")}
    plain = {name: value for name, value in headers.items() if name != "if-range"}
    return script(replace(request, headers=plain)).with_headers(last_modified=date)


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("etags", [True, False], ids=["ETag", "Last-Modified"])
@pytest.mark.parametrize("has_digest", [True, False], ids=["digest", "no digest"])
def test_f73_a_new_version(scene: Scene, connections: int, etags: bool, has_digest: bool) -> None:
    """F73: a file that changes in the middle is taken from 0 in its new version, with nothing of the old in it."""
    scene.connections = connections
    old, after, new = _versions(etags, (ANCIENT, OLD))
    with evil_server(in_turn(old, after)) as server:
        ending = scene.fetch(server.url(), new, has_digest=has_digest)

    require_published(ending, {"file": new})
    assert len(server.requests) <= 3 + 2 * SEGMENTS


@pytest.mark.parametrize("header", [{"etag": '"v2"'}, {"etag": None, "last_modified": OLD}], ids=["ETag", "date"])
def test_f73_a_server_that_ignores_if_range(scene: Scene, header: dict[str, str | None]) -> None:
    """F73: a part of another version, sent as if nothing had happened, is found by what it says of itself."""
    new, dates = LARGE[::-1], "last_modified" in header

    def script(request: Request) -> Answer:
        served = replace(request, headers={name: it for name, it in request.headers.items() if name != "if-range"})
        before = cut(request).with_headers(**({"last_modified": ANCIENT} if dates else {}))
        after = file_answer(served, new, header["etag"]).with_headers(**({"last_modified": OLD} if dates else {}))
        return before if request.number == 0 else after

    cut = cut_in_file(LARGE, SEGMENT_BYTES + 5, etag=None if dates else '"v1"')
    with evil_server(script) as server:
        ending = scene.fetch(server.url(), new, has_digest=False)

    require_published(ending, {"file": new})
    assert len(server.requests) <= 3


@pytest.mark.parametrize("etags", [True, False], ids=["ETag", "Last-Modified"])
def test_f73_the_old_version_was_wanted(scene: Scene, etags: bool) -> None:
    """F73: where the digest is that of the old version the new one is ChecksumMismatch, asked for a few times only."""
    old, after, _new = _versions(etags, (ANCIENT, OLD))
    with evil_server(in_turn(old, after)) as server:
        ending = scene.fetch(server.url(), LARGE)

    require_ended(ending, Reason.CHECKSUM_MISMATCH, "expected sha256")
    assert len(server.requests) <= 5


@pytest.mark.parametrize("connections", [1, 4])
def test_f73_ever_new(scene: Scene, connections: int) -> None:
    """F73: a file that is another one at each request and never comes whole ends within bounds, unpublished."""
    scene.connections, scene.retries = connections, 2

    def ever_new(request: Request) -> Answer:
        content = bytes([request.number]) * len(LARGE)
        return replace(file_answer(request, content, f'"{request.number}"'), cut_at=1_000_000)

    with evil_server(ever_new) as server:
        ending = scene.fetch(server.url(), LARGE, has_digest=False)

    assert ending.report.reason in (Reason.SOURCE_CHANGED, Reason.SOURCE_UNAVAILABLE)
    require_ended(ending, ending.report.reason)
    assert len(server.requests) <= 20


@pytest.mark.parametrize("etag", ['W/"v1"', None, "v1", '"v1'], ids=["weak", "none", "bare", "half"])
@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("connections", [1, 4])
def test_f74_nothing_to_tell_versions_apart(scene: Scene, etag: str | None, content: bytes, connections: int) -> None:
    """F74: without a strong validator nothing is joined: the file is taken from 0, and its digest decides."""
    scene.connections, cut = connections, len(content) // 2
    other = cut_in_file(content[::-1], cut, etag=etag)
    with evil_server(in_turn(other, good(content, etag))) as server:
        ending = scene.fetch(server.url(), content)

    require_published(ending, {"file": content})
    assert len(server.requests) <= 3


@pytest.mark.parametrize("connections", [1, 4])
def test_f74_each_node_its_own_etag(scene: Scene, connections: int) -> None:
    """F74: nodes of a CDN that give different ETags for the same bytes: no false resume, and the file comes."""
    scene.connections = connections
    cutting = cut_in_file(LARGE, 3_000_000)

    def node(request: Request) -> Answer:
        answer = file_answer(request, LARGE, f'"node-{request.number}"')
        return replace(answer, cut_at=cutting(replace(request, headers={})).cut_at) if answer.status == 200 else answer

    with evil_server(node) as server:
        ending = scene.fetch(server.url(), LARGE)

    require_published(ending, {"file": LARGE})
    assert len(server.requests) <= 3 + 2 * SEGMENTS


@pytest.mark.parametrize("connections", [2, 4, 16])
@pytest.mark.parametrize("status", [200, 416])
def test_f80_ranges_are_ignored(scene: Scene, connections: int, status: int) -> None:
    """F80: a server without ranges is found out at the first part, and sends the whole file once, as one stream."""
    scene.connections = connections
    whole = serve_file(LARGE, ranges=False)

    def script(request: Request) -> Answer:
        return Answer(416) if status == 416 and request.range is not None else whole(request)

    with evil_server(script) as server:
        ending = scene.fetch(server.url(), LARGE)

    require_published(ending, {"file": LARGE})
    assert len([request for request in server.requests if request.range is None]) == 1
    assert len(server.requests) <= 1 + connections


@pytest.mark.parametrize("connections", [4, 16])
def test_f80_parts_get_the_full_body(scene: Scene, connections: int) -> None:
    """F80: a server that honours ranges at first and then sends everything for each part: one stream, right bytes."""
    scene.connections = connections
    with evil_server(in_turn(good(LARGE), serve_file(LARGE, ranges=False))) as server:
        ending = scene.fetch(server.url(), LARGE)

    require_published(ending, {"file": LARGE})
    assert len(server.requests) <= 2 + SEGMENTS


def test_f80_the_full_body_as_a_part(scene: Scene) -> None:
    """F80: the whole file with status 206 and the range that was asked for is too long, and never used as a part."""
    scene.connections = 4

    def script(request: Request) -> Answer:
        answer = file_answer(request, LARGE)
        return replace(answer, body=LARGE) if answer.status == 206 else answer

    with evil_server(script) as server:
        ending = scene.fetch(server.url(), LARGE)

    require_published(ending, {"file": LARGE})
    assert len(server.requests) <= 2 + 2 * SEGMENTS
