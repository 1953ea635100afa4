"""A program of one thread that forks runs and kills them: `python -m tests.crash.forker SCENARIO LINKS FOLDER`.

For each step of a whole run it prints a line of JSON: where the run was killed, whether it was, what was wrong with the
store then, and what was wrong after a second run, which is itself killed once and repeated. Forking is done here and
not in the tests, which run in processes with threads.
"""

import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from modelfetch.store.fs import Filesystem
from modelfetch.store.private_file import Hook
from tests.crash.scenarios import SCENARIOS, Scenario, tidy
from tests.unit.store import samples

OPENING = ("root.", "store.", "probe.")
"""Steps of opening a store: the same in every scenario, so that one of them is enough."""

_STRIDE = 37
"""Spreads the second kill over the run: prime, so that pairs of steps differ from point to point."""


def fork(act: Callable[[], None]) -> int:
    """Run `act` in a child, which ends with 0 only if it returns; return the child's id."""
    pid = os.fork()
    if pid == 0:
        ended = 1
        try:
            act()
            ended = 0
        finally:
            if ended:
                traceback.print_exc()
            os._exit(ended)
    return pid


def forked(act: Callable[[], None]) -> int:
    """Run `act` in a child and return its wait status."""
    return os.waitpid(fork(act), 0)[1]


def die() -> None:
    """End at once, as the kernel ends a process that is out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def trace(
    scenario: Scenario, links: str, folder: Path, open_fs: Callable[[Hook], Filesystem] | None = None
) -> list[str]:
    """Return the steps of a whole run."""
    steps: list[str] = []
    root = str(folder / "reference")
    scenario.before(root, samples.filesystem(links))
    scenario.run(root, samples.filesystem(links, steps.append) if open_fs is None else open_fs(steps.append))
    return steps


def killed_at(number: int, scenario: Scenario, links: str, root: Path, steps: int) -> dict[str, object]:
    """Kill a run at a step and the next run at another one, then let a third one end."""
    clean = samples.filesystem(links)
    scenario.before(str(root), clean)
    first = forked(lambda: scenario.run(str(root), samples.filesystem(links, samples.nth(number, die))))
    after_first = samples.violations(root)
    again = number * _STRIDE % steps
    forked(lambda: scenario.run(str(root), samples.filesystem(links, samples.nth(again, die))))
    after_second = samples.violations(root)
    tidied = forked(lambda: tidy(str(root), clean))
    last = forked(lambda: scenario.run(str(root), clean))
    return {
        "was_killed": os.WIFSIGNALED(first) and os.WTERMSIG(first) == signal.SIGKILL,
        "violations": after_first + after_second + samples.violations(root),
        "ended_well": tidied == last == 0 and scenario.is_done(root),
        "leftovers": samples.leftovers(root),
    }


def main(name: str, links: str, folder: Path) -> None:
    """Kill the scenario at every step and print what came of it."""
    scenario = SCENARIOS[name]
    steps = trace(scenario, links, folder)
    for number, step in enumerate(steps):
        if name != "first" and step.split(" ")[1].startswith(OPENING):
            continue
        root = folder / str(number)
        point = {"step": step, **killed_at(number, scenario, links, root, len(steps))}
        sys.stdout.write(json.dumps(point) + "\n")
        sys.stdout.flush()  # a child must not inherit it
        shutil.rmtree(root)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
