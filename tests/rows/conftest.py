"""What every row gets: an empty store with a token beside it, and a hub with one small model.

The rows are those of docs/bad-inputs.md; the number stands in the name of each test.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from modelfetch.devcluster.hub import FixtureHub, RepoSpec
from tests.rows.ground import Ground

WEIGHTS = bytes(range(256)) * 400
FILES = {"config.json": b"{}", "model.safetensors": WEIGHTS}


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """An empty store."""
    folder = tmp_path / "ground"
    folder.mkdir()
    return Ground(folder)


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    """A hub with the model org/name."""
    with FixtureHub([RepoSpec("org/name", FILES)]) as hub:
        yield hub
