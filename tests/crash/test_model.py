"""Fifty thousand random steps of all that a store goes through: never wrong, nothing lost, nothing left behind."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PROGRAM = ("tests.crash.small_segments", "tests.crash.model")
STEPS = 50_000
PARTS = 8
FEWEST = 5
"""Publishes, and kills, in each part; 70 to 190 publishes are usual, 17 were seen."""


@pytest.mark.parametrize("part", range(PARTS))
def test_everything_at_once(part: int, quick_folder: Path, pytestconfig: pytest.Config) -> None:
    """After each of the steps no digest name is wrong and every model is what was promised."""
    seed = random.Random(f"{pytestconfig.option.hypothesis_seed} {part}").randrange(2**32)
    links = ("hard", "symbolic")[part % 2]
    replay = [sys.executable, "-m", *PROGRAM, str(STEPS // PARTS), str(seed), links, str(quick_folder)]
    ended = subprocess.run(replay, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=1200)
    assert ended.returncode == 0, f"{ended.stdout}{ended.stderr}\nrepeat with {' '.join(replay[1:-1])} /dev/shm"

    count = json.loads(ended.stdout)
    assert count["rules"] >= STEPS // PARTS
    assert min(count["publishes"], count["kills"]) > FEWEST


def test_a_planted_error_is_noticed(quick_folder: Path) -> None:
    """Sweeping an attempt at work does not go unseen."""
    command = [sys.executable, "-m", *PROGRAM, str(STEPS // PARTS), "1", "hard", str(quick_folder), "sweep-the-living"]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=1200)

    assert (1, True) == (ended.returncode, "No such file or directory" in ended.stderr)
