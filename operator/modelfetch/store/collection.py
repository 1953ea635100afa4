"""Taking away what nothing refers to any more: a plan first, then the plan carried out by removal.py.

Comes in: a store and a grace period. Goes out: `CollectionPlan`, then room. Kept is whatever a published model, a
revision that still has its tree, a pin or an attempt at work refers to. Old enough to go: by the volume's own clock.

    private folders of dead attempts ▶ manifests without a tree ▶ blobs without a manifest ▶ hints of gone blobs ▶ trash
"""

from dataclasses import dataclass

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store import layout, records
from modelfetch.store.attempts import LIVING_S
from modelfetch.store.contents import gather
from modelfetch.store.fs import Volume
from modelfetch.store.ingest import Sweep, execute_sweep, plan_sweep
from modelfetch.store.layout import Steps
from modelfetch.store.removal import RemovalPlan, execute_removal, hints_without, plan_unused, unlisted_trees
from modelfetch.store.store import Store
from modelfetch.store.usage import bytes_below

GRACE_S = 7 * 86_400.0
"""Seconds for which what nothing refers to is kept, for the next attempt; longer than the longest attempt."""


@dataclass(frozen=True)
class CollectionPlan:
    """What goes and what stays; `freed_bytes` is what the volume gets back, at most."""

    sweep: Sweep
    unused: RemovalPlan
    hints: tuple[Steps, ...]
    trash: tuple[Steps, ...]
    kept_models: int
    kept_revisions: int
    kept_blobs: int
    kept_bytes: int
    freed_bytes: int

    @property
    def is_empty(self) -> bool:
        """True if there is nothing to take away."""
        return not (self.sweep.folders or self.unused.manifests or self.unused.blobs or self.hints or self.trash)

    def removed(self) -> list[tuple[str, str]]:
        """Return kind and path of each thing that goes, in the order in which it goes."""
        unused = self.unused
        return [
            *(("attempt", "/".join(path)) for path in self.sweep.folders),
            *(("manifest", "/".join(layout.manifest(digest))) for digest in unused.manifests),
            *(("blob", "/".join(layout.blob(sha256))) for sha256 in unused.blobs),
            *(("hint", "/".join(path)) for path in self.hints),
            *(("trash", "/".join(path)) for path in self.trash),
        ]


def plan_collection(volume: Volume, grace_s: float = GRACE_S) -> CollectionPlan:
    """Return what may go now; nothing is changed but the times of two folders, by which the volume's clock is read.

    Raises FetchError: StoreCorrupt while a manifest cannot be read or is gone whose tree is there, VersionSkew where a
    newer modelfetch wrote one: nothing may then be called unused.
    """
    _refuse_doubt(volume)
    contents = gather(volume)
    # Nobody at work is swept, however short the grace.
    sweep = plan_sweep(volume, max(grace_s, LIVING_S), frozenset())
    unused = plan_unused(volume, grace_s, frozenset(sweep.folders))
    going = frozenset(unused.blobs)
    trash = tuple((*layout.TRASH, name) for name in volume.names(layout.TRASH))
    staying = {sha256: facts for sha256, facts in contents.blobs.items() if sha256 not in going}
    counted = {facts.inode for facts in contents.blobs.values()}
    freed = [bytes_below(volume, folder, counted) for folder in (*sweep.folders, layout.TRASH)]
    return CollectionPlan(
        sweep=sweep,
        unused=unused,
        hints=tuple(hints_without(volume, going)),
        trash=trash,
        kept_models=len(contents.models),
        kept_revisions=sum(len(model.trees) for model in contents.models),
        kept_blobs=len(staying),
        kept_bytes=sum(facts.size for facts in staying.values()),
        freed_bytes=unused.freed_bytes + sum(freed),
    )


def execute_collection(store: Store, plan: CollectionPlan) -> None:
    """Carry the plan out; what has found a reference since it was made stays. May be repeated after a kill."""
    execute_sweep(store.volume, plan.sweep)
    execute_removal(store, plan.unused)


def _refuse_doubt(volume: Volume) -> None:
    """Raise where a tree has no manifest, at two looks: one that is published or removed just now may lack it once."""
    first, second = (set(unlisted_trees(volume, records.manifest_digests(volume))) for _ in range(2))
    for tree in sorted(first & second):
        raise FetchError(
            Reason.STORE_CORRUPT, f"expected a manifest for '{'/'.join(tree)}', got none: nobody knows what it needs"
        )
