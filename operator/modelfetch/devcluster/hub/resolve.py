"""Bytes: `resolve` on the hub, and the CDN that LFS files are redirected to under signed, expiring URLs.

In: GET and HEAD of /{id}/resolve/{revision}/{path} and of the CDN's URLs. Out: small files at once, LFS files as 302
with the hub's headers, and on the CDN the file itself with ranges. Before: hub.py routes here; after: faults.py,
wire.py.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from urllib.parse import quote, unquote, urlencode

from modelfetch.devcluster.hub.access import denied, denied_bytes, missing_repository, refusal
from modelfetch.devcluster.hub.content import Content
from modelfetch.devcluster.hub.listing import moved, no_revision
from modelfetch.devcluster.hub.message import Answer, Request
from modelfetch.devcluster.hub.repository import FIRST_COMMIT_EPOCH_S, Commit, Entry, Kind, Repository
from modelfetch.devcluster.hub.shelf import Shelf

_RESOLVE = re.compile(r"/(?P<kind>datasets/)?(?P<id>[^/]+/[^/]+|[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
_CACHED = re.compile(r"/api/resolve-cache/(?P<kind>model|dataset)s/(?P<id>[^/]+/[^/]+)/(?P<revision>\w+)/(?P<path>.+)")
_STORED = re.compile(r"/repos/(?P<repo>[0-9a-f]{64})/(?P<sha256>[^/]+)")
_MODIFIED = formatdate(FIRST_COMMIT_EPOCH_S, usegmt=True)


class Signer:
    """Signs the CDN's URLs; `clock` gives seconds since 1970, `ttl_s` how long a URL lives."""

    def __init__(self, key: bytes, clock: Callable[[], float], ttl_s: float) -> None:
        self._key = key
        self._clock = clock
        self._ttl_s = ttl_s
        self._generation = 0

    def sign(self, path: str, disposition: str) -> str:
        """Return `path` with a query that the CDN accepts until it expires."""
        expires = str(int(self._clock() + self._ttl_s))
        query = {"response-content-disposition": disposition, "Expires": expires, "Policy": str(self._generation)}
        return f"{path}?{urlencode({**query, 'Signature': self._mac(path, query), 'Key-Pair-Id': 'FIXTURE'})}"

    def accepts(self, request: Request) -> bool:
        """Return whether the URL is one of ours, neither expired nor revoked."""
        asked = {name: values[-1] for name, values in request.query.items()}
        query = {name: asked.get(name, "") for name in ("response-content-disposition", "Expires", "Policy")}
        genuine = hmac.compare_digest(self._mac(request.path, query), asked.get("Signature", ""))
        return genuine and int(query["Expires"]) >= self._clock() and query["Policy"] == str(self._generation)

    def expire_all(self) -> None:
        """Let every URL signed so far be expired."""
        self._generation += 1

    def _mac(self, path: str, query: Mapping[str, str]) -> str:
        return hmac.new(self._key, f"{path}\n{sorted(query.items())}".encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class Files:
    """Answers `resolve` of one hub."""

    shelf: Shelf
    places: Mapping[str, str]
    signer: Signer
    resolve_cache: bool
    xet: bool

    def answer(self, request: Request) -> Answer | None:
        """Return the answer to a request for a file, None when the path asks for none."""
        if (match := _CACHED.fullmatch(request.path)) is not None:
            return self._found(match, "dataset" if match["kind"] == "dataset" else "model", request, cached=True)
        if (match := _RESOLVE.fullmatch(request.path)) is None:
            return None
        kind: Kind = "dataset" if match["kind"] else "model"
        if (new := self.shelf.moved_to(kind, unquote(match["id"]))) is not None:
            prefix, query = match["kind"] or "", request.target.partition("?")[2]
            location = f"/{prefix}{new}/resolve/{match['revision']}/{match['path']}"
            return moved(location + (f"?{query}" if query else ""))
        return self._found(match, kind, request, cached=False)

    def _found(self, match: re.Match[str], kind: Kind, request: Request, *, cached: bool) -> Answer:
        repository = self.shelf.find(kind, unquote(match["id"]))
        if (refused := denied(repository, request)) is not None or repository is None:
            return refused or missing_repository(request)
        if (refused := denied_bytes(repository, request)) is not None:
            return refused
        commit = repository.resolve(unquote(match["revision"]))
        if commit is None:
            return no_revision(unquote(match["revision"]))
        path = unquote(match["path"])
        entry = commit.entries.get(path)
        if entry is None:
            return refusal(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": commit.sha})
        if entry.lfs is not None:
            return self._redirect(repository, commit, entry)
        return _served(commit, entry) if cached or not self.resolve_cache else _to_cache(repository, commit, entry)

    def _redirect(self, repository: Repository, commit: Commit, entry: Entry) -> Answer:
        path = f"/repos/{repository.storage_key}/{quote(entry.etag, safe='')}"
        headers = {
            "Location": self.places["cdn"] + self.signer.sign(path, _disposition(entry.path)),
            "X-Linked-Size": str(entry.size),
            "X-Linked-ETag": f'"{entry.etag}"',
            "X-Repo-Commit": commit.sha,
            "Accept-Ranges": "bytes",
            "Content-Type": "text/plain; charset=utf-8",
        }
        if self.xet:
            route = f"{self.places['hub']}/api/{repository.spec.kind}s/{repository.repo_id}/xet-read-token/{commit.sha}"
            headers.update({"X-Xet-Hash": entry.etag, "Link": f'<{route}>; rel="xet-auth"'})
        body = f"Found. Redirecting to {headers['Location']}"
        return Answer(302, Content.of(body.encode()), headers, etag=f'"{entry.etag}"')


@dataclass(frozen=True)
class Cdn:
    """Answers the CDN port: signed URLs of LFS files, by ranges, for anybody who has the URL."""

    shelf: Shelf
    signer: Signer

    def answer(self, request: Request) -> Answer:
        """Return the file behind a signed URL, or 403 as an object store says it."""
        match = _STORED.fullmatch(request.path)
        if request.path.startswith("/xet"):
            return Answer(503, Content.of(b"no such service here"), {"Content-Type": "text/plain"})
        if match is None or not self.signer.accepts(request):
            return _store_error(403, "AccessDenied")
        content = self.shelf.stored(match["repo"], unquote(match["sha256"]))
        if content is None:
            return _store_error(404, "NoSuchKey")
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Disposition": request.query["response-content-disposition"][-1],
            "Last-Modified": _MODIFIED,
            "Cache-Control": "public, max-age=604800, immutable",
        }
        # An object store's ETag is its own: not the digest, and stable for the same object.
        etag = hashlib.sha256(f"{match['repo']}/{match['sha256']}".encode()).hexdigest()[:32]
        return Answer(200, content, headers, etag=f'"{etag}-1"', ranges=True)


def _store_error(status: int, code: str) -> Answer:
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code></Error>'
    return Answer(status, Content.of(body.encode()), {"Content-Type": "application/xml"})


def _served(commit: Commit, entry: Entry) -> Answer:
    headers = {
        "X-Repo-Commit": commit.sha,
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Disposition": _disposition(entry.path),
    }
    return Answer(200, entry.content, headers, etag=f'"{entry.etag}"', ranges=True)


def _to_cache(repository: Repository, commit: Commit, entry: Entry) -> Answer:
    path = f"/api/resolve-cache/{repository.spec.kind}s/{repository.repo_id}/{commit.sha}/{quote(entry.path)}"
    headers = {
        "X-Repo-Commit": commit.sha, "X-Linked-Size": str(entry.size), "X-Linked-ETag": f'"{entry.etag}"',
    }  # fmt: skip
    answer = moved(f"{path}?{urlencode({'etag': entry.etag})}")
    return Answer(307, answer.content, {**answer.headers, **headers}, etag=f'"{entry.etag}"')


def _disposition(path: str) -> str:
    name = quote(path.rpartition("/")[2])
    return f"inline; filename*=UTF-8''{name}; filename=\"{name}\";"
