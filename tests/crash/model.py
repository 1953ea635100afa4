"""A store under everything at once, as a Hypothesis state machine.

    python -m tests.crash.small_segments tests.crash.model STEPS SEED LINKS FOLDER

Three writers work bit by bit, are killed at any of their steps, give up, or write on although they are taken for dead;
models are removed, leftovers swept, unused things collected, blobs damaged and lost, and the store is looked at and
repaired, each of it also in the middle of something else. After each step no file under a digest name is wrong, and
every model is what the ledger says.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from modelfetch.api.order import RemovalTarget
from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store import removal
from modelfetch.store.collection import execute_collection, plan_collection
from modelfetch.store.findings import DAMAGE, Kind
from modelfetch.store.fs import Filesystem
from modelfetch.store.store import Store
from modelfetch.store.verify import Outcome, Request, Watch, verify
from tests.crash.download import downloading
from tests.crash.ledger import Ledger, Task
from tests.crash.model_oracle import Oracle
from tests.crash.model_parts import COUNT, PIECES, Enough, Killed, Mortal, Writer, content_of, open_files
from tests.crash.sequences import OWNERS, seen
from tests.unit.store import samples

MODELS = ("llama", "phi", "gemma")
WRITERS = 3
EXAMPLE_STEPS = 100
SPARE = 2
"""Examples for each that the steps need: some end early, and no more are tried once the steps were taken."""
LONG_S = 10**6
NOBODY = "nobody"


class StoreMachine(RuleBasedStateMachine):
    """The store on a folder in memory."""

    links = "hard"
    folder = "/dev/shm"
    spares_the_living = True

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(dir=self.folder, prefix="model-")) / "store"
        with Store.open(str(self.root), samples.filesystem(self.links)) as store:
            self.id, self.like = store.id, store.capabilities
        self.oracle = Oracle(self.root)
        self.models = self.root / "models" / "ml"
        self.ledgers = {model: Ledger.of((None, None)) for model in MODELS}
        self.writers: list[Writer | None] = [None] * WRITERS
        self.ended: set[str] = set()
        self.zombies: list[int] = []
        self.damaged: set[str] = set()
        self.number = 0
        self.compared = -1
        """Steps that had been taken when everything was compared; -1 after changes that are no steps."""
        COUNT.rules -= 1  # everything is looked at once before the first rule

    def teardown(self) -> None:
        """Kill whoever is at work; afterwards nothing is wrong, also when it is read again, and it can be tidied up."""
        try:
            for place, writer in enumerate(self.writers):
                if writer is not None:
                    self._kill(place, writer)
            self.oracle.read_again()
            self._compare()
            self._with_store(lambda store: store.sweep(store.plan_sweep(0.0)))
            self._remove(MODELS[0], NOBODY, 0.0, None)
            self._compare()
            assert [] == samples.leftovers(self.root)
        finally:
            COUNT.failures += isinstance(sys.exc_info()[1], Exception)
            for fd in self.zombies:
                os.close(fd)
            shutil.rmtree(self.root.parent)
        if COUNT.rules >= COUNT.wanted and not COUNT.failures:
            raise Enough

    # Writers

    @rule(
        place=st.integers(0, WRITERS - 1), model=st.sampled_from(MODELS), owner=st.sampled_from(OWNERS),
        content=st.integers(0, 2 ** len(PIECES) - 1), knows=st.booleans(),
    )  # fmt: skip
    def begin(self, place: int, model: str, owner: str, content: int, knows: bool) -> None:
        """An attempt starts, or gets on; it may know which earlier ones have ended."""
        if self.writers[place] is not None:
            self._go_on(place)
            return
        task = Task(self._next_number(), model, owner, str(content))
        hook = Mortal()
        store = self._open(hook)
        attempt = f"try-{task.number}"
        ended = frozenset(self.ended) if knows else frozenset()
        record, commit = samples.owner(model, owner), samples.git_blob(str(content).encode())
        work = downloading(store, content_of(str(content)), record, attempt, commit, ended)
        self.writers[place] = Writer(attempt, task, hook, store, work)
        self._go_on(place)

    @rule(place=st.integers(0, WRITERS - 1))
    def go_on(self, place: int) -> None:
        """An attempt gets on by one bit."""
        self._go_on(self._pick(place))

    @rule(place=st.integers(0, WRITERS - 1))
    def go_on_to_the_end(self, place: int) -> None:
        """An attempt gets on until it has published."""
        place = self._pick(place)
        writer = self.writers[place]
        while writer is not None and self.writers[place] is writer:
            self._go_on(place)

    @rule(place=st.integers(0, WRITERS - 1), at=st.integers(0, 120), is_zombie=st.booleans())
    def kill(self, place: int, at: int, is_zombie: bool) -> None:
        """An attempt gets on until it is killed at a step; a zombie keeps its file open, and may be alive."""
        place = self._pick(place)
        writer = self.writers[place]
        if writer is None:
            return
        COUNT.kills += 1

        def die() -> None:
            if is_zombie:
                self.zombies += open_files(writer.attempt)
            writer.hook.die()

        writer.hook.arm(at, die)
        while self.writers[place] is writer and not writer.hook.is_dead:
            self._go_on(place, is_zombie=is_zombie)

    @rule(place=st.integers(0, WRITERS - 1))
    def give_up(self, place: int) -> None:
        """An attempt fails and leaves what it has to the next."""
        place = self._pick(place)
        writer = self.writers[place]
        if writer is None:
            return
        with suppress(FetchError):
            writer.work.throw(FetchError(Reason.SOURCE_UNAVAILABLE, "the source went away"))
        self._bury(place, writer, is_zombie=False)

    @precondition(lambda self: self.zombies)
    @rule(number=st.integers(0, 99), offset=st.integers(0, 40_000))
    def zombie_writes(self, number: int, offset: int) -> None:
        """An attempt that is taken for dead writes into the file that it has open."""
        self.compared = -1
        os.pwrite(self.zombies[number % len(self.zombies)], b"late bytes", offset)

    def _pick(self, place: int) -> int:
        """Return a place where somebody is at work, if there is any."""
        busy = [number for number, writer in enumerate(self.writers) if writer is not None]
        return busy[place % len(busy)] if busy else place

    def _go_on(self, place: int, is_zombie: bool = False) -> None:
        writer = self.writers[place]
        if writer is None:
            return
        try:
            said = next(writer.work)
        except Killed:
            self._bury(place, writer, is_zombie)
        except StopIteration:
            self._end(writer.task)
            writer.is_publishing = False
            self._bury(place, writer, is_zombie=False)
        except FetchError:
            if not writer.is_robbed:
                raise
            self._bury(place, writer, is_zombie=False)
        else:
            if said == "publish":
                writer.is_publishing = True
                self._begin(writer.task)

    def _bury(self, place: int, writer: Writer, is_zombie: bool) -> None:
        self.writers[place] = None
        writer.store.close()
        if not is_zombie:
            self.ended.add(writer.attempt)
        if writer.is_publishing:
            self._abandon(writer.task)

    def _kill(self, place: int, writer: Writer) -> None:
        writer.hook.is_dead = True
        with suppress(Killed):
            writer.work.close()
        self._bury(place, writer, is_zombie=False)

    # What others do

    @rule(
        model=st.sampled_from(MODELS),
        owner=st.sampled_from(OWNERS),
        is_young=st.booleans(),
        at=st.none() | st.integers(0, 40),
    )
    def remove(self, model: str, owner: str, is_young: bool, at: int | None) -> None:
        """A model is removed, and what nothing refers to with it; the removal may be killed."""
        self._remove(model, owner, 0.0 if is_young else LONG_S, at)

    @rule()
    def sweep(self) -> None:
        """What dead attempts left goes; the living stay."""
        self._sweep()

    @rule(grace=st.sampled_from([0.0, LONG_S]), at=st.none() | st.integers(0, 30))
    def collect(self, grace: float, at: int | None) -> None:
        """What nothing refers to goes; the collection may be killed. Nothing goes where it is in doubt."""
        self._collect(grace, at)

    @rule(is_full=st.booleans(), repair=st.booleans())
    def look(self, is_full: bool, repair: bool) -> None:
        """A look finds damage where there is some, and nowhere else."""
        self._look(is_full, repair)

    @rule(number=st.integers(0, 99), is_lost=st.booleans())
    def damage(self, number: int, is_lost: bool) -> None:
        """A byte of a blob changes, or a blob is deleted by hand."""
        blobs = sorted(samples.blob_files(self.root).items())
        pieces = {samples.sha256(piece) for piece in PIECES if piece} - self.damaged
        whole = [(name, path) for name, path in blobs if name in pieces]
        if not whole or len(self.damaged) > 1:
            return
        name, path = whole[number % len(whole)]
        self.compared = -1
        self.damaged.add(name)
        for writer in self.writers:
            if writer is not None:
                writer.is_robbed = True
        if is_lost:
            path.unlink()
            return
        path.chmod(0o644)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        path.chmod(0o444)

    @rule(
        place=st.integers(0, WRITERS - 1), at=st.integers(0, 60), model=st.sampled_from(MODELS),
        owner=st.sampled_from(OWNERS), what=st.sampled_from(["remove", "sweep", "collect", "look"]),
    )  # fmt: skip
    def in_the_middle(self, place: int, at: int, what: str, model: str, owner: str) -> None:
        """Something else is done as a whole at a step of an attempt."""
        place = self._pick(place)
        writer = self.writers[place]
        if writer is None:
            return
        acts: dict[str, Callable[[], None]] = {
            "remove": lambda: self._remove(model, owner, 0.0, None),
            "sweep": self._sweep,
            "collect": lambda: self._collect(0.0, None),
            "look": lambda: self._look(False, False),
        }
        writer.hook.arm(at, acts[what])
        while self.writers[place] is writer and writer.hook.at is not None:
            self._go_on(place)

    def _sweep(self) -> None:
        self._with_store(lambda store: store.sweep(store.plan_sweep(0.0, self._living())))

    def _remove(self, model: str, owner: str, abandoned_s: float, at: int | None) -> None:
        target = RemovalTarget(namespace="ml", name=model, owner=owner)

        def act(store: Store) -> None:
            removal.execute_removal(store, removal.plan_removal(store, [target], abandoned_s=abandoned_s))

        self._settle(model, owner, act, at)

    def _collect(self, grace_s: float, at: int | None) -> None:
        def act(store: Store) -> None:
            execute_collection(store, plan_collection(store.volume, grace_s))

        self._settle("", NOBODY, act, at)

    def _settle(self, model: str, owner: str, act: Callable[[Store], None], at: int | None) -> None:
        """Do what may take a model away, or finish what an earlier one has begun to take away."""
        number = self._next_number()
        tasks = [Task(number, name, owner if name == model else NOBODY, None) for name in MODELS]
        for task in tasks:
            self._begin(task)
        is_over = self._with_store(act, at)
        for task in tasks:
            self._end(task) if is_over else self._abandon(task)

    def _look(self, is_full: bool, repair: bool) -> None:
        outcomes: list[Outcome] = []
        request = Request(is_full=is_full, repair=repair)
        changed = {name for name in self.damaged if self.oracle.is_changed(name)}
        self._with_store(lambda store: outcomes.append(verify(store.volume, request, Watch())))
        told = {finding.path.rpartition("/")[2]: finding.kind for finding in outcomes[0].findings}
        bad = {name for name, kind in told.items() if kind in DAMAGE}
        assert changed == bad, f"damage was found in {sorted(bad)}, it is in {sorted(changed)}"
        assert Kind.UNREADABLE not in told.values()
        if repair:
            assert not any(self.oracle.is_changed(name) for name in changed), "damage was not set aside"

    def _with_store(self, act: Callable[[Store], None], at: int | None = None) -> bool:
        """Run something to its end, or until it is killed at a step; True if it has come to its end."""
        hook = Mortal()
        with self._open(hook) as store:
            hook.arm(at, hook.die)
            try:
                act(store)
            except Killed:
                COUNT.kills += 1
                return False
        return True

    def _open(self, hook: Mortal) -> Store:
        return Store(Filesystem(hook).open(str(self.root)), self.id, self.like)

    def _living(self) -> frozenset[str]:
        living = frozenset(writer.attempt for writer in self.writers if writer is not None)
        return living if self.spares_the_living else frozenset()

    # The ledger

    def _next_number(self) -> int:
        self.number += 1
        return self.number

    def _begin(self, task: Task) -> None:
        self.ledgers[task.model].begin(task)

    def _end(self, task: Task) -> None:
        self.ledgers[task.model].end(task)
        COUNT.publishes += task.content is not None

    def _abandon(self, task: Task) -> None:
        self.ledgers[task.model].abandon(task)

    @invariant()
    def everything_is_right(self) -> None:
        """No digest name is wrong, no tree is broken, and every model is what was promised."""
        COUNT.rules += 1
        if self.compared != COUNT.steps:
            self._compare()
            self.compared = COUNT.steps

    def _compare(self) -> None:
        if self.damaged:
            self.damaged = {name for name in self.damaged if not self.oracle.is_mended(name)}
        wrong = self.oracle.wrong(self.damaged)
        assert not wrong, wrong
        for model, ledger in self.ledgers.items():
            now = seen(self.models / model)
            assert ledger.observe(now), f"{model} is {now}, expected one of {sorted(ledger.right(), key=str)}"


def plant(fault: str) -> None:
    """Make a mistake that the model must notice."""
    if fault != "sweep-the-living":
        raise ValueError(fault)
    StoreMachine.spares_the_living = False


def main(steps: int, chosen: int, links: str, folder: str, fault: str = "") -> None:
    """Take at least so many steps and tell how many it were; raises what Hypothesis found."""
    StoreMachine.links, StoreMachine.folder = links, folder
    if fault:
        plant(fault)
    limits = settings(
        max_examples=int(steps / EXAMPLE_STEPS * SPARE) + 1,
        stateful_step_count=EXAMPLE_STEPS,
        deadline=None,
        database=None,
        phases=[Phase.generate] if fault else [Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    COUNT.wanted = steps
    with suppress(Enough):
        run_state_machine_as_test(seed(chosen)(StoreMachine), settings=limits)
    sys.stdout.write(json.dumps(asdict(COUNT)) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
