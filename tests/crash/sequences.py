"""Random runs, a line of JSON for each seed.

    python -m tests.crash.small_segments tests.crash.sequences KIND LINKS SEED COUNT FOLDER

A seed says which models there are, what two fetchers, a removal and a look at the store do at the same time, in which
order they take their steps, and where they are all killed or the power is cut. Then what consumers see is compared with
the ledger, the work is done again, and the store must be right, whole and tidy.
"""

import gc
import json
import os
import random
import secrets
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from modelfetch.api.order import RemovalTarget
from modelfetch.errors import FetchError
from modelfetch.store import removal
from modelfetch.store.findings import Finding, Kind
from modelfetch.store.fs import Filesystem
from modelfetch.store.private_file import Hook
from modelfetch.store.store import Store
from modelfetch.store.verify import Request, Watch, verify
from tests.crash.download import download
from tests.crash.forker import die, forked
from tests.crash.ledger import Ledger, Seen, Task
from tests.crash.power_cutter import cut_and_die, quick_filesystem
from tests.crash.power_disk import Disk, disk, sync
from tests.crash.power_faults import FAULTS, Planted
from tests.crash.turns import Turns
from tests.unit.store import samples

PIECES = [b"", b"{}", b'{"a":1}', samples.SHARED, bytes(range(256)) * 80, b"tokens" * 3000, b"large" * 14_000]
"""Contents of files: none, small ones, and some of several pages and several segments."""
MODELS = ("llama", "phi")
OWNERS = ("uid-1", "uid-2")
STEPS = 420
"""About as many steps as two publishes, a removal and a look take."""


@dataclass(frozen=True)
class Plan:
    """What one seed stands for; the end comes after so many `turns`, or once so many tasks have told theirs."""

    seed: int
    before: tuple[Task, ...]
    actors: dict[str, tuple[Task, ...]]
    looks: bool
    is_cut: bool
    turns: int
    told: int | None

    @property
    def tasks(self) -> list[Task]:
        return [task for actor in self.actors.values() for task in actor]


def plan_of(seed: int) -> Plan:
    """Return what the seed stands for."""
    chance = random.Random(seed)
    numbers = iter(range(100))

    def publish() -> Task:
        model = chance.choice(MODELS)
        owner = OWNERS[0] if chance.random() < 0.7 else OWNERS[1]
        return Task(next(numbers), model, owner, f"{model} {chance.getrandbits(32)}")

    before = tuple(publish() for _ in range(chance.choice((0, 1, 1, 2))))
    actors = {f"fetcher {number}": tuple(publish() for _ in range(chance.choice((1, 1, 1, 2)))) for number in range(2)}
    if chance.random() < 0.7:
        actors["removal"] = (Task(next(numbers), chance.choice(MODELS), OWNERS[0], None),)
    looks, is_cut = chance.random() < 0.4, chance.random() < 0.8
    told = chance.choice((1, 2)) if chance.random() < 0.25 else None
    return Plan(seed, before, actors, looks, is_cut, STEPS * 9 if told else chance.randrange(STEPS), told)


def content_of(name: str) -> samples.Content:
    """Return the files of a content by its name."""
    chance = random.Random(name)
    files = chance.sample(range(len(PIECES)), chance.choice((1, 2)))
    return {"name.txt": name.encode(), **{f"sub/{number}.bin": PIECES[number] for number in files}}


# What is done


def perform(store: Store, task: Task) -> None:
    """Publish or remove; a removal is as hostile as can be and takes whatever nothing refers to, however young."""
    if task.content is None:
        target = RemovalTarget(namespace="ml", name=task.model, owner=task.owner)
        removal.execute_removal(store, removal.plan_removal(store, [target], abandoned_s=0.0))
    else:
        commit = samples.git_blob(task.content.encode())
        download(store, content_of(task.content), samples.owner(task.model, task.owner), f"try-{task.number}", commit)


def act(plan: Plan, name: str, open_store: Callable[[Hook], Store], tell: Callable[[str], None], hook: Hook) -> None:
    """Do one actor's tasks."""
    with open_store(hook) as store:
        for task in plan.actors.get(name, ()):
            tell(f"begin {task.number}")
            perform(store, task)
            tell(f"end {task.number}")
        if name == "look":
            verify(store.volume, Request(), Watch())


def run_together(plan: Plan, open_store: Callable[[Hook], Store], tell: int, end: Callable[[], None]) -> None:
    """Let all actors take their steps, in the order of the seed, until the end."""
    names = random.Random(plan.seed)
    secrets.token_hex = lambda nbytes=None: names.randbytes(nbytes or 32).hex()
    turns, ends = Turns(plan.seed, lambda turn: end() if turn == plan.turns else None), []

    def say(event: str) -> None:
        os.write(tell, f"{event}\n".encode())
        ends.extend([event] if event.startswith("end ") else [])
        if len(ends) == plan.told:
            end()

    actors = [*plan.actors, *(["look"] if plan.looks else [])]
    errors = turns.run({name: partial(act, plan, name, open_store, say) for name in actors})
    for name, error in errors.items():
        say(f"error {name}: {error.reason}: {error.message}")
    end()


def events_of(plan: Plan, open_store: Callable[[Hook], Store], end: Callable[[], None]) -> list[str]:
    """Run all actors in a child until it ends and return what they told."""
    out, into = os.pipe()
    forked(partial(run_together, plan, open_store, into, end))
    os.close(into)
    with os.fdopen(out) as told:
        return told.read().splitlines()


# What is seen


def seen(folder: Path) -> Seen:
    """Return whose the model in this folder is and the name of its content."""
    record, name = _read(f"{folder}/owner.json"), _read(f"{folder}/current/name.txt")
    try:
        owner = json.loads(record)["owner"] if record is not None else None
    except ValueError:
        owner = "nobody can tell"
    return owner, name


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return None


def ledgers_of(root: Path) -> dict[str, Ledger]:
    return {model: Ledger.of(seen(root / "models" / "ml" / model)) for model in MODELS}


def wrong_content(root: Path) -> list[str]:
    """Return which models are not, byte by byte, the content that they say they are."""
    found = []
    for model in MODELS:
        current = root / "models" / "ml" / model / "current"
        name = seen(current.parent)[1]
        if name is not None and samples.tree_content(current.resolve()) != content_of(name):
            found.append(f"{model} is not '{name}'")
    return found


def follow(ledgers: dict[str, Ledger], tasks: list[Task], events: list[str]) -> list[str]:
    """Write the events down; return what should not have happened."""
    by_number = {str(task.number): task for task in tasks}
    found = []
    for event in events:
        kind, _, what = event.partition(" ")
        if kind == "error":
            found.append(event)
        elif kind == "begin":
            ledgers[by_number[what].model].begin(by_number[what])
        else:
            ledgers[by_number[what].model].end(by_number[what])
    return found


def unlike(ledgers: dict[str, Ledger], root: Path) -> list[str]:
    """Return which models look as they should not."""
    return [
        f"{model} is {now}, expected one of {sorted(ledger.right(), key=str)}"
        for model, ledger in ledgers.items()
        if (now := seen(root / "models" / "ml" / model)) not in ledger.right()
    ]


def finish(interrupted: list[Task], store: Store, root: Path) -> list[str]:
    """Do the interrupted work again to its end, tidy up, and return what is wrong then."""
    removals = [task for task in interrupted if task.content is None] or [Task(-1, "nobody", OWNERS[0], None)]
    last = {task.model: task for task in interrupted if task.content is not None}
    for task in (*removals, *last.values()):
        perform(store, task)
    store.sweep(store.plan_sweep(0.0))
    found = [f"{finding}" for finding in look(store, root)]
    for model, task in last.items():
        if seen(root / "models" / "ml" / model) != (task.owner, task.content):
            found.append(f"{model} cannot be published again")
    return found + samples.violations(root) + wrong_content(root) + samples.leftovers(root)


def look(store: Store, root: Path) -> list[Finding]:
    """Return what a look finds wrong that matters.

    Sums may be torn by a cut: they are hints, and the first look mends them. An empty folder may have been left private
    by a kill: whoever puts something into it opens it first.
    """
    findings = verify(store.volume, Request(), Watch()).findings
    if Kind.WRONG_HINT in {finding.kind for finding in findings}:
        findings = verify(store.volume, Request(), Watch()).findings
    return [one for one in findings if one.kind is not Kind.WRONG_MODE or not is_empty(root / one.path)]


def is_empty(path: Path) -> bool:
    """True for a folder with nothing in it."""
    return path.is_dir() and not any(path.iterdir())


def play(plan: Plan, links: str, mounted: Disk, fault: str | None) -> list[str]:
    """Run what the seed stands for and return what went wrong."""
    root = mounted.root / f"{links}-{plan.seed}"
    with Store.open(str(root), quick_filesystem(links)) as store:
        for task in plan.before:
            perform(store, task)
        like = store.capabilities
    sync(mounted.root)
    ledgers = ledgers_of(root)

    def open_store(hook: Hook) -> Store:
        """Open it without the usual look at what the volume can do, which has tests of its own."""
        return Store(opened(links, fault, hook).open(str(root)), store.id, like)

    events = events_of(plan, open_store, partial(cut_and_die, mounted.root) if plan.is_cut else die)
    if plan.is_cut:
        mounted.remount()
    found = follow(ledgers, plan.tasks, events)
    found += samples.violations(root) + wrong_content(root) + unlike(ledgers, root)
    if not found:
        with Store(quick_filesystem(links).open(str(root)), store.id, like) as again:
            found += finish([task for one in ledgers.values() for task in one.at_work.values()], again, root)
    shutil.rmtree(root)
    return sorted(found)


def opened(links: str, fault: str | None, hook: Hook) -> Filesystem:
    """Return a file system, with hard links or without, and with an error planted or without."""
    if fault is None:
        return samples.filesystem(links, hook)
    return Planted(FAULTS[fault], hook if links == "hard" else samples.without_hard_links(hook))


def main(kind: str, links: str, first: int, count: int, folder: str, fault: str | None = None) -> None:
    """Run seeds from `first` on, and print for each what went wrong; with an error planted until that is so."""
    gc.freeze()  # what is here stays: children need not copy it
    with disk(kind, Path(folder)) as mounted:
        for seed in range(first, first + count):
            started = time.perf_counter()
            plan = plan_of(seed)
            try:
                found = play(plan, links, mounted, fault)
            except FetchError as error:
                found = [f"the work cannot be done again: {error.reason}: {error.message}"]
            told = {"seed": seed, "wrong": found, "seconds": time.perf_counter() - started}
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()  # a child must not inherit it
            if fault is not None and found:
                return


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5], *sys.argv[6:])
