"""Every source keeps the promises of source_suite.py."""

from collections.abc import Iterator

import pytest

from modelfetch.api.source import HttpFile, HttpSource, HuggingFaceSource
from modelfetch.devcluster.hub import FixtureHub, HubSettings, RepoSpec
from modelfetch.sources.http import UrlSource
from modelfetch.sources.huggingface import HubSource
from modelfetch.transfer.curl import Session
from tests.contract.source_suite import Case, check
from tests.loopback import loopback_session

CONTENT = {"config.json": b"{}", "a b/\u00fc#?%25.txt": b"odd name", "model.safetensors": bytes(range(256)) * 999}


@pytest.fixture(params=[False, True], ids=["small files direct", "small files by cache"])
def hub(request: pytest.FixtureRequest) -> Iterator[FixtureHub]:
    settings = HubSettings(page_size=2, resolve_cache=request.param, xet=request.param)
    repositories = [RepoSpec("org/name", CONTENT), RepoSpec("org/name", CONTENT, kind="dataset")]
    with FixtureHub(repositories, settings) as hub:
        hub.alias("name", "org/name")
        yield hub


@pytest.fixture
def session() -> Iterator[Session]:
    with loopback_session() as session:
        yield session


@pytest.mark.parametrize("repo", ["org/name", "name"])
def test_a_hubs_models(hub: FixtureHub, session: Session, repo: str) -> None:
    """Models of a hub, by their id or by the one-word id they once had."""

    def move_on() -> None:
        hub.commit("org/name", dict.fromkeys(CONTENT, b"moved"))

    source = HuggingFaceSource(repo=repo, endpoint=hub.endpoint)

    assert check(Case(HubSource(source, session, None, 100), CONTENT, move_on)) is None  # type: ignore[func-returns-value]


def test_a_hubs_datasets(hub: FixtureHub, session: Session) -> None:
    """Datasets of a hub."""
    source = HuggingFaceSource(repo="org/name", repo_type="dataset", endpoint=hub.endpoint)

    assert check(Case(HubSource(source, session, None, 100), CONTENT, None)) is None  # type: ignore[func-returns-value]


def test_files_by_url(hub: FixtureHub, session: Session) -> None:
    """Files by URL, which have no commits."""
    content = {path: data for path, data in CONTENT.items() if "#" not in path}
    files = [HttpFile(url=f"{hub.endpoint}/org/name/resolve/main/{path}", path=path) for path in content]

    assert check(Case(UrlSource(HttpSource(files=files), session, None), content, None)) is None  # type: ignore[func-returns-value]
