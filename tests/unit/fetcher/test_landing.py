"""Where bytes land: what an earlier attempt left counts only where somebody can tell that it is the same version."""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelfetch.api.order import OrderTransfer
from modelfetch.api.source import HttpFile, HttpSource
from modelfetch.errors import FetchError
from modelfetch.fetcher.landing import Allowance, Berth, Landing
from modelfetch.fetcher.plan import PlannedFile
from modelfetch.reasons import Reason
from modelfetch.sources.base import RemoteFile
from modelfetch.store import layout
from modelfetch.store.fs import Filesystem
from modelfetch.store.ingest import Ingest
from modelfetch.store.journal import decode
from modelfetch.store.store import Store
from modelfetch.store.sums import read_sums
from modelfetch.transfer.engine import Item, Moved
from modelfetch.transfer.reader import Identity
from modelfetch.transfer.segments import SEGMENT_BYTES
from modelfetch.transfer.sink import NOTHING, Kept
from modelfetch.transfer.verifier import Expected
from tests.fakes.evil_server import Answer, EvilServer, Request, Script, evil_server, file_answer
from tests.fakes.transfer import ScriptedReader
from tests.loopback import fetch, order_for, published_files
from tests.unit.store.partials import ALL, CONTENT, DIGESTS, FIRST, SECOND, THIRD, V1, receive, segment

SHA256 = hashlib.sha256(CONTENT).hexdigest()
SIZE = len(CONTENT)
LISTED = PlannedFile("f", SIZE, SHA256, None, "source", RemoteFile("f", SIZE))
UNLISTED = replace(LISTED, size=None)
NAMELESS = replace(LISTED, sha256=None)


def nothing() -> None:
    """Let the attempt go on."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "store"), Filesystem()) as opened:
        yield opened


@pytest.fixture
def ingest(store: Store) -> Iterator[Ingest]:
    with store.ingest("a") as opened:
        yield opened


def berth(ingest: Ingest, limit: int | None = None, wrote: list[int] | None = None) -> Berth:
    return Berth(ingest, Allowance(limit, 0), (wrote if wrote is not None else []).append)


def adopted(
    ingest: Ingest, file: PlannedFile, *starts: int, identity: Identity = V1, limit: int | None = None
) -> Landing:
    """Return a landing with a file that an earlier attempt left."""
    receive(ingest, starts, 0, hashed=starts[-1])
    ingest.checkpoint()
    log = decode(ingest.volume.read(layout.journal(ingest.folder), 1 << 20) or b"")
    assert log is not None
    taken = ingest.take_over(layout.partial(ingest.folder, "0"), replace(log.files[0], identity=identity), 1)
    return Landing(file, 1, "k", berth(ingest, limit), taken)


def size_on_volume(ingest: Ingest, number: int = 1) -> int:
    facts = ingest.volume.facts(layout.partial(ingest.folder, str(number)))
    assert facts is not None
    return facts.size


@pytest.mark.parametrize(
    ("file", "identity", "kept"),
    [
        (LISTED, V1, {FIRST, SECOND}),
        (LISTED, Identity(size=SIZE), {FIRST, SECOND}),
        (UNLISTED, V1, {FIRST, SECOND}),
        (replace(LISTED, sha256=None, git_blob="a" * 40), Identity(size=SIZE), {FIRST, SECOND}),
        (NAMELESS, V1, {FIRST, SECOND}),
        (NAMELESS, Identity(None, "Sat, 01 Jan 2022 00:00:00 GMT", SIZE), {FIRST, SECOND}),
        (NAMELESS, Identity(size=SIZE), set()),
        (LISTED, replace(V1, size=SIZE - 1), set()),
        (replace(LISTED, size=SIZE + 1), V1, set()),
    ],
    ids=["digest", "digest alone", "no size", "git", "etag", "date", "neither", "of another size", "listed otherwise"],
)
def test_what_counts_of_an_earlier_attempt(
    ingest: Ingest, file: PlannedFile, identity: Identity, kept: set[int]
) -> None:
    """A digest tells wrong bytes in the end, a strong validator does at once; without either nothing is kept."""
    landing = adopted(ingest, file, FIRST, SECOND, identity=identity)

    assert kept == landing.kept(nothing).segments
    assert (2 * SEGMENT_BYTES if kept else 0) == size_on_volume(ingest)


def test_a_file_that_nobody_vouches_for_is_asked_for_once(ingest: Ingest) -> None:
    """All of it is here, but only the server can say that it still is the version: the last segment is fetched."""
    landing = adopted(ingest, NAMELESS, *ALL)
    kept = landing.kept(nothing)

    assert (frozenset({FIRST, SECOND}), THIRD) == (kept.segments, kept.hashed)


def test_a_file_with_a_digest_needs_no_request(ingest: Ingest) -> None:
    """All of it is here, and the digest says so."""
    assert set(ALL) == adopted(ingest, LISTED, *ALL).kept(nothing).segments


def test_of_a_damaged_file_not_even_the_size_is_left(ingest: Ingest) -> None:
    """Where no segment can be used, the file starts empty: what comes may be shorter."""
    landing = adopted(ingest, UNLISTED, FIRST, SECOND)
    assert landing.partial is not None
    landing.partial.partial.truncate(5)

    assert (NOTHING, 0) == (landing.kept(nothing), size_on_volume(ingest))


def test_a_new_file_is_made_when_its_first_byte_comes(ingest: Ingest) -> None:
    """A plan of ten thousand files opens only those that are in transfer."""
    landing = Landing(LISTED, 3, "k", berth(ingest))
    before = ingest.volume.facts(layout.partial(ingest.folder, "3"))
    kept: Kept = landing.kept(nothing)
    landing.write_at(0, segment(FIRST))

    assert (None, NOTHING, SEGMENT_BYTES) == (before, kept, size_on_volume(ingest, 3))


def test_written_bytes_are_told(ingest: Ingest) -> None:
    """Whoever makes checkpoints learns of each segment."""
    wrote: list[int] = []
    landing = Landing(LISTED, 3, "k", berth(ingest, wrote=wrote))
    landing.write_at(0, segment(FIRST))
    landing.write_at(THIRD, segment(THIRD))

    assert [SEGMENT_BYTES, 1000] == wrote


def test_the_allowance_counts_each_byte_once(ingest: Ingest) -> None:
    """Files of unlisted size share what is allowed; what is thrown away is given back."""
    shared = berth(ingest, SEGMENT_BYTES + 2000)
    one, other = Landing(UNLISTED, 1, "k", shared), Landing(UNLISTED, 2, "l", shared)
    one.write_at(0, segment(FIRST))
    one.write_at(0, segment(FIRST))
    one.truncate(0)
    other.write_at(0, segment(FIRST))
    with pytest.raises(FetchError) as raised:
        one.write_at(0, segment(SECOND))

    assert Reason.SIZE_LIMIT_EXCEEDED == raised.value.reason


def test_what_is_kept_counts_against_the_allowance(ingest: Ingest) -> None:
    """A file of unlisted size is as large as the server said, whether its bytes came now or earlier."""
    within = adopted(ingest, UNLISTED, FIRST, SECOND, limit=SIZE)
    within.kept(nothing)
    within.write_at(THIRD, segment(THIRD))
    beyond = Landing(UNLISTED, 1, "k", berth(ingest, SIZE - 1), within.partial)
    with pytest.raises(FetchError) as raised:
        beyond.kept(nothing)

    assert Reason.SIZE_LIMIT_EXCEEDED == raised.value.reason


def test_a_listed_file_takes_nothing_of_the_allowance(ingest: Ingest) -> None:
    """Its size was counted when the plan was made."""
    landing = Landing(LISTED, 1, "k", berth(ingest, 0))
    landing.write_at(0, segment(FIRST))
    landing.truncate(0)

    assert 0 == size_on_volume(ingest)


def moved(landing: Landing) -> Moved:
    item = Item("f", ScriptedReader(), landing, Expected(SIZE, SHA256))
    return Moved(item, SHA256, SIZE, V1, "sha256")


def test_a_commit_puts_the_sums_beside_the_blob(store: Store, ingest: Ingest) -> None:
    """The BLAKE3 of each segment, those that were kept and those that came, is what a later look compares with."""
    landing = adopted(ingest, LISTED, FIRST, THIRD)
    landing.kept(nothing)
    landing.opened(V1)
    landing.write_at(SECOND, segment(SECOND))
    landing.commit(store, moved(landing))
    sums = read_sums(store.volume, SHA256)

    assert sums is not None
    assert DIGESTS == sums.digests
    assert CONTENT == store.volume.read(layout.blob(SHA256), SIZE)


def test_a_commit_settles_the_claim(store: Store, ingest: Ingest) -> None:
    """Others that wait for the content find it, and nothing is left to go on from or to remember."""
    landing = adopted(ingest, LISTED, *ALL)
    landing.kept(nothing)
    landing.commit(store, moved(landing))
    log = decode(ingest.volume.read(layout.journal(ingest.folder), 1 << 20) or b"")

    assert log is not None
    assert ({}, None) == (log.files, landing.partial)


# Whole fetches of a file that nobody vouches for


def by_url(server: EvilServer, target: str = "/file") -> HttpSource:
    return HttpSource(files=[HttpFile.model_validate({"url": server.url(target), "path": "file"})])


def cut_then(after: Script, cut_at: int = SECOND + 70_000) -> Script:
    """Return the script of a server whose first answer breaks off, and whose second refuses."""

    def script(request: Request) -> Answer:
        if request.number == 0:
            return replace(file_answer(request, CONTENT), cut_at=cut_at)
        return Answer(503, body=b"later") if request.number == 1 else after(request)

    return script


def two_fetches(server: EvilServer, volume: Path, target: str = "/file", **fields: Any) -> list[str | None]:
    """Fetch twice, the first time in vain; return the ranges that the second asked for."""
    transfer = OrderTransfer(request_retries=1, connections_per_file=1, stall_timeout_s=5, deadline_s=60)
    first = order_for(by_url(server), transfer=transfer)
    failed = fetch(first, volume)
    assert Reason.SOURCE_UNAVAILABLE is failed.reason, failed.message
    before = len(server.requests)
    report = fetch(order_for(by_url(server, target), transfer=transfer, ended=(first.attempt,), **fields), volume)
    assert report.reason is None, report.message
    return [request.headers.get("range") for request in server.requests[before:]]


@pytest.mark.parametrize(
    ("after", "target", "ranges"),
    [
        (lambda request: file_answer(request, CONTENT), "/file", [f"bytes={SECOND}-{SIZE - 1}"]),
        (
            lambda request: file_answer(request, CONTENT[::-1], '"v2"'),
            "/file",
            [f"bytes={SECOND}-{SIZE - 1}", None],
        ),
        (lambda request: file_answer(request, CONTENT[::-1]), "/other", [None]),
    ],
    ids=["the same version", "another version", "another address"],
)
def test_a_file_without_a_digest_goes_on(tmp_path: Path, after: Script, target: str, ranges: list[str | None]) -> None:
    """Only what the server says is the same version is gone on from, and only from the same place."""
    with ExitStack() as stack:
        server = stack.enter_context(evil_server(cut_then(after)))
        asked = two_fetches(server, tmp_path, target)
        whole = after(Request(9, 9, "GET", target, {})).body

    assert (ranges, {"file": whole}) == (asked, published_files(tmp_path))
