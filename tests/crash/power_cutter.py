"""A program that cuts the power at each step: `python -m tests.crash.power_cutter KIND SCENARIO LINKS FOLDER`.

For each state of the disk that a run goes through it prints a line of JSON: which steps stand for it, what was wrong
after the cut, and what was wrong once the interrupted work was done again. `--killed` kills the run at the step, lets
another one end, and cuts the power then: what the second found and took for durable must be so. `--fault NAME` plants
an error of power_faults.py.
"""

import gc
import json
import os
import random
import secrets
import shutil
import signal
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from modelfetch.store.fs import Filesystem
from modelfetch.store.private_file import Hook
from tests.crash.forker import OPENING, die, forked, trace
from tests.crash.power_disk import Disk, cut_power, disk, sync
from tests.crash.power_faults import FAULTS, Planted, Unsynced
from tests.crash.scenarios import SCENARIOS, Scenario, tidy
from tests.unit.store import samples

State = dict[str, tuple[str | None, samples.Content | None]]
WRITE = "after file.write"


@dataclass(frozen=True)
class Point:
    """A moment of a run: its number among the steps, None for its end, and the steps that see the disk like this.

    Whoever does the work again writes at most `writes` pieces of files.
    """

    number: int | None
    steps: tuple[str, ...]
    writes: int


@dataclass(frozen=True)
class Case:
    """What is interrupted, and how: `open_fs` gives a file system that calls a hook."""

    scenario: Scenario
    links: str
    disk: Disk
    open_fs: Callable[[Hook], Filesystem]
    known: dict[frozenset[tuple[object, ...]], tuple[int, list[str]]] = field(default_factory=dict)
    """What doing the work again wrote and left wrong, by what was on the disk: many points leave the same."""


def points(steps: list[str], skip: tuple[str, ...]) -> list[Point]:
    """Return the moments at which the disk may differ: nothing happens between one step's end and the next's begin."""
    found: list[Point] = []
    for number, step in enumerate(steps):
        if step.split(" ")[1].startswith(skip):
            continue
        if step.startswith("before ") and number and steps[number - 1].startswith("after ") and found:
            found[-1] = replace(found[-1], steps=(*found[-1].steps, step))
        else:
            found.append(Point(number, (step,), steps.count(WRITE) - synced_writes(steps[: number + 1])))
    return [*found, Point(None, ("returned",), 0)]


def synced_writes(steps: list[str]) -> int:
    """Return how many of the writes among these steps were made durable, with what was written down of them."""
    written = synced = durable = 0
    for step in steps:
        written += step == WRITE
        synced = written if step == "before file.checkpoint" else synced
        durable = synced if step == "after journal.sync" else durable
    return durable


def state(root: Path) -> State:
    """Return what consumers see: for each model whose it is and what `current` leads to."""
    return {
        model.name: (
            (model / "owner.json").read_text() if (model / "owner.json").is_file() else None,
            samples.tree_content((model / "current").resolve()) if (model / "current").is_dir() else None,
        )
        for model in root.glob("models/*/*")
    }


def lost(before: State, now: State, after: State, is_over: bool) -> list[str]:
    """Return the models that are neither as they were nor, once that was promised only so, as they were to become."""
    empty: tuple[None, None] = (None, None)
    found = []
    for name in before | now | after:
        old, new, seen = (states.get(name, empty) for states in (before, after, now))
        is_between = seen[1] in (old[1], new[1]) and (seen[0] in (old[0], new[0]))
        if seen != new if is_over else not is_between:
            found.append(f"{name} is lost")
    return found


def run_until(case: Case, point: Point, root: Path, end: Callable[[], None]) -> int:
    """Run in a child until the point and end it there; return its wait status."""
    hook = samples.nth(point.number, end) if point.number is not None else _nothing

    def act() -> None:
        case.scenario.run(str(root), case.open_fs(hook))
        end()

    return forked(act)


def _nothing(_step: str) -> None:
    return


def cut_and_die(root: Path) -> None:
    cut_power(root)
    die()


def cut_at(case: Case, point: Point, root: Path, after: State) -> dict[str, object]:
    """Cut the power at a point, look, do the work again, look again."""
    case.scenario.before(str(root), quick_filesystem(case.links))
    sync(case.disk.root)
    before = state(root)
    status = run_until(case, point, root, partial(cut_and_die, case.disk.root))
    case.disk.remount()
    found = lost(before, state(root), after, is_over=point.number is None)
    if (there := on_disk(root)) not in case.known:
        case.known[there] = do_again(case, root, after)
    writes, wrong = case.known[there]
    if writes > point.writes:
        found.append(f"{writes} pieces were written again, expected at most {point.writes}")
    return told(point, status, found + wrong)


def do_again(case: Case, root: Path, after: State) -> tuple[int, list[str]]:
    """Look, do the work again, and look again; return how many pieces of files that wrote, and what is wrong."""
    if found := samples.violations(root):
        return 0, found
    name_alike(2)
    steps: list[str] = []
    case.scenario.run(str(root), quick_filesystem(case.links, steps.append))
    tidy(str(root), quick_filesystem(case.links))
    found = samples.violations(root) + samples.leftovers(root)
    return steps.count(WRITE), found + lost(after, state(root), after, is_over=True)


def name_alike(number: int) -> None:
    """Let random names be the same ones at each point, so that what is on the disk can be compared."""
    names = random.Random(number)
    secrets.token_hex = lambda nbytes=None: names.randbytes(nbytes or 32).hex()


def on_disk(root: Path) -> frozenset[tuple[object, ...]]:
    """Return all that is in a folder; of journals without the line that tells which process wrote it, and when."""
    found: set[tuple[object, ...]] = set()
    for top, folders, names in os.walk(root):
        for name in folders + names:
            path = Path(top, name)
            facts = path.lstat()
            what: object = os.readlink(path) if path.is_symlink() else None
            if what is None and path.is_file():
                what = tuple(line for line in path.read_bytes().split(b"\n") if not line.startswith(b'["head"'))
            found.add((str(path.relative_to(root)), facts.st_mode, facts.st_nlink, what))
    return frozenset(found)


def cut_after_kill(case: Case, point: Point, root: Path, after: State) -> dict[str, object]:
    """Kill at a point, let another run end, cut the power at its end, look."""
    case.scenario.before(str(root), quick_filesystem(case.links))
    sync(case.disk.root)
    before = state(root)
    end_of_run = Point(None, (), 0)
    status = run_until(case, point, root, die)
    name_alike(2)
    run_until(case, end_of_run, root, partial(cut_and_die, case.disk.root))
    case.disk.remount()
    return told(point, status, samples.violations(root) + lost(before, state(root), after, is_over=True))


def told(point: Point, status: int, found: list[str]) -> dict[str, object]:
    was_killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    return {"steps": point.steps, "was_killed": was_killed, "violations": found}


def play(case: Case, asked: Namespace) -> Iterator[dict[str, object]]:
    """Cut the power everywhere; where an error is planted, until it shows, from the end on."""
    steps = trace(case.scenario, case.links, case.disk.root, case.open_fs)
    after = state(case.disk.root / "reference")
    moments = points(steps, () if (asked.scenario, asked.links) == ("first", "hard") else OPENING)
    for point in reversed(moments) if asked.fault else moments:
        root = case.disk.root / str(point.number)
        started = time.perf_counter()
        name_alike(1)
        one = (cut_after_kill if asked.killed else cut_at)(case, point, root, after)
        yield {**one, "seconds": time.perf_counter() - started}
        shutil.rmtree(root)
        if asked.fault and one["violations"]:
            return


def main(arguments: list[str]) -> None:
    """Print what came of each cut."""
    parser = ArgumentParser()
    for name in ("kind", "scenario", "links", "folder"):
        parser.add_argument(name)
    parser.add_argument("--killed", action="store_true")
    parser.add_argument("--fault", choices=FAULTS)
    asked = parser.parse_args(arguments)
    gc.freeze()  # what is here stays: children need not copy it
    with disk(asked.kind, Path(asked.folder)) as mounted:
        case = Case(SCENARIOS[asked.scenario], asked.links, mounted, partial(opened, asked.links, asked.fault))
        for one in play(case, asked):
            sys.stdout.write(json.dumps(one) + "\n")
            sys.stdout.flush()  # a child must not inherit it


def quick_filesystem(links: str, hook: Hook = lambda _step: None) -> Filesystem:
    """Return a file system that syncs nothing: for what comes before the cut and after it."""
    return Planted(Unsynced, hook if links == "hard" else samples.without_hard_links(hook))


def opened(links: str, fault: str | None, hook: Hook) -> Filesystem:
    """Return a file system, with hard links or without, and with an error planted or without."""
    if fault is None:
        return samples.filesystem(links, hook)
    return Planted(FAULTS[fault], hook if links == "hard" else samples.without_hard_links(hook))


if __name__ == "__main__":
    main(sys.argv[1:])
