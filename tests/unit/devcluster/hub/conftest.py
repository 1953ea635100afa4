"""A running hub with one small repository, and a client library that keeps no connection past a test."""

from collections.abc import Iterator

import huggingface_hub
import pytest

from modelfetch.devcluster.hub import FixtureHub, RepoSpec, Weights
from modelfetch.devcluster.hub.repository import Files

WEIGHTS = Weights(64 * 1024, seed=7)
CONFIG = '{"model_type": "tiny"}\n'
FILES: Files = {
    "README.md": "---\nlicense: mit\n---\n",
    "config.json": CONFIG,
    "sub/note.txt": "note",
    "model.safetensors": WEIGHTS,
}


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    with FixtureHub([RepoSpec("acme/tiny", FILES)]) as running:
        yield running
    huggingface_hub.close_session()


@pytest.fixture
def weights_url(hub: FixtureHub) -> str:
    return f"{hub.endpoint}/acme/tiny/resolve/main/model.safetensors"


@pytest.fixture
def config_url(hub: FixtureHub) -> str:
    return f"{hub.endpoint}/acme/tiny/resolve/main/config.json"
