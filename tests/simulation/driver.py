"""Random runs over the rules: fast, and each follows from its seed.

    python -m tests.simulation.driver STEPS SEED

takes so many steps in runs of 300 and prints what happened; a run that fails is shrunk and printed as a list of steps.
"""

import json
import random
import sys
from collections import Counter
from datetime import datetime, timedelta

from tests.simulation.calm import end_well
from tests.simulation.oracle import Broken
from tests.simulation.rules import RULES
from tests.simulation.virtual_loop import EPOCH
from tests.simulation.world import World

RUN_STEPS = 300
Steps = list[tuple[str, int]]


def steps_of(seed: int, length: int = RUN_STEPS) -> Steps:
    """Return the steps of a run, in which half of the rules are left out: beside all of them some things never happen.

    (Swarm testing: Groce and others, 2012.)
    """
    choose = random.Random(seed)
    always = [name for name, rule in RULES.items() if rule.weight >= 40]
    names = always + [name for name in RULES if name not in always and choose.random() < 0.5]
    weights = [RULES[name].weight for name in names]
    return [(name, choose.getrandbits(32)) for name in choose.choices(names, weights, k=length)]


def play(steps: Steps, start: datetime = EPOCH, ahead: timedelta = timedelta()) -> Counter[str]:
    """Take these steps in a new world of such clocks, end its faults, and return what happened; raises Broken."""
    with World(start, ahead) as world:
        for rule, number in steps:
            world.step(rule, number)
        end_well(world)
        world.happened["ready"] += world.oracle.ready_ever
        return world.happened


def main(wanted: int, seed: int) -> int:
    """Take at least so many steps; return the exit code."""
    happened: Counter[str] = Counter()
    seeds = random.Random(seed)
    steps = 0
    while steps < wanted:
        run = seeds.getrandbits(32)
        try:
            happened += play(steps_of(run))
        except Broken as broken:
            sys.stdout.write(f"run {run}: {broken}\n")
            return 1
        steps += RUN_STEPS
    sys.stdout.write(json.dumps({"steps": steps, **happened}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
