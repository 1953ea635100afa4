"""F65, F66, F68 and F69: sources that answer with an error, for a moment or for good."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.utils import format_datetime

import pytest

from modelfetch.devcluster.hub import Cut, FixtureHub, RepoSpec, Status
from modelfetch.reasons import Reason
from modelfetch.transfer.segments import SEGMENT_BYTES
from tests.fakes.evil_server import Answer, Request, evil_server, file_answer
from tests.source_faults.scene import SIGNATURE, TOKEN, Remote, Scene, Turned, require_ended, require_published
from tests.source_faults.scripts import LARGE, SMALL, at, first, good, signed, status

RETRIES = 2
PATIENCE_S = 20
FILES = {"config.json": b"{}", "model.safetensors": SMALL}


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    """A hub with the model org/name, and org/gated, whose terms nobody has accepted."""
    with FixtureHub([RepoSpec("org/name", FILES), RepoSpec("org/gated", FILES, gated="manual")]) as hub:
        yield hub


def test_f65_no_repository(scene: Scene, hub: FixtureHub) -> None:
    """F65: a repository that is not there is SourceNotFound, names it, and is asked for once."""
    require_ended(scene.fetch_hub(hub, "org/other"), Reason.SOURCE_NOT_FOUND, "org/other", hub.endpoint)
    assert 1 == len(hub.requests)


def test_f65_no_revision(scene: Scene, hub: FixtureHub) -> None:
    """F65: a revision that is not there is RevisionNotFound and names it."""
    ending = scene.fetch_hub(hub, "org/name", revision="v9")

    require_ended(ending, Reason.REVISION_NOT_FOUND, "'v9'", "org/name")
    assert 1 == len(hub.requests)


@pytest.mark.parametrize("code", [404, 410])
@pytest.mark.parametrize("where", [{"path": "/resolve/.*/model.safetensors"}, {"port": "cdn"}], ids=["hub", "cdn"])
def test_f65_one_of_many_files(scene: Scene, hub: FixtureHub, code: int, where: dict[str, str]) -> None:
    """F65: a listed file that is not there is SourceNotFound and named; the CDN's word is checked with the hub."""
    hub.fail(Status(status=code), **where)  # type: ignore[arg-type]
    ending = scene.fetch_hub(hub, "org/name")

    require_ended(ending, Reason.SOURCE_NOT_FOUND)
    assert "model.safetensors" == ending.report.file
    assert len([record for record in hub.requests if "/model.safetensors" in record.path]) <= 3


def test_f65_one_of_many_urls(scene: Scene) -> None:
    """F65: of several files by URL the one that is not there is named, and asked for once."""
    contents = {f"/{name}": SMALL[number:] for number, name in enumerate("abc")}

    def script(request: Request) -> Answer:
        return (status(404) if request.target == "/b" else good(contents[request.target]))(request)

    with evil_server(script) as server:
        ending = scene.fetch_all({path[1:]: Remote(server.url(path), content) for path, content in contents.items()})

    require_ended(ending, Reason.SOURCE_NOT_FOUND, "404", server.url("/b"))
    assert ("b", 1) == (ending.report.file, server.targets().count("/b"))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (401, Reason.SOURCE_UNAUTHORIZED),
        (402, Reason.SOURCE_FORBIDDEN),
        (403, Reason.SOURCE_FORBIDDEN),
        (451, Reason.SOURCE_FORBIDDEN),
    ],
)
@pytest.mark.parametrize("connections", [1, 4])
def test_f66_refused(scene: Scene, code: int, reason: Reason, connections: int) -> None:
    """F66: a refusal is final at the first answer, and repeats nothing of what the token or the server said."""
    scene.connections, scene.token = connections, TOKEN
    with evil_server(status(code, WWW_Authenticate=f"Bearer {TOKEN}")) as server:
        ending = scene.fetch(server.url(), LARGE)

    require_ended(ending, reason, str(code), server.url())
    assert 1 == len(server.requests)


@pytest.mark.parametrize("token", [False, True], ids=["without token", "with token"])
def test_f66_gated(scene: Scene, hub: FixtureHub, token: bool) -> None:
    """F66: a gated repository is GatedAccessRequired, and the remedy says that its terms have to be accepted."""
    scene.token = hub.tokens["stranger"] if token else None
    ending = scene.fetch_hub(hub, "org/gated")

    require_ended(ending, Reason.GATED_ACCESS_REQUIRED, "org/gated", "gated")
    assert "Accept the terms" in (ending.report.remedy or "")
    assert len(hub.requests) <= 2 + len(FILES)


def test_f66_a_new_token_is_taken(scene: Scene) -> None:
    """F66: a token that was replaced while the fetch ran is read again at the refusal, and the fetch goes on."""
    scene.token = "old.one"

    def script(request: Request) -> Answer:
        if request.headers["authorization"] == f"Bearer {TOKEN}":
            return file_answer(request, LARGE)
        scene.token = TOKEN
        return Answer(401)

    with evil_server(script) as server:
        ending = scene.fetch(server.url(), LARGE)

    require_published(ending, {"file": LARGE})
    assert 2 == len(server.requests)


def seconds(_turned: Turned) -> str:
    """Return a wait of 90 s as a number."""
    return "90"


def date(turned: Turned) -> str:
    """Return a wait of 90 s as a date."""
    return format_datetime(turned.clock.now() + timedelta(seconds=90), usegmt=True)


def past(turned: Turned) -> str:
    """Return a date that is over."""
    return format_datetime(turned.clock.now() - timedelta(days=1), usegmt=True)


def ten_years(_turned: Turned) -> str:
    """Return ten years."""
    return str(10 * 365 * 86_400)


def two_hours(_turned: Turned) -> str:
    """Return more than is granted."""
    return "7200"


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize(
    ("form", "least", "most"),
    [(seconds, 90, 91), (date, 88, 91), (past, 0, 1), (ten_years, 0, 1), (two_hours, 300, 301), (None, 0, 1)],
)
def test_f68_told_to_wait(
    scene: Scene, code: int, content: bytes, form: Callable[[Turned], str] | None, least: float, most: float
) -> None:
    """F68: each form of Retry-After is kept to the second, up to 5 minutes; an absurd one counts as none."""
    headers = {} if form is None else {"Retry_After": form(scene.turned)}
    with evil_server(first(1, status(code, **headers), good(content))) as server:
        ending = scene.fetch(server.url(), content)

    require_published(ending, {"file": content})
    assert 2 == len(server.requests)
    assert least <= sum(ending.waits) <= most


@pytest.mark.parametrize("where", [{"path": "/api/models/org/name$|/revision/"}, {"path": "/tree/"}])
def test_f68_the_listing_too(scene: Scene, hub: FixtureHub, where: dict[str, str]) -> None:
    """F68: a hub that asks for a wait before its listing gets it."""
    rule = hub.fail(Status(status=429, headers={"Retry-After": "90"}), count=1, **where)  # type: ignore[arg-type]
    ending = scene.fetch_hub(hub, "org/name")

    require_published(ending, FILES)
    assert (1, True) == (hub.rules.hits(rule), 90 <= sum(ending.waits) <= 92)


def test_f68_what_one_is_told_holds_for_all(scene: Scene) -> None:
    """F68: after one answer that asks for a wait nobody asks that host before it is over; it costs no retry."""
    scene.retries, scene.stall_s = 1, 1000  # the waits of all turn one clock
    contents = {f"/{number}": LARGE[number : SEGMENT_BYTES + 100_000] for number in range(2 * scene.parallel)}
    told, others_wait = threading.Event(), threading.Event()
    waiting: set[int] = set()

    def script(request: Request) -> Answer:
        if request.number == 0:
            return Answer(429, (("Retry-After", "60"),))
        assert told.wait(PATIENCE_S)
        return file_answer(request, contents[request.target])

    def on_wait() -> None:
        waiting.add(threading.get_ident())
        told.set()
        if len(waiting) < scene.parallel and others_wait.wait(PATIENCE_S):
            return
        if not others_wait.is_set():
            asked.append(len(server.requests))
            others_wait.set()

    asked: list[int] = []
    scene.turned.on_wait = on_wait
    with evil_server(script) as server:
        ending = scene.fetch_all({path[1:]: Remote(server.url(path), content) for path, content in contents.items()})

    require_published(ending, {path[1:]: content for path, content in contents.items()})
    assert asked[0] <= scene.parallel
    assert len(server.requests) <= 2 * len(contents)


def test_f68_for_ever(scene: Scene) -> None:
    """F68: a source that never stops to ask for patience is RateLimited after the retries, its wait told on."""
    scene.retries = RETRIES
    with evil_server(status(429, Retry_After="60")) as server:
        ending = scene.fetch(server.url(), SMALL)

    require_ended(ending, Reason.RATE_LIMITED, "429", server.url())
    assert (RETRIES + 1, True) == (len(server.requests), 120 <= sum(ending.waits) <= 122)


def test_f68_no_wait_past_the_deadline(scene: Scene) -> None:
    """F68: where the wait would end after the deadline there is none, and the reason is the source's."""
    scene.deadline_s = 100
    with evil_server(status(429, Retry_After="120")) as server:
        ending = scene.fetch(server.url(), SMALL)

    require_ended(ending, Reason.RATE_LIMITED, "429")
    assert (1, 0) == (len(server.requests), sum(ending.waits))


@pytest.mark.parametrize("code", [500, 502, 503, 504, 408, 425])
@pytest.mark.parametrize("connections", [1, 4])
def test_f69_once(scene: Scene, code: int, connections: int) -> None:
    """F69: an error of one moment costs one more request and no byte, wherever in the file it comes."""
    scene.connections = connections
    with evil_server(at({0, 2}, status(code), good(LARGE))) as server:
        ending = scene.fetch(server.url(), LARGE)

    require_published(ending, {"file": LARGE})
    assert server.bytes_sent <= len(LARGE) + 2 * 200 + (connections - 1) * SEGMENT_BYTES


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_f69_ten_minutes(scene: Scene, content: bytes) -> None:
    """F69: a source that is away for ten minutes is waited for where the order has retries for it, ever more slowly."""
    scene.retries = 100
    begin = scene.turned.monotonic()

    def script(request: Request) -> Answer:
        away = scene.turned.monotonic() - begin < 600
        return (status(503) if away else good(content))(request)

    with evil_server(script) as server:
        ending = scene.fetch(server.url(), content)

    require_published(ending, {"file": content})
    # What was not waited for was needed by the requests: more on a busy machine.
    assert 600 <= scene.turned.monotonic() - begin
    assert sum(ending.waits) <= 632
    assert len(server.requests) <= 101


@pytest.mark.parametrize("code", [500, 502, 503, 504])
@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("connections", [1, 4])
def test_f69_for_ever(scene: Scene, code: int, content: bytes, connections: int) -> None:
    """F69: a source that does not come back is SourceUnavailable after exactly the retries of the order."""
    scene.retries, scene.connections = RETRIES, connections
    with evil_server(status(code)) as server:
        ending = scene.fetch(server.url(), content)

    require_ended(ending, Reason.SOURCE_UNAVAILABLE, str(code), server.url())
    assert RETRIES + 1 == len(server.requests)


def test_f69_behind_a_signed_address(scene: Scene) -> None:
    """F69: an error of the storage behind a hub names the storage, without the signature."""
    scene.retries = RETRIES
    with evil_server(status(503)) as cdn, evil_server(signed(cdn.url("/f"))) as hub:
        ending = scene.fetch(hub.url(), SMALL)

    require_ended(ending, Reason.SOURCE_UNAVAILABLE, cdn.url("/f"))
    assert (RETRIES + 1, RETRIES + 1) == (len(hub.requests), len(cdn.requests))
    assert SIGNATURE not in ending.said


def test_f69_what_was_verified_is_kept(scene: Scene, hub: FixtureHub) -> None:
    """F69: of a fetch that was given up the next one asks for nothing that was verified."""
    scene.retries, scene.parallel = 0, 1
    rule = hub.fail(Status(status=503), path="/resolve/.*/config.json")
    require_ended(scene.fetch_hub(hub, "org/name"), Reason.SOURCE_UNAVAILABLE, "config.json")
    hub.rules.remove(rule)

    require_published(scene.fetch_hub(hub, "org/name"), FILES)
    assert 1 == len([record for record in hub.requests if record.port == "cdn"])


def test_f69_errors_between_cuts(scene: Scene, hub: FixtureHub) -> None:
    """F69: cuts and errors in turn cost a request each; every byte is sent once."""
    for number in (1, 3):
        hub.fail(Cut(after=20_000), port="cdn", nth=number)
        hub.fail(Status(status=502), port="cdn", nth=number + 1)
    ending = scene.fetch_hub(hub, "org/name")

    require_published(ending, FILES)
    sent = [record.bytes_sent for record in hub.requests if record.port == "cdn" and record.status != 502]
    assert len(SMALL) == sum(sent)
