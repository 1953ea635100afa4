"""What every fault of a source gets: an empty volume."""

from pathlib import Path

import pytest

from tests.source_faults.scene import Scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """An empty volume."""
    return Scene(tmp_path / "volume")
