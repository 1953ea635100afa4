"""The engine over real connections to scripted servers: every fault of a source, and what comes of it."""

import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from modelfetch.api.order import OrderTransfer
from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.counters import Counters
from modelfetch.transfer.curl import Limits
from modelfetch.transfer.engine import Bounds, Engine, Item, Moved
from modelfetch.transfer.guard import parse_url
from modelfetch.transfer.http_reader import HttpReader
from modelfetch.transfer.receiver import FREE_RESERVE_BYTES
from modelfetch.transfer.segments import SEGMENT_BYTES
from modelfetch.transfer.verifier import Expected
from tests.fakes.evil_server import Answer, EvilServer, Request, Script, evil_server, file_answer, in_turn, serve_file
from tests.fakes.transfer import MemorySink, Waits, open_session, retry

LARGE = random.Random(1).randbytes(2 * SEGMENT_BYTES + 70_001)
SMALL = LARGE[:100_000]
GIB = 2**30


def sha256(content: bytes) -> str:
    """Return the digest of `content`, hex."""
    return hashlib.sha256(content).hexdigest()


def exactly(content: bytes) -> Expected:
    """Return what a good listing says of `content`."""
    return Expected(len(content), sha256(content))


class Rig:
    """An engine with everything around it; `moved` and `sinks` show what came of a run."""

    def __init__(self, connections: int = 1, parallel: int = 4, retries: int = 5, **options: object) -> None:
        self.stop = threading.Event()
        self.waits = Waits()
        self.counters = Counters(time.monotonic)
        self.transfer = OrderTransfer(
            parallel_files=parallel, connections_per_file=connections, request_retries=retries
        )
        self.retry = retry(retries, self.waits)
        self.limits = Limits(**options)  # type: ignore[arg-type]
        self.bounds = Bounds()
        self.moved: dict[str, Moved] = {}
        self.sinks: dict[str, MemorySink] = {}

    def run(self, files: Iterable[tuple[str, str, Expected]]) -> None:
        """Move files given as (path, address, expected)."""
        engine = Engine(self.transfer, self.retry, self.stop, self.counters, self.bounds)
        with open_session(stop=self.stop, limits=self.limits) as session:
            engine.run(
                [
                    Item(path, HttpReader(session, parse_url(url)), self.sinks.setdefault(path, MemorySink()), expected)
                    for path, url, expected in files
                ],
                lambda moved: self.moved.update({moved.item.path: moved}),
            )

    def fetch(self, server: EvilServer, expected: Expected) -> bytes:
        """Return the bytes of the server's file once they were moved."""
        self.run([("file", server.url(), expected)])
        return self.sinks["file"].content

    def failure(self, server: EvilServer, expected: Expected) -> FetchError:
        """Return the error with which moving the server's file ends."""
        with pytest.raises(FetchError) as caught:
            self.fetch(server, expected)
        return caught.value


def cutting(content: bytes, *points: int, etag: str | None = '"v1"', reset: bool = False) -> Script:
    """Return the script of a good server that closes its connections after `points` bytes, one after the other."""

    def script(request: Request) -> Answer:
        answer = file_answer(request, content, etag)
        if request.number < len(points):
            return replace(answer, cut_at=points[request.number], reset=reset)
        return answer

    return script


def flipped(content: bytes, at: int) -> bytes:
    """Return `content` with one bit changed."""
    changed = bytearray(content)
    changed[at] ^= 1
    return bytes(changed)


# The plain way


@pytest.mark.parametrize("connections", [1, 4, 16])
@pytest.mark.parametrize("size", [0, 1, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, len(LARGE)])
def test_moves_files_of_any_size(size: int, connections: int) -> None:
    """Files around the segment's edges arrive whole, verified, with no byte asked for twice."""
    content, rig = LARGE[:size], Rig(connections)
    with evil_server(serve_file(content)) as server:
        received = rig.fetch(server, exactly(content))
    moved = rig.moved["file"]

    assert (True, sha256(content), size, "sha256", size) == (
        received == content,
        moved.sha256,
        moved.size,
        moved.compared,
        server.bytes_sent,
    )


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("framing", [{}, {"length": None}, {"chunked": True}], ids=["length", "until closed", "chunks"])
def test_moves_files_of_unknown_size(framing: dict[str, object], connections: int) -> None:
    """A file whose size nobody told arrives whole over one stream."""
    script: Script = lambda request: replace(file_answer(request, LARGE), **framing)  # type: ignore[arg-type]  # noqa: E731
    with evil_server(script) as server:
        received = Rig(connections).fetch(server, Expected(sha256=sha256(LARGE)))

    assert LARGE == received


def test_compares_the_git_blob() -> None:
    """A small file of a hub is compared with its git blob id while it arrives."""
    blob = hashlib.sha1(b"blob %d\0" % len(SMALL) + SMALL, usedforsecurity=False).hexdigest()
    rig = Rig()
    with evil_server(serve_file(SMALL)) as server:
        rig.fetch(server, Expected(len(SMALL), git_blob=blob))

    assert ("git_blob", sha256(SMALL)) == (rig.moved["file"].compared, rig.moved["file"].sha256)


def test_says_when_nothing_was_compared() -> None:
    """A file of which nothing was known is marked so."""
    rig = Rig()
    with evil_server(serve_file(SMALL)) as server:
        rig.fetch(server, Expected())

    assert ("nothing", '"v1"') == (rig.moved["file"].compared, rig.moved["file"].identity.etag)


def test_moves_many_files() -> None:
    """Each of many files arrives in its own sink and is announced once."""
    contents = {f"/{number}": SMALL[: number * 1000] for number in range(40)}
    rig = Rig(parallel=4)
    with evil_server(lambda request: file_answer(request, contents[request.target])) as server:
        rig.run([(path, server.url(path), exactly(content)) for path, content in contents.items()])

    assert contents == {path: sink.content for path, sink in rig.sinks.items()}
    assert sorted(contents) == sorted(rig.moved)


def test_counts_progress() -> None:
    """At the end every byte and every file is counted once, also after a cut."""
    rig = Rig(connections=4)
    with evil_server(cutting(LARGE, 100_000)) as server:
        rig.run([("a", server.url(), exactly(LARGE)), ("b", server.url(), exactly(LARGE))])
    snapshot = rig.counters.snapshot()

    assert (2 * len(LARGE), 2, ()) == (snapshot.bytes_done, snapshot.files_done, snapshot.current_files)


def test_many_connections_share_the_segments() -> None:
    """A large file comes over several connections, each segment once."""
    with evil_server(serve_file(LARGE)) as server:
        Rig(connections=3).fetch(server, exactly(LARGE))

    assert (
        [(0, SEGMENT_BYTES - 1), (SEGMENT_BYTES, 2 * SEGMENT_BYTES - 1), (2 * SEGMENT_BYTES, len(LARGE) - 1)],
        3,
    ) == (
        sorted(request.range or (0, 0) for request in server.requests),
        server.connections,
    )


# Connections that close, F70

CUTS = [0, 1, 65_537, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, len(LARGE) - 1]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("known", [True, False], ids=["size known", "size unknown"])
def test_a_cut_costs_nothing(cut: int, known: bool) -> None:
    """Whatever came before the connection closed is kept: no byte is sent twice (F70)."""
    with evil_server(cutting(LARGE, cut)) as server:
        received = Rig().fetch(server, Expected(len(LARGE) if known else None, sha256(LARGE)))

    assert (True, len(LARGE)) == (received == LARGE, server.bytes_sent)


@pytest.mark.parametrize("cut", [0, 1, 65_537, SEGMENT_BYTES - 1])
def test_a_cut_of_one_of_many_costs_nothing(cut: int) -> None:
    """With several connections, too, a broken segment goes on where it broke."""
    with evil_server(cutting(LARGE, cut, cut, cut)) as server:
        received = Rig(connections=3).fetch(server, exactly(LARGE))

    assert (True, True) == (received == LARGE, server.bytes_sent <= len(LARGE))


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


# Servers that cannot resume, or lie about it: F67, F73, F74, F80


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


# Wrong bytes: F71, F72, row 63

DAMAGES = [
    ("first bit", flipped(LARGE, 0)),
    ("middle bit", flipped(LARGE, len(LARGE) // 2)),
    ("last bit", flipped(LARGE, len(LARGE) - 1)),
    ("swapped blocks", LARGE[65_536:131_072] + LARGE[:65_536] + LARGE[131_072:]),
    ("zeroed tail", LARGE[:-50_000] + bytes(50_000)),
    ("another file", bytes(reversed(LARGE))),
    ("login page", b"<html>log in</html>".ljust(len(LARGE))),
]


@pytest.mark.parametrize("damaged", [content for _, content in DAMAGES], ids=[name for name, _ in DAMAGES])
@pytest.mark.parametrize("connections", [1, 4])
def test_wrong_bytes_are_a_checksum_mismatch(damaged: bytes, connections: int) -> None:
    """Other bytes of the right size are fetched twice more, then final (F72, row 63)."""
    rig = Rig(connections)
    with evil_server(serve_file(damaged)) as server:
        error = rig.failure(server, exactly(LARGE))

    assert (Reason.CHECKSUM_MISMATCH, False, {}, 3 * len(LARGE)) == (
        error.reason,
        error.reason.row.retryable,
        rig.moved,
        server.bytes_sent,
    )


@pytest.mark.parametrize("connections", [1, 4])
def test_wrong_bytes_once_are_mended(connections: int) -> None:
    """A flipped bit that does not come again costs one more fetch, over a new connection."""
    bad: Script = lambda request: file_answer(request, flipped(LARGE, 9))  # noqa: E731
    good = serve_file(LARGE)
    with evil_server(lambda request: (bad if request.number == 0 else good)(request)) as server:
        received = Rig(connections).fetch(server, exactly(LARGE))

    assert (True, min(connections, 3) + 1) == (received == LARGE, server.connections)


def test_wrong_git_blob_is_a_checksum_mismatch() -> None:
    """A small file that is not the listing's git blob is refused."""
    with evil_server(serve_file(SMALL)) as server:
        error = Rig().failure(server, Expected(len(SMALL), git_blob="0" * 40))

    assert Reason.CHECKSUM_MISMATCH == error.reason


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("size", [len(LARGE) - 1, len(LARGE) + 1, 0])
def test_another_size_is_a_size_mismatch(size: int, connections: int) -> None:
    """A listing that gives another size than the server is SizeMismatch, before a byte is stored."""
    rig = Rig(connections)
    with evil_server(serve_file(LARGE)) as server:
        error = rig.failure(server, Expected(size, sha256(LARGE)))

    assert (Reason.SIZE_MISMATCH, b"") == (error.reason, rig.sinks["file"].content)


@pytest.mark.parametrize("size", [len(SMALL) - 1, len(SMALL) + 1])
def test_chunks_of_another_size_are_a_size_mismatch(size: int) -> None:
    """Without a Content-Length the size is counted, and a well-framed body of another size is refused (F71)."""
    with evil_server(lambda request: replace(file_answer(request, SMALL), chunked=True)) as server:
        error = Rig().failure(server, Expected(size))

    assert Reason.SIZE_MISMATCH == error.reason


def test_a_length_never_reached_is_unavailable() -> None:
    """A server that announces more than it sends is resumed, taken from 0 again, then SourceUnavailable (F71)."""
    short: Script = lambda request: replace(  # noqa: E731
        file_answer(request, SMALL, ranges=False), length=len(SMALL) + 10, cut_at=len(SMALL)
    )
    with evil_server(short) as server:
        error = Rig(retries=2).failure(server, Expected())

    assert (Reason.SOURCE_UNAVAILABLE, 1 + 1 + 3) == (error.reason, len(server.requests))


def test_encoded_bytes_are_refused() -> None:
    """A gzip body in place of the file is FormatNotAllowed, unread (F81)."""
    with evil_server(lambda request: file_answer(request, SMALL).with_headers(content_encoding="gzip")) as server:
        error = Rig().failure(server, exactly(SMALL))

    assert Reason.FORMAT_NOT_ALLOWED == error.reason


# Statuses and waits: F65, F66, F68, F69, F76


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


# Stalls, stops and deadlines: F75


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


# Bounds


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


# Several files


def test_a_storage_error_passes_through() -> None:
    """An error of the sink ends the run with its own reason and the file's name, and asks for nothing again."""
    rig = Rig()
    rig.sinks["file"] = MemorySink(FetchError(Reason.STORAGE_IO_ERROR, "disk says no"))
    with evil_server(serve_file(SMALL)) as server:
        error = rig.failure(server, exactly(SMALL))

    assert (Reason.STORAGE_IO_ERROR, "file", 1) == (error.reason, error.file, len(server.requests))


def serve_two(first: Script) -> Callable[[Request], Answer]:
    """Return the script of a server with a bad file and a good one."""
    return lambda request: first(request) if request.target == "/bad" else file_answer(request, SMALL)


def test_a_terminal_error_begins_nothing_new() -> None:
    """After a terminal error no further file is asked for, and that error is raised."""
    rig = Rig(parallel=1)
    with evil_server(serve_two(lambda _request: Answer(404))) as server, pytest.raises(FetchError) as caught:
        rig.run([("bad", server.url("/bad"), exactly(LARGE)), ("good", server.url("/good"), exactly(SMALL))])

    assert (Reason.SOURCE_NOT_FOUND, "bad", ["/bad"]) == (caught.value.reason, caught.value.file, server.targets())


def test_a_retryable_error_lets_begun_files_end() -> None:
    """A file that is under way when another fails for now is ended: the next attempt need not fetch it."""
    rig, begun, failed = Rig(parallel=2, retries=0), threading.Event(), threading.Event()

    def script(request: Request) -> Answer:
        if request.target == "/bad":
            begun.wait(10)
            failed.set()
            return Answer(503)
        begun.set()
        failed.wait(10)
        return file_answer(request, SMALL)

    with evil_server(script) as server, pytest.raises(FetchError) as caught:
        rig.run([("bad", server.url("/bad"), exactly(SMALL)), ("good", server.url("/good"), exactly(SMALL))])

    assert (Reason.SOURCE_UNAVAILABLE, ["good"]) == (caught.value.reason, list(rig.moved))


def test_a_terminal_error_is_told_before_others() -> None:
    """Where files fail for different reasons, the one that waiting cannot mend is raised."""
    rig, both = Rig(parallel=2, retries=0), threading.Barrier(2)

    def script(request: Request) -> Answer:
        both.wait(10)
        return Answer(404 if request.target == "/bad" else 503)

    with evil_server(script) as server, pytest.raises(FetchError) as caught:
        rig.run([("a", server.url("/worse"), exactly(LARGE)), ("b", server.url("/bad"), exactly(LARGE))])

    assert Reason.SOURCE_NOT_FOUND == caught.value.reason


def test_an_error_of_the_caller_is_raised() -> None:
    """What `done` raises ends the run."""

    def fail(_moved: Moved) -> None:
        raise FetchError(Reason.STORE_CORRUPT, "not ours")

    rig = Rig()
    engine = Engine(rig.transfer, rig.retry, rig.stop, rig.counters)
    with evil_server(serve_file(SMALL)) as server, open_session() as session, pytest.raises(FetchError) as caught:
        engine.run([Item("a", HttpReader(session, parse_url(server.url())), MemorySink(), exactly(SMALL))], fail)

    assert (Reason.STORE_CORRUPT, "a") == (caught.value.reason, caught.value.file)


@pytest.mark.parametrize("status", [404, 503])
def test_an_empty_file_is_asked_for_too(status: int) -> None:
    """A file of no bytes is there only when the server says so."""
    with evil_server(lambda _request: Answer(status)) as server:
        error = Rig(retries=1).failure(server, exactly(b""))

    assert error.reason in {Reason.SOURCE_NOT_FOUND, Reason.SOURCE_UNAVAILABLE}


def test_nothing_to_do_is_done() -> None:
    """A run of no files ends at once."""
    rig = Rig()
    rig.run([])

    assert {} == rig.moved
