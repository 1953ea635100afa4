"""Rows 8, 9, 38, 39 and 65: what a hub says that it has, and what we make of it."""

import json

import pytest

from modelfetch.devcluster.hub import FixtureHub, Headers, Listing, RepoSpec, Status
from modelfetch.reasons import Reason
from tests.fakes.evil_server import Answer, Request, evil_server
from tests.rows.conftest import FILES
from tests.rows.ground import NAME, Ground, reach, require_published, require_refused

INFO, TREE = "/revision/", "/tree/"
PAGE = "<!DOCTYPE html><html><form action='/login'>please log in</form></html>"


@pytest.mark.parametrize("pattern", ["*a" * 128, "a*" * 127 + "b", "[!b]*" * 50 + "b", "?*" * 128, "*" * 256])
def test_row_8_patterns_that_explode(ground: Ground, hub: FixtureHub, pattern: str) -> None:
    """Row 8: a pattern on which other matchers take for ever ends at once, with the right answer."""
    path = "/".join(["a" * 250] * 10)
    hub.add(RepoSpec("org/long", {path: b"x"}))
    outcome = ground.pull_from(hub, "org/long", f"--include={pattern}")

    if pattern.endswith("b"):
        require_refused(outcome, Reason.SOURCE_NOT_FOUND, "0 of 1 files match")
    else:
        require_published(outcome, {path: b"x"})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--include=*.gguf"], "0 of 2 files match include '*.gguf'"),
        (["--exclude=*"], "0 of 2 files match exclude '*'"),
        (["--include=*.json", "--exclude=config.*"], "include '*.json', exclude 'config.*'"),
        (["--include=CONFIG.json"], "0 of 2 files match include 'CONFIG.json'"),
    ],
)
def test_row_9_patterns_that_match_nothing(ground: Ground, hub: FixtureHub, arguments: list[str], words: str) -> None:
    """Row 9: no file is not a model; the message says how many there are and what was asked for."""
    require_refused(ground.pull_from(hub, "org/name", *arguments), Reason.SOURCE_NOT_FOUND, words)


def test_row_9_folder_that_is_not_there(ground: Ground, hub: FixtureHub) -> None:
    """Row 9: the same for a folder or file in the address."""
    require_refused(ground.pull_from(hub, "org/name/onnx"), Reason.SOURCE_NOT_FOUND, "0 of 2 files match path 'onnx'")


def test_row_9_empty_repository(ground: Ground, hub: FixtureHub) -> None:
    """Row 9: a repository without files is told as such."""
    hub.fail(Listing(drop=tuple(FILES)), path=TREE)

    require_refused(ground.pull_from(hub, "org/name"), Reason.SOURCE_NOT_FOUND, "the source lists no file")


@pytest.mark.parametrize("status", [200, 203])
@pytest.mark.parametrize("path", [INFO, TREE])
def test_row_38_login_page_instead_of_a_listing(ground: Ground, hub: FixtureHub, path: str, status: int) -> None:
    """Row 38: a page for people in place of the hub's answer is told as what it is."""
    hub.fail(Status(status=status, headers={"Content-Type": "text/html; charset=utf-8"}, body=PAGE), path=path)

    require_refused(ground.pull_from(hub, "org/name"), Reason.FORMAT_NOT_ALLOWED, "web page", "text/html", hub.endpoint)


@pytest.mark.parametrize("path", [INFO, TREE])
@pytest.mark.parametrize("headers", [Headers(values={"X-Big": "x" * (1 << 20)}), Headers(count=10_000, size=10)])
def test_row_39_headers_without_measure(ground: Ground, hub: FixtureHub, path: str, headers: Headers) -> None:
    """Row 39: an answer with too many or too large headers is given up."""
    hub.fail(headers, path=path)

    require_refused(ground.pull_from(hub, "org/name"), Reason.SOURCE_UNAVAILABLE, hub.endpoint)


def moving(hub: FixtureHub, when: str, request: Request) -> Answer:
    """Send the request on to `hub`; before one with `when` in its path is answered, the branch has moved."""
    if when in request.target:
        hub.commit("org/name", {"config.json": b"moved", "model.safetensors": b"moved too"})
    return Answer(307, (("Location", f"{hub.endpoint}{request.target}"),))


@pytest.mark.parametrize("when", [TREE, "config.json", "model.safetensors"])
def test_row_65_branch_that_moves(ground: Ground, hub: FixtureHub, when: str) -> None:
    """Row 65: every file is of the commit that the branch was at when it was first looked at."""
    shelf = hub.shelf.find("model", "org/name")
    assert shelf is not None
    first = shelf.branches["main"]
    with evil_server(lambda request: moving(hub, when, request)) as front:
        given = (*reach(front.url(), hub.endpoint, hub.cdn), f"--endpoint={front.url('')}", f"--name={NAME}")
        outcome = ground.pull("hf://org/name", *given)

    require_published(outcome, FILES)
    assert first == outcome.event["artifact"]["commit"]
    assert first != shelf.branches["main"]


def test_row_65_commit_that_is_another(ground: Ground, hub: FixtureHub) -> None:
    """Row 65: who asks for a commit gets that commit, or SourceChanged."""
    info = json.dumps({"id": "org/name", "sha": "b" * 40})
    hub.fail(Status(status=200, headers={"Content-Type": "application/json"}, body=info), path=INFO)
    outcome = ground.pull_from(hub, f"org/name@{'a' * 40}")

    require_refused(outcome, Reason.SOURCE_CHANGED, f"expected commit '{'a' * 40}'", f"got '{'b' * 40}'")
