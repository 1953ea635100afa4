"""What a power cut tears is noticed before it is relied on, and only that is received again."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.torn import PROOFS

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    command = [
        sys.executable,
        "-m",
        "tests.crash.small_segments",
        "tests.crash.torn",
        str(tmp_path_factory.mktemp("torn")),
    ]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stderr

    return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.mark.parametrize("proof", PROOFS)
@pytest.mark.parametrize(
    ("tear", "lost"), [("whole", 0), ("prefix", 6), ("last page zero", 1), ("middle page zero", 1)]
)
def test_a_torn_file(tear: str, lost: int, proof: str, told: list[dict[str, object]]) -> None:
    """The segments that were torn are received again, the others are not, and what is published is right."""
    one = next(one for one in told if (one["tear"], one["proof"]) == (tear, proof))

    assert {"tear": tear, "proof": proof, "again": lost, "wrong": [], "is_right": True} == one
