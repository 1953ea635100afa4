"""The hub of these tests."""

from collections.abc import Iterator

import pytest

from modelfetch.devcluster.hub import FixtureHub, RepoSpec
from tests.unit.fetcher.crew.scene import FILES
from tests.unit.store.partials import CONTENT


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    with FixtureHub([RepoSpec("org/name", FILES), RepoSpec("org/other", {"copy.bin": CONTENT})]) as hub:
        yield hub
