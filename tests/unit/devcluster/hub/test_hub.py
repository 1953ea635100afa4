"""The hub before its own client: everything huggingface_hub can read from a hub, it reads from this one."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile, RepoFolder

from modelfetch.devcluster.hub import Cut, FixtureHub, HubSettings, Listing, Paging, RepoSpec, Status, Weights
from modelfetch.devcluster.hub.weights import weights_pieces
from tests.unit.devcluster.hub.conftest import FILES, WEIGHTS

DATA = b"".join(weights_pieces(WEIGHTS))
EXPECTED = {path: DATA if path == "model.safetensors" else str(text).encode() for path, text in FILES.items()}
LOCKED = [
    RepoSpec("acme/gated", {"config.json": "{}"}, gated="manual"),
    RepoSpec("acme/private", {"config.json": "{}"}, private=True),
    RepoSpec("acme/disabled", {"config.json": "{}"}, disabled=True),
    RepoSpec("acme/questions", {"README.md": "?", "data/train.parquet": Weights(2048)}, kind="dataset"),
]


@pytest.fixture
def locked() -> Iterator[FixtureHub]:
    with FixtureHub(LOCKED) as running:
        yield running
    huggingface_hub.close_session()


@pytest.fixture
def api(hub: FixtureHub) -> HfApi:
    return HfApi(endpoint=hub.endpoint, token=False)


def downloaded(folder: str) -> dict[str, bytes]:
    """Return the files of a download, without the client's own notes."""
    root = Path(folder)
    paths = (path for path in root.rglob("*") if path.is_file() and ".cache" not in path.parts)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def pull(
    hub: FixtureHub,
    repo_id: str,
    folder: Path,
    *,
    token: str | None = None,
    revision: str | None = None,
    repo_type: str | None = None,
    allow_patterns: str | None = None,
) -> dict[str, bytes]:
    """Return what the client downloads of a repository, with the token of this name."""
    got = snapshot_download(
        repo_id,
        endpoint=hub.endpoint,
        local_dir=folder,
        token=hub.tokens[token] if token else False,
        revision=revision,
        repo_type=repo_type,
        allow_patterns=allow_patterns,
    )
    return downloaded(got)


def test_snapshot_download(hub: FixtureHub, tmp_path: Path) -> None:
    """The client's copy of a model has every file with its exact bytes."""
    assert EXPECTED == pull(hub, "acme/tiny", tmp_path)


def test_snapshot_download_into_the_cache(hub: FixtureHub, tmp_path: Path) -> None:
    """The client's cache is laid out by the commit and the digests that the hub lists."""
    folder = snapshot_download("acme/tiny", endpoint=hub.endpoint, cache_dir=tmp_path, token=False)

    assert EXPECTED == downloaded(folder)
    assert HfApi(endpoint=hub.endpoint, token=False).model_info("acme/tiny").sha == Path(folder).name
    assert hashlib.sha256(DATA).hexdigest() == (Path(folder) / "model.safetensors").resolve().name


def test_snapshot_download_of_a_dataset(locked: FixtureHub, tmp_path: Path) -> None:
    """The client's copy of a dataset has every file with its exact bytes."""
    expected = {"README.md": b"?", "data/train.parquet": b"".join(weights_pieces(Weights(2048)))}

    assert expected == pull(locked, "acme/questions", tmp_path, repo_type="dataset")


def test_snapshot_download_of_a_large_file(hub: FixtureHub, tmp_path: Path) -> None:
    """A file that lies in the hub's temporary folder arrives whole."""
    hub.add(RepoSpec("acme/large", {"model.safetensors": Weights(40 * 1024 * 1024)}))
    got = pull(hub, "acme/large", tmp_path)["model.safetensors"]
    listed = HfApi(endpoint=hub.endpoint, token=False).model_info("acme/large", files_metadata=True).siblings or []

    assert listed[0].lfs is not None
    assert listed[0].lfs.sha256 == hashlib.sha256(got).hexdigest()


def test_snapshot_download_of_a_revision(hub: FixtureHub, tmp_path: Path) -> None:
    """Branches, tags and commits give their own files."""
    first = hub.commit("acme/tiny", {"config.json": "new"}, branch="dev")
    hub.commit("acme/tiny", {"config.json": "newer"}, branch="dev")

    assert b"newer" == pull(hub, "acme/tiny", tmp_path / "dev", revision="dev")["config.json"]
    assert b"new" == pull(hub, "acme/tiny", tmp_path / "first", revision=first)["config.json"]


def test_resolve_cache(tmp_path: Path) -> None:
    """Small files that are redirected on the same host arrive as well, as from the real hub."""
    with FixtureHub([RepoSpec("acme/tiny", FILES)], HubSettings(resolve_cache=True)) as hub:
        got = pull(hub, "acme/tiny", tmp_path)
        redirected = [record for record in hub.requests if record.status == 307]
    huggingface_hub.close_session()

    assert EXPECTED == got
    assert redirected


def test_legacy_id(hub: FixtureHub, tmp_path: Path) -> None:
    """A one-word id leads to the repository of its organisation, for listings and for files."""
    hub.alias("tiny", "acme/tiny")

    assert EXPECTED == pull(hub, "tiny", tmp_path)
    assert "acme/tiny" == HfApi(endpoint=hub.endpoint, token=False).model_info("tiny").id


def test_renamed(hub: FixtureHub, tmp_path: Path) -> None:
    """A former name leads to the new one."""
    hub.alias("old/name", "acme/tiny")

    assert EXPECTED == pull(hub, "old/name", tmp_path)


def test_model_info(api: HfApi) -> None:
    """Model info with file metadata has sizes, git ids and LFS digests of every file."""
    info = api.model_info("acme/tiny", files_metadata=True, securityStatus=True)
    rows = {row.rfilename: row for row in info.siblings or []}
    weights = rows["model.safetensors"]

    assert {path: len(data) for path, data in EXPECTED.items()} == {path: row.size for path, row in rows.items()}
    assert weights.lfs is not None
    assert (hashlib.sha256(DATA).hexdigest(), len(DATA)) == (weights.lfs.sha256, weights.lfs.size)
    assert info.card_data is not None
    assert ("mit", False, False) == (info.card_data.license, info.gated, info.private)


def test_dataset_info(locked: FixtureHub) -> None:
    """Dataset info has the same metadata."""
    info = HfApi(endpoint=locked.endpoint, token=False).dataset_info("acme/questions", files_metadata=True)

    assert [("README.md", 1, False), ("data/train.parquet", 2048, True)] == [
        (row.rfilename, row.size, row.lfs is not None) for row in info.siblings or []
    ]


def test_list_repo_tree(api: HfApi) -> None:
    """The tree has folders and files, and below a folder only what is in it."""
    rows = list(api.list_repo_tree("acme/tiny", recursive=True, expand=True))
    kinds = {row.path: type(row) for row in rows}

    assert {**dict.fromkeys(EXPECTED, RepoFile), "sub": RepoFolder} == kinds
    assert ["sub/note.txt"] == [row.path for row in api.list_repo_tree("acme/tiny", "sub")]
    assert "sub/note.txt" not in [row.path for row in api.list_repo_tree("acme/tiny")]


@pytest.mark.parametrize("page_size", [1, 2, 7, 100])
def test_pages(page_size: int) -> None:
    """Whatever the size of a page, the client finds every file once and in order."""
    files = {f"part-{number:02}.txt": "x" for number in range(14)}
    with FixtureHub([RepoSpec("acme/many", files)], HubSettings(page_size=page_size)) as hub:
        rows = HfApi(endpoint=hub.endpoint, token=False).list_repo_tree("acme/many", recursive=True)
        paths, asked = [row.path for row in rows], len(hub.requests)
    huggingface_hub.close_session()

    assert list(files) == paths
    assert -(-14 // page_size) == asked


def test_list_repo_refs(hub: FixtureHub, api: HfApi) -> None:
    """Branches, tags, converts and pull requests are listed with their commits."""
    main = api.model_info("acme/tiny").sha
    other = {
        name: hub.commit("acme/tiny", {"x": name}, branch=name) for name in ("dev", "refs/pr/1", "refs/convert/parquet")
    }
    repository = hub.shelf.find("model", "acme/tiny")
    assert repository is not None
    repository.tag("v1")
    refs = api.list_repo_refs("acme/tiny", include_pull_requests=True)
    names = {
        kind: {ref.name: ref.target_commit for ref in found}
        for kind, found in (("branch", refs.branches), ("tag", refs.tags), ("pull", refs.pull_requests or []))
    }

    assert {
        "branch": {"main": main, "dev": other["dev"]},
        "tag": {"v1": main},
        "pull": {"refs/pr/1": other["refs/pr/1"]},
    } == names
    assert ["refs/convert/parquet"] == [ref.ref for ref in refs.converts]


def test_revision_with_slashes(hub: FixtureHub, api: HfApi, tmp_path: Path) -> None:
    """A pull request's files are found under its name with slashes."""
    sha = hub.commit("acme/tiny", {"config.json": "pull"}, branch="refs/pr/1")

    assert sha == api.model_info("acme/tiny", revision="refs/pr/1").sha
    assert b"pull" == pull(hub, "acme/tiny", tmp_path, revision="refs/pr/1")["config.json"]


def test_paths_info(api: HfApi) -> None:
    """Single paths can be asked for; unknown ones are left out."""
    rows = api.get_paths_info("acme/tiny", ["config.json", "sub", "nowhere"])

    assert [("config.json", RepoFile), ("sub", RepoFolder)] == [(row.path, type(row)) for row in rows]


def test_list_repo_commits(hub: FixtureHub, api: HfApi) -> None:
    """Commits are listed from the newest on."""
    sha = hub.commit("acme/tiny", {"config.json": "new"})
    commits = api.list_repo_commits("acme/tiny")

    assert (2, sha) == (len(commits), commits[0].commit_id)


@pytest.mark.parametrize(
    ("repo_id", "path", "revision", "token", "error"),
    [
        ("acme/none", "config.json", "main", None, RepositoryNotFoundError),
        ("acme/none", "config.json", "main", "reader", RepositoryNotFoundError),
        ("acme/private", "config.json", "main", None, RepositoryNotFoundError),
        ("acme/private", "config.json", "main", "stranger", RepositoryNotFoundError),
        ("acme/private", "config.json", "v9", "reader", RevisionNotFoundError),
        ("acme/private", "none.json", "main", "reader", RemoteEntryNotFoundError),
        ("acme/gated", "config.json", "main", None, GatedRepoError),
        ("acme/gated", "config.json", "main", "stranger", GatedRepoError),
    ],
)
def test_errors(
    locked: FixtureHub,
    tmp_path: Path,
    repo_id: str,
    path: str,
    revision: str,
    token: str | None,
    error: type[Exception],
) -> None:
    """Each refusal is the one that the client has its own error for."""
    secret = locked.tokens[token] if token else False
    with pytest.raises(error):
        hf_hub_download(repo_id, path, revision=revision, endpoint=locked.endpoint, cache_dir=tmp_path, token=secret)


def test_disabled(locked: FixtureHub) -> None:
    """A repository that was disabled says so."""
    with pytest.raises(DisabledRepoError):
        HfApi(endpoint=locked.endpoint, token=False).model_info("acme/disabled")


@pytest.mark.parametrize("repo_id", ["acme/gated", "acme/private"])
def test_accepted_token(locked: FixtureHub, tmp_path: Path, repo_id: str) -> None:
    """A token with access reads gated and private repositories."""
    assert {"config.json": b"{}"} == pull(locked, repo_id, tmp_path, token="reader")


def test_gated_listing_is_public(locked: FixtureHub) -> None:
    """Who may not read a gated repository still sees that it is gated and what it holds."""
    info = HfApi(endpoint=locked.endpoint, token=False).model_info("acme/gated")

    assert ("manual", ["config.json"]) == (info.gated, [row.rfilename for row in info.siblings or []])


def test_unknown_token(locked: FixtureHub) -> None:
    """A token that the hub does not know is refused, even where none is needed."""
    with pytest.raises(HfHubHTTPError, match="Invalid credentials in Authorization header"):
        HfApi(endpoint=locked.endpoint, token="hf_unknown").dataset_info("acme/questions")


def test_revoked_token(locked: FixtureHub) -> None:
    """A token works until it is revoked."""
    api = HfApi(endpoint=locked.endpoint, token=locked.tokens["reader"])

    assert "acme/private" == api.model_info("acme/private").id
    assert locked.revoke("reader")
    with pytest.raises(HfHubHTTPError, match="Invalid credentials"):
        api.model_info("acme/private")


def test_whoami(locked: FixtureHub) -> None:
    """A token's holder has the token's name."""
    assert "reader" == HfApi(endpoint=locked.endpoint).whoami(token=locked.tokens["reader"])["name"]


def test_token_stays_on_the_hub(hub: FixtureHub, tmp_path: Path) -> None:
    """The journal names the token on the hub, and shows that the client left it out on the CDN."""
    pull(hub, "acme/tiny", tmp_path, token="reader")

    assert {("hub", "reader"), ("cdn", "absent")} == {(record.port, record.credentials) for record in hub.requests}


def test_resume(hub: FixtureHub, tmp_path: Path) -> None:
    """After a cut the client goes on where it stopped, and the file is whole."""
    hub.add(RepoSpec("acme/large", {"model.safetensors": Weights(24 * 1024 * 1024)}))
    hub.fail(Cut(after=21 * 1024 * 1024), port="cdn", nth=1)
    got = pull(hub, "acme/large", tmp_path)["model.safetensors"]
    ranges = [record.range for record in hub.requests if record.port == "cdn"]

    assert b"".join(weights_pieces(Weights(24 * 1024 * 1024))) == got
    assert [None, f"bytes={20 * 1024 * 1024}-"] == ranges


def test_hostile_names(hub: FixtureHub, tmp_path: Path) -> None:
    """A repository may list names that lead out of the folder; the client refuses them, so they did reach it."""
    hub.add(RepoSpec("evil/names", {"../../escape.txt": "x", "a": "x", "a/b": "x", "nul\0": "x", "new\nline": "x"}))
    rows = HfApi(endpoint=hub.endpoint, token=False).list_repo_tree("evil/names", recursive=True)

    assert {"../../escape.txt", "a/b", "nul\0", "new\nline"} <= {row.path for row in rows}
    with pytest.raises(ValueError, match=r"\.\."):
        pull(hub, "evil/names", tmp_path / "inside", allow_patterns="*escape.txt")


@pytest.mark.parametrize("blobs", [True, False])
def test_hostile_rows(hub: FixtureHub, api: HfApi, blobs: bool) -> None:
    """Rules change single rows of tree listings and model infos: sizes, digests, more and fewer files."""
    row: Mapping[str, object] = {"path": "../x", "size": -1, "oid": "0"}
    hub.fail(Listing(append=(dict(row),), patch={"config.json": {"size": 10**30}}, drop=("README.md",)), path="^/api")
    if blobs:
        found = {row.rfilename: row.size for row in api.model_info("acme/tiny", files_metadata=True).siblings or []}
    else:
        tree = api.list_repo_tree("acme/tiny", recursive=True)
        found = {row.path: row.size for row in tree if isinstance(row, RepoFile)}

    assert {"../x": -1, "config.json": 10**30, "sub/note.txt": 4, "model.safetensors": len(DATA)} == found


@pytest.mark.parametrize(("how", "cursors"), [("same", 1), ("new", 24)])
def test_endless_pages(hub: FixtureHub, api: HfApi, how: str, cursors: int) -> None:
    """An endless listing goes on for as long as the client asks, with one cursor or always new ones."""
    hub.fail(Paging.model_validate({"how": how}), path="/tree/")
    rows = iter(api.list_repo_tree("acme/tiny", recursive=True))
    for _ in range(5 * 25):
        next(rows)
    asked = {record.query for record in hub.requests if "cursor=" in record.query}

    assert cursors == len(asked)


def test_next_page_elsewhere(hub: FixtureHub, api: HfApi) -> None:
    """A listing may send the client to another origin for its next page."""
    hub.fail(Paging(how="url", url="{cdn}/api/steal"), path="/tree/")
    with pytest.raises(HfHubHTTPError):
        list(api.list_repo_tree("acme/tiny"))

    assert ("cdn", "/api/steal") == (hub.requests[-1].port, hub.requests[-1].path)


def test_rate_limit(hub: FixtureHub, tmp_path: Path) -> None:
    """The client comes back after the time that a 429 names."""
    hub.fail(Status(status=429, headers={"Retry-After": "0"}), path="safetensors", port="cdn", nth=1)

    assert EXPECTED == pull(hub, "acme/tiny", tmp_path)
    assert [429, 200] == [record.status for record in hub.requests if record.port == "cdn"]


@pytest.mark.parametrize(("disabled", "code"), [("1", 0), ("0", 1)])
def test_xet_headers(tmp_path: Path, disabled: str, code: int) -> None:
    """With Xet headers a client that ignores them downloads all, and one that follows them finds nothing there."""
    script = "import sys, huggingface_hub as h; h.snapshot_download('acme/tiny', local_dir=sys.argv[1], token=False)"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    with FixtureHub([RepoSpec("acme/tiny", FILES)], HubSettings(xet=True)) as hub:
        told = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": disabled}
        limits = {"HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "0", "HF_XET_CLIENT_RETRY_MAX_DURATION": "1s"}
        command = [sys.executable, "-c", script, str(tmp_path / "model")]
        ended = subprocess.run(command, env={**kept, **told, **limits}, capture_output=True, timeout=120, check=False)

    assert code == ended.returncode, ended.stderr.decode()
    assert (code == 0) == (EXPECTED == downloaded(str(tmp_path / "model")))
