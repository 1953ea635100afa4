"""Every fault, seen from a socket of its own: what goes over the wire is what the action says."""

import contextlib
import gzip
import socket
import zlib

import pytest

from modelfetch.devcluster.hub import (
    Close,
    ContentRange,
    Corrupt,
    Cut,
    Delay,
    ETag,
    FixtureHub,
    Gzip,
    Headers,
    IgnoreRange,
    Length,
    Rate,
    Redirect,
    Replace,
    Stall,
    Status,
)
from modelfetch.devcluster.hub.rules import Action
from modelfetch.devcluster.hub.weights import weights_pieces
from tests.unit.devcluster.hub.conftest import WEIGHTS
from tests.unit.devcluster.hub.raw import DEADLINE_S, connected, follow, hear, request_bytes

DATA = b"".join(weights_pieces(WEIGHTS))
SIZE = len(DATA)
PART = {"Range": "bytes=1000-1999"}


def test_no_fault(weights_url: str) -> None:
    """Without rules the file comes whole, and by ranges."""
    assert (DATA, DATA[1000:2000]) == (follow(weights_url).raw, follow(weights_url, PART).raw)


@pytest.mark.parametrize("status", [401, 403, 404, 410, 418, 429, 500, 502, 503, 504, 599])
def test_status(hub: FixtureHub, config_url: str, status: int) -> None:
    """A status comes with the headers and the body that the rule gives."""
    hub.fail(Status(status=status, headers={"Retry-After": "7"}, body="no"), path="config")
    heard = hear(config_url)

    assert (status, "7", b"no") == (heard.status, heard.headers["retry-after"], heard.raw)


@pytest.mark.parametrize("after", [0, 1, 4095, SIZE - 1])
def test_cut(hub: FixtureHub, weights_url: str, after: int) -> None:
    """A cut sends the true header and exactly so many bytes of the body."""
    hub.fail(Cut(after=after), port="cdn")
    heard = follow(weights_url)

    assert (200, str(SIZE), DATA[:after]) == (heard.status, heard.headers["content-length"], heard.raw)
    assert [after] == [record.bytes_sent for record in hub.requests if record.port == "cdn"]


def test_cut_counts_from_the_start_of_the_answer(hub: FixtureHub, weights_url: str) -> None:
    """On a ranged answer the cut counts the bytes of this answer."""
    hub.fail(Cut(after=10), port="cdn")

    assert DATA[1000:1010] == follow(weights_url, PART).raw


def test_cut_by_reset(hub: FixtureHub, weights_url: str) -> None:
    """A cut may be a reset, which the client sees as such."""
    hub.fail(Cut(after=10, reset=True), port="cdn")

    assert follow(weights_url).reset


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (Corrupt(offset=0), bytes([DATA[0] ^ 1]) + DATA[1:]),
        (Corrupt(offset=-1), DATA[:-1] + bytes([DATA[-1] ^ 1])),
        (Corrupt(offset=-16, length=16, how="zero"), DATA[:-16] + bytes(16)),
        (Corrupt(offset=5000, length=100, how="swap"), DATA[:5000] + DATA[5100:5200] + DATA[5000:5100] + DATA[5200:]),
        (Replace(body="<html>"), b"<html>"),
        (Replace(body="<html>", pad=True), b"<html>".ljust(SIZE)),
    ],
)
def test_other_bytes(hub: FixtureHub, weights_url: str, action: Action, expected: bytes) -> None:
    """Corrupted and replaced files come with a header that fits the bytes."""
    hub.fail(action, port="cdn")
    heard = follow(weights_url)

    assert (str(len(expected)), expected) == (heard.headers["content-length"], heard.raw)


def test_corruption_is_placed_in_the_file(hub: FixtureHub, weights_url: str) -> None:
    """A flipped byte is at its offset in the file, whichever range holds it."""
    hub.fail(Corrupt(offset=1500), port="cdn")
    damaged = DATA[1000:1500] + bytes([DATA[1500] ^ 1]) + DATA[1501:2000]

    assert damaged == follow(weights_url, PART).raw
    assert DATA[2000:3000] == follow(weights_url, {"Range": "bytes=2000-2999"}).raw


def test_login_page(hub: FixtureHub, config_url: str) -> None:
    """A page may stand in for a file, with its own type."""
    hub.fail(Replace(body="<html>log in</html>", content_type="text/html"), path="config")
    heard = hear(config_url)

    assert (200, "text/html", b"<html>log in</html>") == (heard.status, heard.headers["content-type"], heard.raw)


@pytest.mark.parametrize(
    ("action", "length", "raw"),
    [
        (Length(delta=5), str(SIZE + 5), DATA),
        (Length(delta=-5), str(SIZE - 5), DATA),
        (Length(how="body", delta=-5), str(SIZE - 5), DATA[:-5]),
        (Length(how="absent"), None, DATA),
        (Length(how="chunked"), None, b"10000\r\n" + DATA + b"\r\n0\r\n\r\n"),
        (Length(how="chunked", delta=-16), None, b"fff0\r\n" + DATA[:-16] + b"\r\n0\r\n\r\n"),
        (Length(how="chunked-open"), None, b"10000\r\n" + DATA + b"\r\n"),
    ],
)
def test_length(hub: FixtureHub, weights_url: str, action: Action, length: str | None, raw: bytes) -> None:
    """The declared length, the framing and the body are what the rule says, each by itself."""
    hub.fail(action, port="cdn")
    heard = follow(weights_url)

    assert (length, raw) == (heard.headers.get("content-length"), heard.raw)


@pytest.mark.parametrize(
    ("action", "header", "raw"),
    [
        (ContentRange(value="bytes {start}-{end}/*"), "bytes 1000-1999/*", DATA[1000:2000]),
        (ContentRange(value="bytes 0-{end}/{total}"), f"bytes 0-1999/{SIZE}", DATA[1000:2000]),
        (ContentRange(value="nonsense"), "nonsense", DATA[1000:2000]),
        (ContentRange(shift=-400), f"bytes 600-1999/{SIZE}", DATA[600:2000]),
        (ContentRange(shift=400), f"bytes 1400-2399/{SIZE}", DATA[1400:2400]),
        (ContentRange(shift=-400, hide_shift=True), f"bytes 1000-1999/{SIZE}", DATA[600:2000]),
        (ContentRange(drop=True), None, DATA[1000:2000]),
    ],
)
def test_content_range(hub: FixtureHub, weights_url: str, action: Action, header: str | None, raw: bytes) -> None:
    """A ranged answer carries the Content-Range and the bytes that the rule says."""
    hub.fail(action, port="cdn")
    heard = follow(weights_url, PART)

    assert (206, header, raw) == (heard.status, heard.headers.get("content-range"), heard.raw)


def test_content_range_of_whole_files(hub: FixtureHub, weights_url: str) -> None:
    """An answer that is no range stays as it is."""
    hub.fail(ContentRange(value="nonsense", shift=5), port="cdn")
    heard = follow(weights_url)

    assert (200, None, DATA) == (heard.status, heard.headers.get("content-range"), heard.raw)


def test_ignore_range(hub: FixtureHub, weights_url: str) -> None:
    """A server that ignores ranges sends everything with 200."""
    hub.fail(IgnoreRange(), port="cdn")
    heard = follow(weights_url, PART)

    assert (200, DATA) == (heard.status, heard.raw)


@pytest.mark.parametrize(
    ("action", "etag", "status"),
    [
        (ETag(value='"new"'), '"new"', 200),
        (ETag(value='"new"', honour_if_range=False), '"new"', 206),
        (ETag(value='W/"old"'), 'W/"old"', 200),
        (ETag(), None, 200),
    ],
)
def test_etag(hub: FixtureHub, config_url: str, action: Action, etag: str | None, status: int) -> None:
    """Another ETag is sent, and a stale If-Range no longer holds unless the rule lets it."""
    old = hear(config_url).headers["etag"]
    hub.fail(action, path="config")
    heard = hear(config_url, {"Range": "bytes=5-", "If-Range": old})

    assert (etag, status) == (heard.headers.get("etag"), heard.status)


def test_etag_of_a_redirect(hub: FixtureHub, weights_url: str) -> None:
    """The linked ETag of a redirected file changes with the ETag."""
    hub.fail(ETag(value='"new"'), path="model")
    heard = hear(weights_url, method="HEAD")

    assert ('"new"', '"new"') == (heard.headers["etag"], heard.headers["x-linked-etag"])


def test_headers(hub: FixtureHub, config_url: str) -> None:
    """Headers are set and removed."""
    hub.fail(Headers(values={"X-New": "1", "ETag": '"x"'}, remove=("X-Repo-Commit",)), path="config")
    heard = hear(config_url)

    assert ("1", '"x"', False) == (heard.headers["x-new"], heard.headers["etag"], "x-repo-commit" in heard.headers)


@pytest.mark.parametrize(("count", "size"), [(1, 1 << 20), (10_000, 1)])
def test_huge_headers(hub: FixtureHub, config_url: str, count: int, size: int) -> None:
    """A header of a MiB and ten thousand headers reach the client."""
    hub.fail(Headers(count=count, size=size), path="config")
    fillers = [value for name, value in hear(config_url).headers.items() if name.startswith("x-filler")]

    assert (count, {"x" * size}) == (len(fillers), set(fillers))


def test_gzip(hub: FixtureHub, weights_url: str) -> None:
    """A gzip encoding that nobody asked for is named and real."""
    hub.fail(Gzip(), port="cdn")
    heard = follow(weights_url, {"Accept-Encoding": "identity"})

    assert ("gzip", DATA) == (heard.headers["content-encoding"], gzip.decompress(heard.raw))


def test_gzip_bomb(hub: FixtureHub, weights_url: str) -> None:
    """A bomb is small on the wire and unpacks to the size the rule says."""
    hub.fail(Gzip(bomb_bytes=50_000_000), port="cdn")
    raw = follow(weights_url).raw

    assert len(raw) < 100_000
    assert 50_000_000 == len(zlib.decompress(raw, 31))


@pytest.mark.parametrize(("count", "raw"), [(0, b""), (9, b"HTTP/1.1 ")])
def test_close(hub: FixtureHub, config_url: str, count: int, raw: bytes) -> None:
    """The connection ends before the header, or in the middle of it; the journal notes that no header was sent."""
    hub.fail(Close(header_bytes=count), path="config")
    heard = hear(config_url)

    assert (0, raw, 0) == (heard.status, heard.raw, hub.requests[-1].status)


def test_close_by_reset(hub: FixtureHub, config_url: str) -> None:
    """The connection may be reset before the header."""
    hub.fail(Close(reset=True), path="config")

    assert hear(config_url).reset


@pytest.mark.parametrize("after", [0, 5])
def test_stall(hub: FixtureHub, config_url: str, after: int) -> None:
    """A stalled answer sends so many bytes and then holds the connection until the client leaves."""
    hub.fail(Stall(after=after), path="config")
    with connected(config_url) as sock:
        sock.sendall(request_bytes(config_url, "GET", {}, b""))
        body = _read(sock, after)

        assert not hub.requests[0].done
    assert hub.journal.wait_until_idle(DEADLINE_S)
    assert after == hub.requests[0].bytes_sent == len(body)


def test_stall_ends(hub: FixtureHub, config_url: str) -> None:
    """A stall with an end goes on with the rest of the body."""
    hub.fail(Stall(after=5, seconds=0.01), path="config")
    heard = hear(config_url)

    assert heard.headers["content-length"] == str(len(heard.raw))


@pytest.mark.parametrize("action", [Stall(), Delay(seconds=3600)])
def test_nothing_comes(hub: FixtureHub, config_url: str, action: Action) -> None:
    """Before the header of a stalled or delayed answer no byte comes, and a client that leaves ends it."""
    hub.fail(action, path="config")
    with connected(config_url) as sock:
        sock.sendall(request_bytes(config_url, "GET", {}, b""))
        assert hub.journal.wait_for(1, DEADLINE_S)
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(1)
    assert hub.journal.wait_until_idle(DEADLINE_S)
    assert 0 == hub.requests[0].status


def test_delay_ends(hub: FixtureHub, config_url: str) -> None:
    """A delayed answer is the true one."""
    hub.fail(Delay(seconds=0.01), path="config")

    assert 200 == hear(config_url).status


def test_rate(hub: FixtureHub, weights_url: str) -> None:
    """A trickle of one byte per second sends byte by byte after the point where it begins."""
    hub.fail(Rate(bytes_per_s=1, after=100), port="cdn")
    location = hear(weights_url, method="HEAD").headers["location"]
    with connected(location) as sock:
        sock.sendall(request_bytes(location, "GET", {}, b""))
        body = _read(sock, 101)
    assert hub.journal.wait_until_idle(DEADLINE_S)
    assert body == DATA[: len(body)]
    assert 101 <= hub.requests[-1].bytes_sent < 1000


def test_rate_of_the_hub(hub: FixtureHub, weights_url: str) -> None:
    """A limit of the whole hub changes the pace and nothing else."""
    hub.rate = 4 * 1024 * 1024.0

    assert DATA == follow(weights_url).raw


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("{self}", "{hub}/acme/tiny/resolve/main/config.json"),
        ("{cdn}/x", "{cdn}/x"),
        ("http://other.invalid{path}", "http://other.invalid/acme/tiny/resolve/main/config.json"),
        ("", ""),
        ("file:///etc/passwd", "file:///etc/passwd"),
    ],
)
def test_redirect(hub: FixtureHub, config_url: str, location: str, expected: str) -> None:
    """A redirect leads where the rule says, with the hub's own addresses filled in."""
    hub.fail(Redirect(location=location, status=307), path="config")
    heard = hear(config_url)
    expected = expected.replace("{hub}", hub.endpoint).replace("{cdn}", hub.cdn)

    assert (307, expected) == (heard.status, heard.headers["location"])


def test_redirect_without_location(hub: FixtureHub, config_url: str) -> None:
    """A redirect may lack its Location."""
    hub.fail(Redirect(location=None), path="config")
    heard = hear(config_url)

    assert (302, False) == (heard.status, "location" in heard.headers)


def test_actions_add_up(hub: FixtureHub, weights_url: str) -> None:
    """One rule may change the file, its tag and the length of the answer at once."""
    hub.fail(Replace(body="other"), ETag(value='"new"'), Cut(after=2), port="cdn")
    heard = follow(weights_url)

    assert (b"ot", "5", '"new"') == (heard.raw, heard.headers["content-length"], heard.headers["etag"])


def test_only_the_nth(hub: FixtureHub, weights_url: str) -> None:
    """A rule for the second request leaves the first and the third alone."""
    hub.fail(Cut(after=1), port="cdn", nth=2)

    assert [SIZE, 1, SIZE] == [len(follow(weights_url).raw) for _ in range(3)]


def test_head_has_no_body_to_break(hub: FixtureHub, config_url: str) -> None:
    """A HEAD answer has no body, so a cut leaves it whole."""
    hub.fail(Cut(after=0), path="config")
    heard = hear(config_url, method="HEAD")

    assert (200, b"") == (heard.status, heard.raw)


def test_close_ends_every_wait(hub: FixtureHub, config_url: str) -> None:
    """A hub that is closed while it stalls drops the connection and leaves no thread."""
    hub.fail(Stall(after=0), path="config")
    with connected(config_url) as sock:
        sock.sendall(request_bytes(config_url, "GET", {}, b""))
        assert hub.journal.wait_for(1, DEADLINE_S)
        hub.close()
        with contextlib.suppress(ConnectionResetError):
            while sock.recv(4096):
                pass

    assert hub.requests[0].done


def _read(sock: socket.socket, count: int) -> bytes:
    """Return the body received so far as soon as it has `count` bytes."""
    received = b""
    while b"\r\n\r\n" not in received or len(received.partition(b"\r\n\r\n")[2]) < count:
        received += sock.recv(4096)
    return received.partition(b"\r\n\r\n")[2]
