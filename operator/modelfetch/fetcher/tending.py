"""The Jobs that work on the store itself: remove what belongs to nobody any more, or only tell what there is.

Comes in: an order and the claim's folder. Goes out: whose files are gone or would have to go, or what is not there.
"""

from modelfetch.api.order import CheckOrder, RemovalTarget, RemoveOrder, SurveyOrder
from modelfetch.fetcher.outcome import Told
from modelfetch.report import Owner
from modelfetch.store.attempts import Holder, holders, plan_release
from modelfetch.store.fs import Filesystem
from modelfetch.store.manifest import owner_short
from modelfetch.store.presence import absent
from modelfetch.store.removal import execute_removal, plan_removal, survey
from modelfetch.store.store import Store, find


def tend(order: RemoveOrder | SurveyOrder | CheckOrder, volume: str) -> Told:
    """Carry the order out on the store in the claim's folder `volume`, and return what the order is about."""
    if isinstance(order, CheckOrder):
        return Told(missing=_check(order, volume))
    with Store.open(volume, Filesystem(), path=order.root) as store:
        return Told(_remove(order, store) if isinstance(order, RemoveOrder) else _survey(order, store))


def _check(order: CheckOrder, root: str) -> tuple[str, ...]:
    """Return which of the models are not there: all of them, where there is no store."""
    volume = find(root, Filesystem(), path=order.root)
    if volume is None:
        return order.published
    with volume:
        return absent(volume, order.namespace, order.published)


def _remove(order: RemoveOrder, store: Store) -> tuple[Owner, ...]:
    """Return all targets: the files of each are gone now, or were not theirs, or are to be retained."""
    _release(store, order.targets)
    execute_removal(store, plan_removal(store, [target for target in order.targets if not target.retain]))
    return tuple(Owner(namespace=target.namespace, name=target.name, owner=target.owner) for target in order.targets)


def _release(store: Store, targets: tuple[RemovalTarget, ...]) -> None:
    """Remove what the attempts of the targets left unpublished; before the rest, since it may keep blobs."""
    gone = frozenset(Holder(target.namespace, target.name, target.owner) for target in targets)
    # Not by a sweep, which passes over what cannot be removed: a Job that says done would be followed by a survey.
    for folder in plan_release(store.volume, gone).folders:
        store.volume.remove_tree(folder, step="sweep.remove")


def _survey(order: SurveyOrder, store: Store) -> tuple[Owner, ...]:
    """Return the owners of whom a removal would take something: trees to be retained are nobody's task."""
    trees = (found for found in survey(store, order.namespace, order.live) if found.deletion_policy == "Delete")
    left = (one for one in holders(store.volume) if one.namespace == order.namespace)
    owners = {Holder(found.namespace, found.name, found.owner) for found in trees}
    owners |= {one for one in left if owner_short(one.owner) not in order.live}
    return tuple(Owner(namespace=one.namespace, name=one.name, owner=one.owner) for one in sorted(owners, key=str))
