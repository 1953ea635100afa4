"""The operator in a simulated cluster: whatever happens, nothing is ever wrong, and all comes right afterwards.

The bulk of the steps is random, and follows from a seed: a Hypothesis machine over the same rules takes five times as
long for a step. That one is here, too, for it shrinks what it finds by itself; what the random runs find,
`python -m tests.simulation.shrink` does.
"""

import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.simulation.driver import RUN_STEPS, play, steps_of
from tests.simulation.faults import MISTAKES
from tests.simulation.machine import ClusterMachine
from tests.simulation.shrink import failure_of

REPOSITORY = Path(__file__).parents[2]
PARTS = 8
STEPS = int(os.environ.get("SIMULATION_STEPS", "200000"))
"""Steps of all parts together."""
SEED = os.environ.get("SIMULATION_SEED", "1")
"""The runs of `make test` are always the same ones; another seed is another set."""
PART_WITHIN_S = 600.0
ENVIRONMENT = {**os.environ, "PYTHONHASHSEED": "0"}
"""Sets of names have one order, else a seed would not tell the whole story."""
MOST_RUNS = 25
"""Runs within which a mistake is noticed; most are in the first three."""


@pytest.mark.parametrize("part", range(PARTS))
def test_everything_at_once(part: int) -> None:
    """After each of the steps the invariants hold; at the end of each run all is as wanted and nothing is left."""
    seed = random.Random(f"simulation {SEED} {part}").randrange(2**32)
    command = [sys.executable, "-m", "tests.simulation.driver", str(STEPS // PARTS), str(seed)]
    ended = subprocess.run(
        command, cwd=REPOSITORY, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=PART_WITHIN_S
    )
    assert ended.returncode == 0, f"{ended.stdout}{ended.stderr}\nrepeat with PYTHONHASHSEED=0 {' '.join(command)}"

    happened = Counter(json.loads(ended.stdout))
    sys.stdout.write(f"seed {seed}: {ended.stdout}")
    assert happened["steps"] >= STEPS // PARTS
    assert min(happened["ready"], happened["writes"]) > STEPS // PARTS // 1000


@pytest.mark.parametrize("name", MISTAKES)
def test_a_planted_mistake_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulation can fail: each of these is seen within some thousand steps, and nothing is without it."""
    MISTAKES[name](monkeypatch)
    seen_in = next((seed for seed in range(MOST_RUNS) if failure_of(steps_of(seed))), None)
    monkeypatch.undo()

    assert seen_in is not None, f"unseen in {MOST_RUNS * RUN_STEPS} steps"
    assert failure_of(steps_of(seen_in)) is None


def test_a_run_follows_from_its_seed() -> None:
    """The same steps have the same end: what fails once fails again."""
    assert play(steps_of(7)) == play(steps_of(7))


TestMachine = ClusterMachine.TestCase
