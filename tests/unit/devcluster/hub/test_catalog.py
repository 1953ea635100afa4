"""What a demo finds on the hub."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import HfApi, snapshot_download

from modelfetch.devcluster.hub import FixtureHub
from modelfetch.devcluster.hub.catalog import MINILM, Catalog, folder_specs, minilm_folder
from tests.unit.devcluster.hub.raw import follow, hear

SMALL = Catalog(seed=3, model_bytes=20_000, tiny=3)


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    with FixtureHub() as running:
        SMALL.fill(running)
        yield running
    huggingface_hub.close_session()


def test_every_listing_tells_the_truth_but_one(hub: FixtureHub) -> None:
    """Every file's bytes have the listed digest, except the one that is corrupted on purpose."""
    wrong = [
        (repository.repo_id, entry.path)
        for repository in hub.shelf.all()
        for commit in repository.commits.values()
        for entry in commit.entries.values()
        if entry.lfs is not None and hashlib.sha256(entry.content.read()).hexdigest() != entry.lfs.sha256
    ]

    assert [("acme/corrupted", "model.safetensors")] == wrong


def test_same_seed_same_commits(hub: FixtureHub) -> None:
    """The same catalog gives the same commit ids, so a demo looks alike every time."""
    with FixtureHub() as again:
        SMALL.fill(again)

        assert [row.branches for row in hub.shelf.all()] == [row.branches for row in again.shelf.all()]


@pytest.mark.parametrize("repo_id", ["acme/small-chat", "gpt2", "acme/chat-preview", "tiny/model-002", MINILM])
def test_client_downloads(hub: FixtureHub, tmp_path: Path, repo_id: str) -> None:
    """The hub's own client downloads ordinary models, by legacy and former ids too."""
    folder = snapshot_download(repo_id, endpoint=hub.endpoint, local_dir=tmp_path, token=False)

    assert (Path(folder) / "model.safetensors").stat().st_size > 0


def test_gated_model(hub: FixtureHub) -> None:
    """The gated model is refused without a token, and served in two shards with one."""
    api = HfApi(endpoint=hub.endpoint, token=hub.tokens["reader"])
    names = api.list_repo_files("acme/gated-7b")
    url = f"{hub.endpoint}/acme/gated-7b/resolve/main/{names[-1]}"

    assert 2 == len([name for name in names if name.startswith("model-0")])
    assert 401 == hear(url).status
    assert 200 == hear(url, {"Authorization": f"Bearer {hub.tokens['reader']}"}).status


def test_corrupted_model(hub: FixtureHub) -> None:
    """The corrupted model's weights have the listed size and one wrong bit."""
    files = {row.repo_id: row for row in hub.shelf.all()}
    entry = files["acme/corrupted"].commits[files["acme/corrupted"].branches["main"]].entries["model.safetensors"]
    heard = follow(f"{hub.endpoint}/acme/corrupted/resolve/main/model.safetensors")

    assert entry.lfs is not None
    assert (entry.size, False) == (len(heard.raw), hashlib.sha256(heard.raw).hexdigest() == entry.lfs.sha256)


def test_second_branch(hub: FixtureHub) -> None:
    """The chat model has a branch with a commit of its own."""
    refs = HfApi(endpoint=hub.endpoint, token=False).list_repo_refs("acme/small-chat")

    assert 2 == len({branch.target_commit for branch in refs.branches})


@pytest.mark.skipif(minilm_folder() is None, reason="the package that ships the real MiniLM weights is not installed")
def test_real_minilm(hub: FixtureHub) -> None:
    """Where its package is installed, MiniLM has its real weights, by the digest that its authors published."""
    repository = hub.shelf.find("model", MINILM)
    assert repository is not None
    entry = repository.commits[repository.branches["main"]].entries["model.safetensors"]

    assert entry.lfs is not None
    assert "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db" == entry.lfs.sha256


def test_folder(tmp_path: Path) -> None:
    """A folder serves its org/name folders as models, and those below datasets as datasets."""
    for path in ("acme/one/config.json", "datasets/acme/two/data.csv"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text("{}")
    (tmp_path / "acme" / "stray.txt").write_text("x")

    assert [("model", "acme/one", ["config.json"]), ("dataset", "acme/two", ["data.csv"])] == [
        (spec.kind, spec.repo_id, list(spec.files)) for spec in folder_specs(tmp_path)
    ]
