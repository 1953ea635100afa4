"""What the crash tests interrupt: whole runs of a fetcher or of a removal, on a real folder.

Each scenario has what was there before, the run, and a question whether the run has reached its end.
"""

import os
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from modelfetch.api.order import RemovalTarget
from modelfetch.store import removal
from modelfetch.store.fs import Filesystem
from modelfetch.store.store import Store
from tests.crash.download import download
from tests.unit.store import samples
from tests.unit.store.samples import LLAMA, LLAMA_2, PHI

Act = Callable[[str, Filesystem], None]

LARGE: samples.Content = {"config.json": b"{}", "weights.bin": random.Random(1).randbytes(150_000)}
"""Ten segments where those are small, one where they are not."""
KILLED_AFTER = 6
"""Records in the journal: the head, the start of the file, and some segments."""

NEW_OWNER = samples.owner(uid="uid-2")


@dataclass(frozen=True)
class Scenario:
    """`before` makes the state, `run` is what is interrupted and repeated, `is_done` looks at its end."""

    before: Act
    run: Act
    is_done: Callable[[Path], bool]


def _nothing(_root: str, _fs: Filesystem) -> None:
    return


def _two_models(root: str, fs: Filesystem) -> None:
    with Store.open(root, fs) as store:
        samples.publish(store, LLAMA)
        samples.publish(store, PHI, samples.owner("phi"))


def _publish_first(root: str, fs: Filesystem) -> None:
    with Store.open(root, fs) as store:
        samples.publish(store, LLAMA)


def _publish_next(root: str, fs: Filesystem) -> None:
    with Store.open(root, fs) as store:
        samples.publish(store, LLAMA_2, commit="d" * 40)


def _publish_as_new_owner(root: str, fs: Filesystem) -> None:
    with Store.open(root, fs) as store:
        samples.publish(store, LLAMA_2, NEW_OWNER, commit="d" * 40)


def _publish_phi(root: str, fs: Filesystem) -> None:
    with Store.open(root, fs) as store:
        samples.publish(store, PHI, samples.owner("phi"))


def _remove_llama(root: str, fs: Filesystem) -> None:
    """Remove the first owner's model, and, to be as hostile as can be, whatever nothing refers to, however young."""
    with Store.open(root, fs) as store:
        targets = [RemovalTarget(namespace="ml", name="llama", owner="uid-1")]
        removal.execute_removal(store, removal.plan_removal(store, targets, abandoned_s=0.0))


def _half_of_large(root: str, fs: Filesystem) -> None:
    """Receive half of a large file and be killed."""
    received = iter(range(10**9))

    def stop(step: str) -> None:
        if step == "after journal.append" and next(received) == KILLED_AFTER:
            os.kill(os.getpid(), signal.SIGKILL)

    with Store.open(root, fs) as store:
        samples.publish(store, PHI, samples.owner("phi"))
        like = store
    pid = os.fork()
    if pid == 0:
        try:
            _download(Store(Filesystem(stop).open(root), like.id, like.capabilities), "attempt-1")
        finally:
            os._exit(1)
    os.waitpid(pid, 0)


def _download_rest(root: str, fs: Filesystem) -> None:
    with Store.open(root, fs) as store:
        _download(store, "attempt-2")


def _download(store: Store, attempt: str) -> None:
    download(store, LARGE, samples.owner(), attempt, "e" * 40)


def _holds(name: str, content: samples.Content) -> Callable[[Path], bool]:
    def is_done(root: Path) -> bool:
        current = root / "models" / "ml" / name / "current"
        return current.is_dir() and samples.tree_content(current.resolve()) == content

    return is_done


def _llama_is_gone(root: Path) -> bool:
    kept = {samples.sha256(data) for data in PHI.values()}
    is_gone = not (root / "models" / "ml" / "llama").exists()
    return is_gone and set(samples.blob_files(root)) == kept and _holds("phi", PHI)(root)


SCENARIOS = {
    "resume": Scenario(_half_of_large, _download_rest, _holds("llama", LARGE)),
    "first": Scenario(_nothing, _publish_first, _holds("llama", LLAMA)),
    "next": Scenario(_two_models, _publish_next, _holds("llama", LLAMA_2)),
    "removal": Scenario(_two_models, _remove_llama, _llama_is_gone),
    "takeover": Scenario(_two_models, _publish_as_new_owner, _holds("llama", LLAMA_2)),
    "neighbour": Scenario(_publish_first, _publish_phi, _holds("phi", PHI)),
}


def tidy(root: str, fs: Filesystem) -> None:
    """Remove what dead attempts left, as the next fetcher does once they are older than any attempt may be."""
    with Store.open(root, fs) as store:
        store.sweep(store.plan_sweep(0.0))
