"""A cluster whose process node and claim are for the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from modelfetch.devcluster.summary import Summary
from tests.cluster import shared
from tests.cluster.world import World, new_world


@pytest.fixture(scope="session")
def summary() -> Iterator[Summary]:
    """A cluster with a node, for this folder alone: its nodes would take the Pods of other tests."""
    without = ["--without", "hub", "--without", "operator"]
    with shared.shared_cluster("node", without, Path(__file__)) as found:
        yield found


@pytest.fixture
def world(summary: Summary, tmp_path: Path) -> Iterator[World]:
    """A namespace under the restricted level, with the claim `models`."""
    with new_world(summary, tmp_path / "volume") as found:
        yield found
