"""F76, F79 and F84: sources of several hosts, of which one is away, expired, or another's mirror."""

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from modelfetch.devcluster.hub import Close, Cut, FixtureHub, RepoSpec, Status
from modelfetch.reasons import Reason
from modelfetch.sources.hub_transport import ENTRIES_LIMIT, ENTRY_BYTES
from modelfetch.transfer.segments import SEGMENT_BYTES
from tests.fakes.evil_server import Answer, Request, Script, evil_server, file_answer
from tests.source_faults.scene import SIGNATURE, TOKEN, Scene, require_ended, require_published
from tests.source_faults.scripts import LARGE, SMALL, cut_in_file, first, flipped, good, redirect, signed, status

FILES = {"config.json": b"{}", "model.safetensors": SMALL}
HOPS = 6
PAGE_BYTES = 4 << 20
STALE = 1
"""libcurl asks once more by itself where a kept connection turns out to have been closed."""


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    """A hub with the model org/name."""
    with FixtureHub([RepoSpec("org/name", FILES)]) as hub:
        yield hub


@pytest.fixture
def dead() -> Iterator[str]:
    """An address where nobody listens, and nobody else can."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/f"


def expiring(content: bytes, uses: int) -> Callable[[Request], Answer]:
    """Return the script of a storage each of whose signed addresses works for so many requests, then answers 403."""
    used: dict[str, int] = {}

    def script(request: Request) -> Answer:
        used[request.target] = used.get(request.target, 0) + 1
        if used[request.target] > uses:
            return Answer(403, body=f"<Error>Expired {request.target}</Error>".encode())
        return replace(file_answer(request, content), cut_at=1_000_000)

    return script


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("uses", [1, 2])
def test_f76_address_that_expires_in_the_middle(scene: Scene, connections: int, uses: int) -> None:
    """F76: a signed address that expires is asked for again at its origin, and no byte comes twice."""
    scene.connections, scene.token = connections, TOKEN
    with evil_server(expiring(LARGE, uses)) as cdn, evil_server(signed(cdn.url("/f"))) as origin:
        ending = scene.fetch(origin.url(), LARGE)

    require_published(ending, {"file": LARGE})
    # An address may be left unused where another connection has brought the end of the file meanwhile.
    assert len(origin.requests) < len(cdn.requests) + connections
    assert len(cdn.requests) <= 2 * (len(LARGE) // 1_000_000 + 4)
    assert cdn.bytes_sent <= len(LARGE) + SEGMENT_BYTES
    assert [] == [request for request in cdn.requests if "authorization" in request.headers]


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410])
def test_f76_addresses_that_never_work(scene: Scene, code: int) -> None:
    """F76: an origin whose every address has expired is asked three times in each try; no signature is told."""
    scene.token, scene.retries = TOKEN, 1
    with evil_server(status(code)) as cdn, evil_server(signed(cdn.url("/f"))) as origin:
        ending = scene.fetch(origin.url(), LARGE)

    assert ending.report.reason is not None
    require_ended(ending, ending.report.reason, f"status {code}", cdn.url("/f"))
    tries = 2 if ending.report.reason.row.retryable else 1
    assert [3 * tries] * 2 == [len(origin.requests), len(cdn.requests)]


def test_f76_address_that_expires_before_the_first_byte(scene: Scene) -> None:
    """F76: an address that has expired on arrival is asked for once more."""
    with evil_server(first(1, status(403), good(SMALL))) as cdn, evil_server(signed(cdn.url("/f"))) as origin:
        ending = scene.fetch(origin.url(), SMALL)

    require_published(ending, {"file": SMALL})
    assert (2, 2) == (len(origin.requests), len(cdn.requests))


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize(
    "location", ["/file", "/{number}", "/a?sig={number}"], ids=["itself", "ever on", "ever another query"]
)
def test_f76_redirects_in_a_circle(scene: Scene, location: str, connections: int) -> None:
    """F76: after five hops it is RedirectRejected, at once and for good."""
    scene.connections = connections
    script: Script = lambda request: redirect(location.format(number=request.number))(request)  # noqa: E731
    with evil_server(script) as server:
        ending = scene.fetch(server.url(), LARGE)

    require_ended(ending, Reason.REDIRECT_REJECTED, "expected at most 5 in a row")
    assert HOPS == len(server.requests)


def test_f76_a_circle_in_the_middle(scene: Scene) -> None:
    """F76: an origin that begins to send in circles after a cut is RedirectRejected within one chain of hops."""
    with evil_server(cut_in_file(LARGE, SEGMENT_BYTES)) as cdn:
        script = first(1, redirect(cdn.url("/f")), redirect("/again"))
        with evil_server(script) as origin:
            ending = scene.fetch(origin.url(), LARGE)

    require_ended(ending, Reason.REDIRECT_REJECTED, "expected at most 5 in a row")
    assert (1 + HOPS, 1) == (len(origin.requests), len(cdn.requests))


def test_f76_dead_host(scene: Scene, dead: str) -> None:
    """F76: a redirect to a host that is gone is SourceUnavailable, names that host, and asks the origin each time."""
    scene.retries = 2
    with evil_server(redirect(f"{dead}?sig={SIGNATURE}")) as origin:
        ending = scene.fetch(origin.url(), SMALL)

    require_ended(ending, Reason.SOURCE_UNAVAILABLE, dead, "connect")
    assert 3 == len(origin.requests)


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_f76_dead_host_among_living_ones(scene: Scene, dead: str, content: bytes) -> None:
    """F76: the next address that the origin gives may be of a host that lives."""
    with evil_server(good(content)) as alive, evil_server(first(2, redirect(dead), redirect(alive.url()))) as origin:
        ending = scene.fetch(origin.url(), content)

    require_published(ending, {"file": content})
    assert (3, 1) == (len(origin.requests), len(alive.requests))


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("down", ["refused", "error", "cut"])
def test_f79_mirror_with_other_bytes(scene: Scene, dead: str, content: bytes, down: str) -> None:
    """F79: when mirror A is down, what mirror B has is compared with the same digest, and joined to nothing of A."""
    other = flipped(content, -10)
    scripts = {"error": status(503), "cut": cut_in_file(content, len(content) // 2, times=99)}
    with evil_server(scripts.get(down, good(content))) as mirror_a, evil_server(good(other)) as mirror_b:
        to_a = dead if down == "refused" else mirror_a.url()
        with evil_server(first(2, redirect(to_a), redirect(mirror_b.url()))) as origin:
            ending = scene.fetch(origin.url(), content)

    require_ended(ending, Reason.CHECKSUM_MISMATCH, "expected sha256")
    assert len(origin.requests) <= 6
    assert 0 < len(mirror_b.requests) <= 4


@pytest.mark.parametrize("down", ["refused", "error"])
def test_f79_mirror_with_the_same_bytes(scene: Scene, dead: str, down: str) -> None:
    """F79: a mirror that has the right bytes is as good as the first one, under whatever ETag."""
    with evil_server(status(503)) as mirror_a, evil_server(good(LARGE, '"of-b"')) as mirror_b:
        to_a = dead if down == "refused" else mirror_a.url()
        with evil_server(first(1, redirect(to_a), redirect(mirror_b.url()))) as origin:
            ending = scene.fetch(origin.url(), LARGE)

    require_published(ending, {"file": LARGE})
    assert (2, 1) == (len(origin.requests), len(mirror_b.requests))


def test_f79_from_one_mirror_to_the_other(scene: Scene) -> None:
    """F79: after a cut in A the rest is asked of B only as the same version; else B is asked for all of it."""
    with (
        evil_server(cut_in_file(LARGE, SEGMENT_BYTES, times=99)) as mirror_a,
        evil_server(good(LARGE, '"of-b"')) as mirror_b,
        evil_server(first(1, redirect(mirror_a.url()), redirect(mirror_b.url()))) as origin,
    ):
        ending = scene.fetch(origin.url(), LARGE)

    require_published(ending, {"file": LARGE})
    assert len(origin.requests) <= 4
    assert mirror_b.bytes_sent <= 2 * len(LARGE)


@pytest.mark.parametrize("fault", [Status(status=503), Close(), Close(reset=True)], ids=["503", "closed", "reset"])
def test_f84_cdn_down(scene: Scene, hub: FixtureHub, fault: Status | Close) -> None:
    """F84: a hub that answers while its CDN does not: the message names the CDN; verified files are kept."""
    scene.retries = 1
    rule = hub.fail(fault, port="cdn")
    ending = scene.fetch_hub(hub, "org/name")
    hub.rules.remove(rule)

    require_ended(ending, Reason.SOURCE_UNAVAILABLE, hub.cdn)
    assert ("model.safetensors", 2) == (ending.report.file, len([one for one in hub.requests if one.port == "cdn"]))
    require_published(scene.fetch_hub(hub, "org/name"), FILES)
    assert 1 == len([one for one in hub.requests if "/config.json" in one.path])


def test_f84_cdn_down_for_a_moment(scene: Scene, hub: FixtureHub) -> None:
    """F84: a CDN that goes away in the middle and comes back brings the rest."""
    hub.fail(Cut(after=70_000), port="cdn", nth=1)
    hub.fail(Close(reset=True), port="cdn", nth=2)
    ending = scene.fetch_hub(hub, "org/name")

    require_published(ending, FILES)
    assert len(SMALL) == sum(one.bytes_sent for one in hub.requests if one.port == "cdn")


@pytest.mark.parametrize("fault", [Status(status=502), Close()], ids=["502", "closed"])
@pytest.mark.parametrize("where", ["/api/models/", "/tree/"])
def test_f84_hub_down(scene: Scene, hub: FixtureHub, fault: Status | Close, where: str) -> None:
    """F84: without the hub nothing is begun: the message names the hub, and the CDN is not asked."""
    scene.retries = 1
    hub.fail(fault, port="hub", path=where)
    ending = scene.fetch_hub(hub, "org/name")

    require_ended(ending, Reason.SOURCE_UNAVAILABLE, hub.endpoint)
    assert [] == [one for one in hub.requests if one.port == "cdn"]
    assert len(hub.requests) <= 1 + 2 + STALE


def test_f84_hub_goes_down_after_the_listing(scene: Scene, hub: FixtureHub) -> None:
    """F84: a hub whose API works while it gives no addresses any more is named with the file."""
    scene.retries = 1
    hub.fail(Close(), port="hub", path="/resolve/")
    ending = scene.fetch_hub(hub, "org/name")

    require_ended(ending, Reason.SOURCE_UNAVAILABLE, hub.endpoint, "/resolve/")
    assert len(hub.requests) <= 2 + 2 * len(FILES) + STALE


def test_f84_listing_without_measure(scene: Scene) -> None:
    """F84: a hub that fills page after page is stopped at what its entries may take, long before memory is full."""
    info = json.dumps({"id": "org/name", "sha": "0" * 40}).encode()
    kind = ("Content-Type", "application/json")

    def page(number: int) -> bytes:
        path = f"{number:08}{'x' * PAGE_BYTES}"
        return json.dumps([{"type": "file", "path": path, "size": 1, "oid": "0" * 40}]).encode()

    def script(request: Request) -> Answer:
        if "/tree/" not in request.target:
            return Answer(headers=(kind,), body=info)
        link = f'<{request.target.partition("?")[0]}?cursor={request.number}>; rel="next"'
        return Answer(headers=(kind, ("Link", link)), body=page(request.number))

    with evil_server(script) as server:
        ending = scene.fetch_endpoint(server.url(""), "org/name")

    require_ended(ending, Reason.TOO_MANY_FILES, "expected a listing of at most")
    assert 1 + ENTRIES_LIMIT * ENTRY_BYTES // len(page(0)) + 1 == len(server.requests)
