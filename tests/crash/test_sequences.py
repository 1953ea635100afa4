"""Two fetchers, a removal and a look at once, killed or cut off at a random step: nothing wrong, nothing lost."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PROGRAM = ("tests.crash.small_segments", "tests.crash.sequences")
SEEDS = {"ext4": 400, "xfs": 100}
"""Of each of four parts, 2000 in all: XFS takes four times as long to mount."""
ENOUGH = 60
"""Seeds after which a planted error must have shown."""


def run(kind: str, links: str, first: int, count: int, folder: Path, *fault: str) -> list[dict[str, object]]:
    command = [sys.executable, "-m", *PROGRAM, kind, links, str(first), str(count), str(folder), *fault]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=900)
    assert ended.returncode == 0, ended.stderr

    return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.mark.parametrize("part", [1, 2])
@pytest.mark.parametrize("links", ["hard", "symbolic"])
def test_random_sequences(kind: str, links: str, part: int, quick_folder: Path, pytestconfig: pytest.Config) -> None:
    """What was told stands, nothing else is wrong, and the work can be done again; each seed is a run of its own."""
    chance = random.Random(f"{pytestconfig.option.hypothesis_seed} {kind} {links} {part}")
    first = chance.randrange(2**40)

    told = run(kind, links, first, SEEDS[kind], quick_folder)

    wrong = [one for one in told if one["wrong"]]
    replay = [f"python -m {' '.join(PROGRAM)} {kind} {links} {one['seed']} 1 /dev/shm" for one in wrong]
    assert ([], []) == (wrong, replay)
    assert list(range(first, first + SEEDS[kind])) == [one["seed"] for one in told]


@pytest.mark.parametrize("fault", ["no-file-fsync", "current-before-manifest"])
@pytest.mark.parametrize("kind", ["ext4"], indirect=True)
def test_a_seed_goes_the_same_way_each_time(kind: str, fault: str, quick_folder: Path) -> None:
    """A planted error is noticed, and the seed that has shown it shows the same again."""
    last = run(kind, "hard", 0, ENOUGH, quick_folder, fault)[-1]
    again = run(kind, "hard", int(str(last["seed"])), 1, quick_folder, fault)[0]

    assert [] != last["wrong"]
    assert last["wrong"] == again["wrong"]
