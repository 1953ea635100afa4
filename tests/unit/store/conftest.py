"""An open store in an empty folder, with hard links and without."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from modelfetch.store.store import Store
from tests.unit.store import samples


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture(params=["hard", "symbolic"])
def links(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store(root: Path, links: str) -> Iterator[Store]:
    with Store.open(str(root), samples.filesystem(links)) as opened:
        yield opened


@pytest.fixture
def hard_store(root: Path) -> Iterator[Store]:
    with Store.open(str(root), samples.filesystem("hard")) as opened:
        yield opened
