"""What every fault of the storage gets: a hub for the whole run, and a faulty volume of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from modelfetch.devcluster.hub import FixtureHub
from tests.storage.ground import REPOSITORIES, Ground
from tests.storage.mounts import Volume, mounted


@pytest.fixture(scope="session")
def hub() -> Iterator[FixtureHub]:
    with FixtureHub(REPOSITORIES) as hub:
        yield hub


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Volume]:
    with mounted(tmp_path / "below", tmp_path / "mount") as volume:
        yield volume


@pytest.fixture
def ground(volume: Volume, hub: FixtureHub) -> Ground:
    ground = Ground(volume, hub)
    assert ground.fetch("kept").ok
    volume.calls()
    return ground
