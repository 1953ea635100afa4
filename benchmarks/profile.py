"""Where modelfetch's time goes: one run of a scenario under py-spy, all threads, native code included.

In: a scenario. Out: collapsed stacks in a file (for a flame graph), and the places with the most samples as text. What
runs without the interpreter's lock is counted where it runs; waiting is not counted.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.contenders import OURS, call
from benchmarks.scenario import Scenario, Turn

RATE = 500
_ROWS = 25


def profile(bench: Bench, scenario: Scenario, target: Path) -> str:
    """Run modelfetch once in a scenario's first step and return the table of places; the stacks go to `target`."""
    bench.prepare(scenario)
    turn = Turn(scenario, OURS, 1)
    target.parent.mkdir(parents=True, exist_ok=True)
    with bench.folder(turn) as out:
        plain = call(OURS, turn.task(bench, out), bench.python)
        spy = [str(bench.python.with_name("py-spy")), "record", "--native", "--threads"]
        flags = ["--rate", str(RATE), "--format", "raw", "--output", str(target), "--"]
        cost = replace(plain, arguments=[*spy, *flags, *plain.arguments]).cost(bench.output(turn), bench.deadline_s)
    if cost.complaint:
        raise RuntimeError(f"expected a profile of {scenario.key}, got {cost.complaint}")
    return summary(target.read_text())


def summary(stacks: str) -> str:
    """Return the frames with the most samples: on top of a stack, and anywhere in one."""
    own: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        own[frames[-1]] += int(count)
        within.update(dict.fromkeys(frames, int(count)))
    total = sum(own.values()) or 1
    tables = [("on top", own), ("in the stack", within)]
    return "\n\n".join(_table(words, counts, total) for words, counts in tables)


def _table(words: str, counts: Counter[str], total: int) -> str:
    rows = [f"  {100 * count / total:5.1f} %  {frame[:110]}" for frame, count in counts.most_common(_ROWS)]
    return "\n".join([f"{words} ({total} samples):", *rows])
