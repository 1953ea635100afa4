"""`resolve` and the CDN, header by header as the real hub sends them."""

import hashlib
from urllib.parse import parse_qs, urlsplit

import pytest

from modelfetch.devcluster.hub import FixtureHub, HubSettings, RepoSpec
from modelfetch.devcluster.hub.git import blob_id
from modelfetch.devcluster.hub.message import Request
from modelfetch.devcluster.hub.resolve import Signer
from modelfetch.devcluster.hub.weights import weights_pieces
from tests.unit.devcluster.hub.conftest import CONFIG, FILES, WEIGHTS
from tests.unit.devcluster.hub.raw import follow, hear

DATA = b"".join(weights_pieces(WEIGHTS))


def commit_of(hub: FixtureHub) -> str:
    repository = hub.shelf.find("model", "acme/tiny")
    assert repository is not None
    return repository.branches["main"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_small_file(hub: FixtureHub, config_url: str, method: str) -> None:
    """A small file comes at once, with its git id as ETag and the commit it is from."""
    heard = hear(config_url, method=method)
    names = ("etag", "x-repo-commit", "accept-ranges", "content-length")

    assert (200, CONFIG.encode() if method == "GET" else b"") == (heard.status, heard.raw)
    expected = [f'"{blob_id(CONFIG.encode())}"', commit_of(hub), "bytes", str(len(CONFIG))]
    assert expected == [heard.headers[name] for name in names]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_lfs_file(hub: FixtureHub, weights_url: str, method: str) -> None:
    """An LFS file is a redirect to the CDN that names digest, size and commit."""
    heard, digest = hear(weights_url, method=method), hashlib.sha256(DATA).hexdigest()
    names = ("etag", "x-linked-etag", "x-linked-size", "x-repo-commit")

    assert (302, True) == (heard.status, heard.headers["location"].startswith(hub.cdn))
    assert [f'"{digest}"', f'"{digest}"', str(len(DATA)), commit_of(hub)] == [heard.headers[name] for name in names]
    assert not [name for name in heard.headers if name.startswith("x-xet")]


def test_cdn(weights_url: str) -> None:
    """The CDN serves the bytes with an ETag of its own and ranges."""
    heard = follow(weights_url)

    assert (200, DATA, "bytes") == (heard.status, heard.raw, heard.headers["accept-ranges"])
    assert hashlib.sha256(DATA).hexdigest() not in heard.headers["etag"]
    assert heard.headers["etag"] == follow(weights_url).headers["etag"]


def test_cdn_range(weights_url: str) -> None:
    """A part of a file comes with 206, beyond the end there is 416."""
    part, beyond = (follow(weights_url, {"Range": asked}) for asked in ("bytes=-7", f"bytes={len(DATA)}-"))

    assert (206, DATA[-7:]) == (part.status, part.raw)
    assert (416, f"bytes */{len(DATA)}") == (beyond.status, beyond.headers["content-range"])


@pytest.mark.parametrize("change", ["Signature", "Expires", "response-content-disposition", None])
def test_cdn_refuses_other_urls(hub: FixtureHub, weights_url: str, change: str | None) -> None:
    """A URL without the signature, or with anything changed, is 403."""
    location = hear(weights_url).headers["location"]
    other = location.partition("?")[0] if change is None else location.replace(f"{change}=", f"{change}=1")

    assert (403, True) == (hear(other).status, b"AccessDenied" in hear(other).raw)
    assert 200 == hear(location).status


def test_expire_urls(hub: FixtureHub, weights_url: str) -> None:
    """Expired URLs answer 403; the hub gives out new ones that work."""
    location = hear(weights_url).headers["location"]
    hub.expire_urls()

    assert (403, 200) == (hear(location).status, follow(weights_url).status)


@pytest.mark.parametrize(("at", "accepted"), [(1000, True), (1060, True), (1061, False)])
def test_signature_expires(at: int, accepted: bool) -> None:
    """A signed URL is accepted up to the second of its expiry."""
    now = [1000.0]
    signer = Signer(b"key", lambda: now[0], 60)
    url = signer.sign("/repos/x/y", "inline")
    now[0] = at

    assert accepted == signer.accepts(Request("cdn", "GET", url, {}))


def test_signature_of_another_key() -> None:
    """A URL signed by somebody else is refused."""
    signer, other = (Signer(key, lambda: 0.0, 60) for key in (b"a", b"b"))

    assert not signer.accepts(Request("cdn", "GET", other.sign("/repos/x/y", "inline"), {}))


def test_url_names_the_file(weights_url: str) -> None:
    """The CDN's URL carries the file's name, so that rules can be made for a file there."""
    query = parse_qs(urlsplit(hear(weights_url).headers["location"]).query)

    assert "model.safetensors" in query["response-content-disposition"][0]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/acme/tiny/resolve/main/none", 404, "EntryNotFound"),
        ("/acme/tiny/resolve/v9/config.json", 404, "RevisionNotFound"),
        ("/acme/none/resolve/main/config.json", 401, "RepoNotFound"),
        ("/datasets/acme/tiny/resolve/main/config.json", 401, "RepoNotFound"),
        ("/api/models/acme/tiny/tree/main/none", 404, "EntryNotFound"),
        ("/api/models/acme/tiny/tree/v9", 404, "RevisionNotFound"),
        ("/api/models/acme/tiny/revision/v9", 404, "RevisionNotFound"),
        ("/api/datasets/acme/tiny", 401, "RepoNotFound"),
        ("/nowhere", 404, None),
    ],
)
def test_error_codes(hub: FixtureHub, path: str, status: int, code: str | None) -> None:
    """Every kind of "not found" has its code in X-Error-Code and a message in header and body."""
    heard = hear(hub.endpoint + path)

    assert (status, code) == (heard.status, heard.headers.get("x-error-code"))
    assert heard.headers["x-error-message"] == heard.json["error"]


def test_missing_entry_names_the_commit(hub: FixtureHub) -> None:
    """A missing file still tells which commit was looked at."""
    heard = hear(f"{hub.endpoint}/acme/tiny/resolve/main/none")

    assert commit_of(hub) == heard.headers["x-repo-commit"]


@pytest.mark.parametrize(
    "path", ["/tiny/resolve/main/config.json?download=1", "/api/models/tiny?blobs=1", "/api/models/tiny/refs"]
)
def test_legacy_id(hub: FixtureHub, path: str) -> None:
    """A one-word id is redirected by 307 to the same path of its organisation, the query kept."""
    hub.alias("tiny", "acme/tiny")
    heard = hear(hub.endpoint + path)

    assert (307, path.replace("tiny", "acme/tiny", 1)) == (heard.status, heard.headers["location"])


def test_resolve_cache() -> None:
    """With the resolve cache a small file is redirected on the same host, its metadata on the redirect."""
    with FixtureHub([RepoSpec("acme/tiny", FILES)], HubSettings(resolve_cache=True)) as hub:
        heard = hear(f"{hub.endpoint}/acme/tiny/resolve/main/config.json", method="HEAD")
        file = hear(hub.endpoint + heard.headers["location"])

    assert (307, str(len(CONFIG))) == (heard.status, heard.headers["x-linked-size"])
    assert (f'"{blob_id(CONFIG.encode())}"', CONFIG.encode()) == (heard.headers["x-linked-etag"], file.raw)


def test_xet() -> None:
    """With Xet the redirect names a hash and a token route, whose service answers 503; the plain redirect stays."""
    with FixtureHub([RepoSpec("acme/tiny", FILES)], HubSettings(xet=True)) as hub:
        heard = hear(f"{hub.endpoint}/acme/tiny/resolve/main/model.safetensors", method="HEAD")
        route = heard.headers["link"].partition(">")[0].removeprefix("<")
        service = hear(route).headers["x-xet-cas-url"]

        assert (503, DATA) == (hear(service + "/v1/x").status, hear(heard.headers["location"]).raw)
    assert 64 == len(heard.headers["x-xet-hash"])
