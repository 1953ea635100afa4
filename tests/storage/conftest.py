"""What every fault of the storage gets: a hub for the whole run, and a faulty volume of its own."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelfetch.devcluster.hub import FixtureHub
from tests.loopback import fetch, from_hub
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
    assert fetch(from_hub(hub, "org/kept", name="kept"), volume.below).ok
    return Ground(volume, hub)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="modelfetch-") as folder:
        yield Path(folder)
