"""From a run that fails to a short one that fails in the same way.

python -m tests.simulation.shrink SEED
"""

import sys

from tests.simulation.driver import Steps, play, steps_of
from tests.simulation.oracle import Broken

MOST_TRIES = 2000


def failure_of(steps: Steps) -> str | None:
    """Return what is broken by these steps, or None."""
    try:
        play(steps)
    except Broken as broken:
        return str(broken)
    return None


def shrink(steps: Steps, most_tries: int = MOST_TRIES) -> Steps:
    """Return as few of these steps, in their order, as break the same invariant; of `steps` that break none, all."""
    failure = failure_of(steps)
    if failure is None:
        return steps
    kind, tries, size = failure.partition(":")[0], 0, len(steps)
    while size:
        start = 0
        while start < len(steps) and tries < most_tries:
            tries += 1
            fewer = steps[:start] + steps[start + size :]
            if (failure_of(fewer) or "").partition(":")[0] == kind:
                steps = fewer
            else:
                start += size
        size //= 2
    return steps


if __name__ == "__main__":
    shortest = shrink(steps_of(int(sys.argv[1])))
    sys.stdout.write("\n".join(map(str, shortest)) + f"\n{failure_of(shortest)}\n")
