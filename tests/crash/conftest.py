"""A folder in memory where there is one, as a kill does not look at the disk, and disks whose power can be cut."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.power_disk import KINDS

REPOSITORY = Path(__file__).parents[2]
_IN_MEMORY = "/dev/shm"


@pytest.fixture
def quick_folder(tmp_path: Path) -> Iterator[Path]:
    if not os.access(_IN_MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=_IN_MEMORY, prefix="modelfetch-") as folder:
        yield Path(folder)


def _why_no_disk(kind: str, folder: Path) -> str:
    command = [sys.executable, "-m", "tests.crash.power_disk", kind, str(folder)]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=120)
    return ended.stdout if ended.returncode == 0 else f"cannot try out a disk: {ended.stderr}"


@pytest.fixture(scope="session")
def why_no_disk(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return for each kind of file system why this machine has no disk whose power can be cut, "" where it has."""
    return {kind: _why_no_disk(kind, tmp_path_factory.mktemp(kind)) for kind in KINDS}


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest, why_no_disk: dict[str, str]) -> str:
    """Return a kind of file system; the test is skipped where there can be no such disk."""
    chosen = str(request.param)
    if why_no_disk[chosen]:
        pytest.skip(why_no_disk[chosen])
    return chosen
