"""Listings of a hub, through the guard: what is resolved, what is refused, and who sees the token."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from modelfetch.api.source import HuggingFaceSource
from modelfetch.devcluster.hub import (
    FixtureHub,
    Headers,
    HubSettings,
    Listing,
    Paging,
    Redirect,
    Replace,
    RepoSpec,
    Status,
)
from modelfetch.errors import FetchError
from modelfetch.hashing import git_blob, sha256_digest
from modelfetch.reasons import Reason
from modelfetch.sources import base
from modelfetch.sources.huggingface import HubSource
from tests.loopback import credential, loopback_session

FILES = {
    "README.md": b"---\nlicense: apache-2.0\n---\nHello\n",
    "config.json": b"{}",
    "onnx/model.onnx": b"onnx" * 100,
    "a b/\u00fc #?%.txt": b"odd",
    "model.safetensors": b"weights" * 1000,
}


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    repositories = [
        RepoSpec("org/name", FILES, tags=("v1",)),
        RepoSpec("org/data", {"train.parquet": b"rows"}, kind="dataset"),
        RepoSpec("org/secret", FILES, private=True),
        RepoSpec("org/gated", FILES, gated="manual"),
        RepoSpec("org/off", FILES, disabled=True),
    ]
    with FixtureHub(repositories, HubSettings(page_size=3)) as hub:
        hub.alias("gpt2", "org/name")
        yield hub


def listing(
    hub: FixtureHub, repo: str = "org/name", token: str | None = None, revision: str = "main", kind: str = "model"
) -> base.Listing:
    fields = {"repo": repo, "endpoint": hub.endpoint, "revision": revision, "repo_type": kind}
    sees = None if token is None else credential(hub.endpoint, token)
    with loopback_session() as session:
        return HubSource(HuggingFaceSource.model_validate(fields), session, sees, 100).list()


def refusal(hub: FixtureHub, repo: str = "org/name", token: str | None = None, revision: str = "main") -> FetchError:
    with pytest.raises(FetchError) as caught:
        listing(hub, repo, token, revision)
    return caught.value


def blob_id(content: bytes) -> str:
    hasher = git_blob(len(content))
    hasher.update(content)
    return hasher.hexdigest()


def test_a_listing_over_several_pages_is_whole(hub: FixtureHub) -> None:
    """Every file is there with its size and digest: LFS files with their sha256, small ones with their blob id."""
    lfs = ("onnx/model.onnx", "model.safetensors")
    expected = {
        path: (len(content), sha256_digest(content)[7:] if path in lfs else blob_id(content))
        for path, content in FILES.items()
    }
    found = listing(hub)

    assert expected == {file.path: (file.size, file.sha256 or file.git_blob) for file in found.files}
    assert set(lfs) == {file.path for file in found.files if file.sha256 is not None}
    assert ("main", "apache-2.0", False) == (found.revision, found.license, found.gated)


@pytest.mark.parametrize("revision", ["main", "v1", "commit"])
def test_a_branch_a_tag_and_a_commit_resolve_to_the_commit(hub: FixtureHub, revision: str) -> None:
    """Whatever is asked for, the listing is that of one commit, named in full."""
    commit = hub.commit("org/name", {"new.txt": b"new"}, branch="other") and listing(hub).commit
    found = listing(hub, revision=commit or "" if revision == "commit" else revision)

    assert (commit, 40) == (found.commit, len(found.commit or ""))


def test_the_tree_is_asked_for_by_commit(hub: FixtureHub) -> None:
    """A branch that moves between two requests cannot mix two commits."""
    found = listing(hub)
    trees = [record.path for record in hub.requests if "/tree/" in record.path]

    assert {f"/api/models/org/name/tree/{found.commit}"} == set(trees)


def test_a_dataset(hub: FixtureHub) -> None:
    """Datasets have their own addresses, for the listing and for the bytes."""
    found = listing(hub, "org/data", kind="dataset")
    source = HuggingFaceSource(repo="org/data", repo_type="dataset", endpoint=hub.endpoint)
    with loopback_session() as session:
        url = HubSource(source, session, None, 100).url("train.parquet", "c" * 40)

    assert ["train.parquet"] == [file.path for file in found.files]
    assert f"{hub.endpoint}/datasets/org/data/resolve/{'c' * 40}/train.parquet" == url


def test_a_legacy_id_leads_to_its_organisation(hub: FixtureHub) -> None:
    """A one-word id is redirected on the same host, and the token goes along there."""
    found = listing(hub, "gpt2", hub.tokens["reader"])

    assert len(FILES) == len(found.files)
    assert {"reader"} == {record.credentials for record in hub.requests}


@pytest.mark.parametrize(
    ("repo", "token", "revision", "reason"),
    [
        ("org/nothing", None, "main", Reason.SOURCE_NOT_FOUND),
        ("org/nothing", "reader", "main", Reason.SOURCE_NOT_FOUND),
        ("org/secret", None, "main", Reason.SOURCE_NOT_FOUND),
        ("org/secret", "stranger", "main", Reason.SOURCE_NOT_FOUND),
        ("org/name", None, "nope", Reason.REVISION_NOT_FOUND),
        ("org/off", None, "main", Reason.SOURCE_FORBIDDEN),
        ("org/name", "wrong", "main", Reason.SOURCE_UNAUTHORIZED),
    ],
)
def test_refusals_of_the_hub(hub: FixtureHub, repo: str, token: str | None, revision: str, reason: Reason) -> None:
    """Each of the hub's refusals has its reason, and the message names the repository and the hub."""
    error = refusal(hub, repo, hub.tokens.get(token, "hf_" + "w" * 20) if token else None, revision)

    assert (reason, True) == (error.reason, f"'{repo}' on '{hub.endpoint}'" in error.message)


@pytest.mark.parametrize(("token", "hint"), [(None, "needs a token"), ("stranger", "owner of the token")])
def test_a_missing_repository_may_be_a_private_one(hub: FixtureHub, token: str | None, hint: str) -> None:
    """The hub hides whether a repository exists; the message says both possibilities."""

    assert hint in refusal(hub, "org/secret", hub.tokens[token] if token else None).message


def test_a_private_repository_is_listed_with_its_token(hub: FixtureHub) -> None:
    """A token that may read it makes it an ordinary repository."""

    assert len(FILES) == len(listing(hub, "org/secret", hub.tokens["reader"]).files)


def test_a_gated_repository_is_listed_and_says_so(hub: FixtureHub) -> None:
    """The names of a gated repository are public; the bytes are not."""

    assert listing(hub, "org/gated").gated


def test_the_token_is_not_sent_to_a_next_page_elsewhere(hub: FixtureHub) -> None:
    """A `next` link to another origin ends the listing before anything is asked there."""
    hub.fail(Paging(how="url", url="{cdn}/api/models/org/name/tree/main?cursor=x"), path="/tree/")
    error = refusal(hub, token=hub.tokens["reader"])

    assert Reason.REDIRECT_REJECTED == error.reason
    assert [] == [record.path for record in hub.requests if record.port == "cdn"]


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/x", "file:///etc/passwd", "//evil.example/x", "https://h\\@evil.example/", "\thttp://x"],
)
def test_a_hostile_next_link_is_refused(hub: FixtureHub, url: str) -> None:
    """Whatever a `next` link says, only the hub's own origin is asked."""
    hub.fail(Paging(how="url", url=url), path="/tree/")

    assert Reason.REDIRECT_REJECTED == refusal(hub).reason


@pytest.mark.parametrize("how", ["same", "new"])
def test_a_listing_without_end_is_left(hub: FixtureHub, how: Literal["same", "new"]) -> None:
    """A cursor that points to itself, or ever new ones with the same page, end the listing after a few requests."""
    hub.fail(Paging(how=how), path="/tree/")

    assert Reason.SOURCE_UNAVAILABLE == refusal(hub).reason
    assert len(hub.requests) < 10


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_listing_is_asked_for_again(hub: FixtureHub, status: int) -> None:
    """Rate limits and server errors are waited out, for the info and for a page."""
    hub.fail(Status(status=status), path="/revision/", nth=1)
    hub.fail(Status(status=status), path="/tree/", nth=2)

    assert len(FILES) == len(listing(hub).files)


def test_a_hub_that_stays_down_is_unavailable(hub: FixtureHub) -> None:
    """After the last try the reason is a retryable one."""
    hub.fail(Status(status=503), path="/api/")

    assert Reason.SOURCE_UNAVAILABLE == refusal(hub).reason


@pytest.mark.parametrize(
    "body",
    ["", "not json", "[]", "null", "{}", "[" * 100_000, '{"id": 1, "sha": 2}', '{"id": "org/name", "sha": "main"}',
     '{"id": "org/name", "sha": null}', '{"id": "org/name", "sha": "\\u0000", "cardData": 7, "tags": [1]}'],
)  # fmt: skip
def test_an_info_that_is_none(hub: FixtureHub, body: str) -> None:
    """An answer of any other shape is the hub's trouble, never an exception of a library."""
    hub.fail(Replace(body=body, content_type="application/json"), path="/revision/")

    assert Reason.SOURCE_UNAVAILABLE == refusal(hub).reason


@pytest.mark.parametrize(
    "body", ["", "null", '["a"]', "[{}]", '[{"type": "file"}]', '[{"type": "file", "path": "a"}]', "[" * 99_999]
)
def test_a_tree_that_is_none(hub: FixtureHub, body: str) -> None:
    """The same for the pages of the tree."""
    hub.fail(Replace(body=body, content_type="application/json"), path="/tree/")

    assert Reason.SOURCE_UNAVAILABLE == refusal(hub).reason


@pytest.mark.parametrize(
    ("patch", "reason"),
    [
        ({"size": -1}, Reason.SOURCE_UNAVAILABLE),
        ({"size": "7000"}, Reason.SOURCE_UNAVAILABLE),
        ({"size": 1e400}, Reason.SOURCE_UNAVAILABLE),
        ({"size": 2**70}, Reason.SOURCE_UNAVAILABLE),
        ({"size": True}, Reason.SOURCE_UNAVAILABLE),
        ({"path": 7}, Reason.SOURCE_UNAVAILABLE),
        ({"lfs": {"oid": "../../x", "size": 7000, "pointerSize": 1}}, Reason.SOURCE_UNAVAILABLE),
        ({"lfs": {"oid": "A" * 64, "size": 7000, "pointerSize": 1}}, Reason.SOURCE_UNAVAILABLE),
        ({"lfs": {"oid": "a" * 64, "size": 6999, "pointerSize": 1}}, Reason.SIZE_MISMATCH),
        ({"lfs": None, "oid": "zz"}, Reason.SOURCE_UNAVAILABLE),
    ],
)
def test_an_entry_that_contradicts_itself(hub: FixtureHub, patch: dict[str, object], reason: Reason) -> None:
    """Sizes are whole and not negative, digests are digests, and a file has one size."""
    hub.fail(Listing(patch={"model.safetensors": patch}), path="/tree/")

    assert reason == refusal(hub).reason


def test_what_is_no_file_is_listed_as_such(hub: FixtureHub) -> None:
    """An entry of another type (a link, a submodule) is not dropped silently with the folders."""
    hub.fail(Listing(append=({"type": "unknown", "path": "link", "oid": "a" * 40},)), path="/tree/")

    assert [base.RemoteFile("link", None, is_regular=False)] == [f for f in listing(hub).files if not f.is_regular]


def test_a_commit_that_is_not_the_one_asked_for(hub: FixtureHub) -> None:
    """A hub that answers for another commit than the pinned one is not believed."""
    commit = listing(hub).commit
    hub.fail(Replace(body=json.dumps({"id": "org/name", "sha": "0" * 40})), path="/revision/")

    assert Reason.SOURCE_CHANGED == refusal(hub, revision=commit or "").reason


def test_a_redirect_of_the_api_drops_the_token(hub: FixtureHub) -> None:
    """The API may move; the token stays with the origin it was given for."""
    hub.fail(Redirect(location="{cdn}{path}"), path="/api/")
    refusal(hub, token=hub.tokens["reader"])

    assert {"absent"} == {record.credentials for record in hub.requests if record.port == "cdn"}


def test_headers_of_a_hub_are_bounded(hub: FixtureHub) -> None:
    """Ten thousand headers end the request, not the memory."""
    hub.fail(Headers(count=10_000, size=100), path="/api/")

    assert Reason.SOURCE_UNAVAILABLE == refusal(hub).reason


def test_nothing_is_taken_from_or_left_in_the_home_folder(
    hub: FixtureHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token in the home folder or the environment is not found, and nothing is written there."""
    (tmp_path / "token").write_text(hub.tokens["reader"])
    for name in ("HF_HOME", "HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("HF_TOKEN", hub.tokens["reader"])
    listing(hub)

    assert {"absent"} == {record.credentials for record in hub.requests}
    assert ["token"] == [path.name for path in tmp_path.iterdir()]
    assert {False} == {"hf_hub" in record.headers.get("user-agent", "") for record in hub.requests}
