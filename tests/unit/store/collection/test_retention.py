"""What a collection takes, for any mix of models, pins, leftovers and ages: all of the rest, nothing that is needed."""

import os
import tempfile
import time
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from modelfetch.store.collection import CollectionPlan, execute_collection, plan_collection
from modelfetch.store.store import Store
from tests.unit.store import samples

PIECES = [b"piece %d " % number * (number + 1) for number in range(6)]
DIGESTS = [samples.sha256(piece) for piece in PIECES]
IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
OLD_S = 1000.0
CHOICE = st.sets(st.integers(0, len(PIECES) - 1))


def fill(store: Store, root: Path, models: list[set[int]], leftovers: set[int], old: set[int]) -> None:
    """Publish models of these pieces, leave others with no use, and make some of them old."""
    with store.ingest("left") as ingest:
        for number in sorted(leftovers):
            samples.write(store, ingest, PIECES[number], str(number))
    for number, model in enumerate(models):
        content = {f"{piece}.bin": PIECES[piece] for piece in model}
        samples.publish(store, content, samples.owner(f"model-{number}"), f"{number}" * 40)
    for name, path in samples.blob_files(root).items():
        if DIGESTS.index(name) in old:
            os.utime(path, (time.time() - OLD_S,) * 2)


def names(pieces: set[int]) -> set[str]:
    return {DIGESTS[piece] for piece in pieces}


def size(pieces: set[str]) -> int:
    return sum(len(PIECES[DIGESTS.index(name)]) for name in pieces)


def counts(plan: CollectionPlan) -> tuple[set[str], int, int, int]:
    return set(plan.unused.blobs), plan.freed_bytes, plan.kept_blobs, plan.kept_bytes


@settings(max_examples=60)
@given(
    models=st.lists(CHOICE.filter(bool), max_size=3), leftovers=CHOICE, pinned=CHOICE, old=CHOICE,
    grace_s=st.sampled_from([0.0, OLD_S / 10, OLD_S * 10]),
)  # fmt: skip
def test_exactly_what_nothing_needs_goes(
    models: list[set[int]], leftovers: set[int], pinned: set[int], old: set[int], grace_s: float
) -> None:
    """What goes and what stays add up to what is there; the same plan is made of what stays: nothing."""
    with (
        tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder,
        Store.open(f"{folder}/store", samples.filesystem("hard")) as store,
    ):
        root = Path(folder, "store")
        fill(store, root, models, leftovers, old)
        with store.ingest("at-work") as ingest:
            kept = {piece for piece in pinned if store.blobs.pin(ingest, DIGESTS[piece], len(PIECES[piece]))}
            there = set(samples.blob_files(root))
            needed = names(kept.union(*models))
            ripe = there if grace_s == 0.0 else set() if grace_s > OLD_S else names(old)
            going = (there & ripe) - needed

            plan = plan_collection(store.volume, grace_s)
            assert (going, size(going), len(there - going), size(there - going)) == counts(plan)

            execute_collection(store, plan)
            assert there - going == set(samples.blob_files(root))
            assert not plan_collection(store.volume, grace_s).unused.blobs
            assert [] == samples.violations(root)
