"""The hub's API: model and dataset info, trees by pages, refs, commits, path infos, whoami.

In: a request below /api. Out: JSON in the real hub's shapes and headers. Before: hub.py routes here; next:
repository.py holds what is listed, rules.py may ask for hostile entries and endless pages.
"""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode

from modelfetch.devcluster.hub.access import denied, denied_bytes, missing_repository, refusal
from modelfetch.devcluster.hub.content import Content
from modelfetch.devcluster.hub.message import Answer, Request
from modelfetch.devcluster.hub.repository import Commit, Entry, Kind, Repository
from modelfetch.devcluster.hub.rules import Listing, Paging
from modelfetch.devcluster.hub.shelf import Shelf

_VERBS = "revision|tree|refs|paths-info|commits|xet-read-token"
_ID = rf"[^/]+(?:/(?!(?:{_VERBS})(?:/|$))[^/]+)?"
_API = re.compile(rf"/api/(?P<kind>model|dataset)s/(?P<id>{_ID})(?P<rest>/(?:{_VERBS})(?:/.*)?)?")
_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)


@dataclass(frozen=True)
class Listings:
    """Answers the API of one hub. `places` has its URLs, `whoami` token name to user name."""

    shelf: Shelf
    places: Mapping[str, str]
    page_size: int
    xet: bool

    def answer(self, request: Request) -> Answer:
        """Return the answer to any request below /api."""
        if request.path == "/api/whoami-v2":
            return _whoami(request)
        match = _API.fullmatch(request.path)
        if match is None:
            return refusal(404, None, "Sorry, we can't find the page you are looking for.")
        kind: Kind = "dataset" if match["kind"] == "dataset" else "model"
        repo_id, rest = unquote(match["id"]), match["rest"] or ""
        if (new := self.shelf.moved_to(kind, repo_id)) is not None:
            query = request.target.partition("?")[2]
            return moved(f"/api/{kind}s/{new}{rest}" + (f"?{query}" if query else ""))
        repository = self.shelf.find(kind, repo_id)
        if (refused := denied(repository, request)) is not None or repository is None:
            return refused or missing_repository(request)
        try:
            return self._of(repository, rest, request)
        except ValueError as error:
            return refusal(400, None, f"a limit, cursor or body that cannot be read: {error}")

    def _of(self, repository: Repository, rest: str, request: Request) -> Answer:
        verb, _, tail = rest.strip("/").partition("/")
        revision, _, path = tail.partition("/")
        if verb == "refs":
            return _refs(repository, request)
        commit = repository.resolve(unquote(revision) or "main")
        if commit is None:
            return no_revision(unquote(revision))
        if verb in ("", "revision"):
            return _info(repository, commit, request)
        if verb == "tree":
            return self._tree(commit, unquote(path), request)
        if verb == "paths-info":
            return _paths_info(commit, request)
        if verb == "commits":
            return _commits(repository, commit)
        return self._xet_token(repository, request)

    def _tree(self, commit: Commit, path: str, request: Request) -> Answer:
        path = path.strip("/")
        if path and path not in commit.folders:
            return refusal(
                404, "EntryNotFound", f"{path} does not exist on this revision", {"X-Repo-Commit": commit.sha}
            )
        asked = {name: values[-1] for name, values in request.query.items()}
        recursive, expand = (asked.get(name, "").lower() in ("true", "1") for name in ("recursive", "expand"))
        rows = [_tree_row(row, commit, expand, self.xet) for row in _members(commit, path, recursive)]
        rows = changed_rows(rows, request, "path")
        limit = min(self.page_size, int(asked.get("limit") or self.page_size))
        begin = _after_cursor(rows, asked.get("cursor"))
        page = rows[begin : begin + limit]
        follow = self._next(request, page[-1]["path"] if begin + limit < len(rows) else None)
        headers = {"X-Repo-Commit": commit.sha, **({"Link": f'<{follow}>; rel="next"'} if follow else {})}
        return as_json(page, headers)

    def _next(self, request: Request, last: str | None) -> str | None:
        fault = next((action for action in request.actions if isinstance(action, Paging)), None)
        if fault is not None and fault.url is not None:
            return fault.url.replace("{hub}", self.places["hub"]).replace("{cdn}", self.places["cdn"])
        if fault is not None:
            last = "" if fault.how == "same" else f"\0{_cursor_depth(request) + 1}"
        if last is None:
            return None
        kept = [(name, value) for name, values in request.query.items() for value in values if name != "cursor"]
        path, cursor = request.path, _cursor(last)
        return f"{self.places['hub']}{path}?{urlencode([*kept, ('cursor', cursor)])}"

    def _xet_token(self, repository: Repository, request: Request) -> Answer:
        if not self.xet:
            return refusal(404, None, "Sorry, we can't find the page you are looking for.")
        if (refused := denied_bytes(repository, request)) is not None:
            return refused
        expires = 4_102_444_800
        headers = {
            "X-Xet-Cas-Url": f"{self.places['cdn']}/xet",
            "X-Xet-Access-Token": "fixture-xet",
            "X-Xet-Token-Expiration": str(expires),
        }
        return as_json({"casUrl": headers["X-Xet-Cas-Url"], "exp": expires, "accessToken": "fixture-xet"}, headers)


def as_json(value: object, headers: Mapping[str, str] | None = None) -> Answer:
    """Return `value` as a JSON answer."""
    body = Content.of(json.dumps(value).encode())
    return Answer(200, body, {"Content-Type": "application/json; charset=utf-8", **(headers or {})})


def moved(location: str) -> Answer:
    """Return the redirect of an old id, as the hub gives it: 307 with a path on the same host."""
    body = Content.of(f"Temporary Redirect. Redirecting to {location}".encode())
    return Answer(307, body, {"Location": location, "Content-Type": "text/plain; charset=utf-8"})


def no_revision(revision: str) -> Answer:
    """Return the answer for a revision that the repository does not have."""
    return refusal(404, "RevisionNotFound", f"Invalid rev id: {quote(revision)}")


def changed_rows(rows: list[dict[str, Any]], request: Request, key: str) -> list[dict[str, Any]]:
    """Return the rows of a listing after the listing actions; `key` is the field that names the file."""
    for action in request.actions:
        if isinstance(action, Listing):
            patched = [{**row, **action.patch.get(row[key], {})} for row in rows if row[key] not in action.drop]
            rows = [*patched, *({"type": "file", **_named(row, key)} for row in action.append)]
    return rows


def _named(row: Mapping[str, Any], key: str) -> dict[str, Any]:
    other = {"path": "rfilename", "rfilename": "path"}[key]
    return {key: row.get(other, ""), **row} if key not in row else dict(row)


def _members(commit: Commit, path: str, recursive: bool) -> Iterable[Entry | tuple[str, str]]:
    """Return files as entries and folders as (path, tree id) below `path`, sorted by path."""
    prefix = f"{path}/" if path else ""
    rows: list[Entry | tuple[str, str]] = [*commit.entries.values(), *commit.folders.items()]
    below = [row for row in rows if _path_of(row).startswith(prefix)]
    direct = below if recursive else [row for row in below if "/" not in _path_of(row)[len(prefix) :]]
    return sorted(direct, key=_path_of)


def _path_of(row: Entry | tuple[str, str]) -> str:
    return row.path if isinstance(row, Entry) else row[0]


def _tree_row(row: Entry | tuple[str, str], commit: Commit, expand: bool, xet: bool) -> dict[str, Any]:
    more: dict[str, Any] = {}
    if expand:
        more["lastCommit"] = {"id": commit.sha, "title": commit.title, "date": _date(commit.epoch_s)}
    if not isinstance(row, Entry):
        return {"type": "directory", "oid": row[1], "size": 0, "path": row[0], **more}
    if row.lfs is not None:
        more["lfs"] = {"oid": row.lfs.sha256, "size": row.lfs.size, "pointerSize": row.lfs.pointer_size}
        more.update({"xetHash": row.lfs.sha256} if xet else {})
    if expand:
        scan = {"status": row.security, "message": None}
        more["securityFileStatus"] = {"status": row.security, "avScan": scan, "pickleImportScan": None}
    return {"type": "file", "oid": row.oid, "size": row.size, "path": row.path, **more}


def _sibling(entry: Entry, blobs: bool) -> dict[str, Any]:
    if not blobs:
        return {"rfilename": entry.path}
    row: dict[str, Any] = {"rfilename": entry.path, "blobId": entry.oid, "size": entry.size}
    if entry.lfs is not None:
        row["lfs"] = {"sha256": entry.lfs.sha256, "size": entry.lfs.size, "pointerSize": entry.lfs.pointer_size}
    return row


def _info(repository: Repository, commit: Commit, request: Request) -> Answer:
    blobs = request.query.get("blobs", [""])[-1].lower() in ("true", "1")
    siblings = changed_rows([_sibling(entry, blobs) for entry in commit.entries.values()], request, "rfilename")
    spec, card = repository.spec, _card(commit)
    first = min(known.epoch_s for known in repository.commits.values())
    info: dict[str, Any] = {
        "_id": repository.storage_key[:24], "id": spec.repo_id, "author": spec.repo_id.partition("/")[0],
        "sha": commit.sha, "lastModified": _date(commit.epoch_s), "createdAt": _date(first), "private": spec.private,
        "gated": spec.gated, "disabled": spec.disabled, "downloads": 0, "likes": 0, "tags": card.get("tags", []),
        "cardData": card, "usedStorage": sum(entry.size for entry in commit.entries.values()), "siblings": siblings,
    }  # fmt: skip
    if spec.kind == "model":
        names = ("pipeline_tag", "library_name")
        info.update({"modelId": spec.repo_id, "spaces": [], **{name: card[name] for name in names if name in card}})
    if "securityStatus" in request.query:
        issues = [
            {"path": entry.path, "level": entry.security}
            for entry in commit.entries.values()
            if entry.security != "safe"
        ]
        info["securityRepoStatus"] = {"scansDone": True, "filesWithIssues": issues}
    if asked := [*request.query.get("expand", []), *request.query.get("expand[]", [])]:
        info = {name: value for name, value in info.items() if name in ("_id", "id", *asked)}
    return as_json(info, {"X-Repo-Commit": commit.sha})


def _card(commit: Commit) -> dict[str, Any]:
    """Return the plain `name: value` lines of the README's front matter."""
    readme = commit.entries.get("README.md")
    match = _FRONT_MATTER.match(readme.content.read().decode(errors="replace")) if readme else None
    lines = match[1].splitlines() if match else []
    pairs = (line.partition(":") for line in lines if re.match(r"\w+: *\S", line))
    return {name: value.strip().strip("\"'") for name, _, value in pairs}


def _refs(repository: Repository, request: Request) -> Answer:
    def rows(names: Mapping[str, str], prefix: str) -> list[dict[str, str]]:
        return [
            {"name": name, "ref": name if name.startswith("refs/") else prefix + name, "targetCommit": sha}
            for name, sha in sorted(names.items())
        ]

    pulls = {name: sha for name, sha in repository.branches.items() if name.startswith("refs/pr/")}
    converts = {name: sha for name, sha in repository.branches.items() if name.startswith("refs/convert/")}
    branches = {name: sha for name, sha in repository.branches.items() if not name.startswith("refs/")}
    refs = {
        "tags": rows(repository.tags, "refs/tags/"),
        "branches": rows(branches, "refs/heads/"),
        "converts": rows(converts, ""),
    }
    if "include_prs" in request.query:
        refs["pullRequests"] = rows(pulls, "")
    return as_json(refs)


def _commits(repository: Repository, tip: Commit) -> Answer:
    older = [commit for commit in repository.commits.values() if commit.epoch_s <= tip.epoch_s]
    rows = [
        {
            "id": commit.sha,
            "title": commit.title,
            "message": "",
            "authors": [{"user": "fixture"}],
            "date": _date(commit.epoch_s),
        }
        for commit in sorted(older, key=lambda commit: -commit.epoch_s)
    ]
    return as_json(rows)


def _paths_info(commit: Commit, request: Request) -> Answer:
    if request.method != "POST":
        return refusal(405, None, "Method not allowed")
    if request.headers.get("content-type", "").startswith("application/json"):
        asked = json.loads(request.body)
    else:
        asked = {
            name: values if name == "paths" else values[-1] for name, values in parse_qs(request.body.decode()).items()
        }
    wanted = asked.get("paths", [])
    expand = str(asked.get("expand", "")).lower() in ("true", "1")
    found = [
        commit.entries.get(path) or (path, commit.folders[path])
        for path in wanted
        if path in {**commit.entries, **commit.folders}
    ]
    return as_json([_tree_row(row, commit, expand, False) for row in found], {"X-Repo-Commit": commit.sha})


def _whoami(request: Request) -> Answer:
    if request.token is None:
        unknown = request.credentials == "unknown"
        return refusal(
            401, None, "Invalid credentials in Authorization header" if unknown else "Invalid username or password."
        )
    name = request.token
    access = {"displayName": name, "role": "read", "createdAt": _date(0)}
    who = {"type": "user", "id": name.encode().hex().ljust(24, "0")[:24], "name": name, "fullname": name, "orgs": []}
    return as_json({**who, "isPro": False, "auth": {"type": "access_token", "accessToken": access}})


def _cursor(last: str) -> str:
    return base64.b64encode(json.dumps({"file_name": last}).encode()).decode()


def _cursor_name(cursor: str) -> str:
    value = json.loads(base64.b64decode(cursor, validate=True))
    if not isinstance(value, dict) or not isinstance(value.get("file_name"), str):
        raise ValueError("the cursor is not one of ours")
    return str(value["file_name"])


def _cursor_depth(request: Request) -> int:
    cursor = request.query.get("cursor", [""])[-1]
    name = _cursor_name(cursor) if cursor else ""
    return int(name[1:]) if name.startswith("\0") else 0


def _after_cursor(rows: list[dict[str, Any]], cursor: str | None) -> int:
    """Return where the page begins; cursors of endless listings begin at the top again."""
    if not cursor or (name := _cursor_name(cursor)) == "" or name.startswith("\0"):
        return 0
    return next((index + 1 for index, row in enumerate(rows) if row["path"] == name), len(rows))


def _date(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
