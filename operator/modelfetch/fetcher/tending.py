"""The Jobs that work on the store itself: remove what belongs to nobody any more, or only tell of it.

Comes in: a removal or survey order and the open store. Goes out: whose trees are gone, or whose would have to go.
"""

from modelfetch.api.order import RemoveOrder, SurveyOrder
from modelfetch.report import Owner
from modelfetch.store.removal import execute_removal, plan_removal, survey
from modelfetch.store.store import Store


def tend(order: RemoveOrder | SurveyOrder, store: Store) -> tuple[Owner, ...]:
    """Carry the order out on `store`, which is closed then, and return the owners that the order is about."""
    with store:
        return _remove(order, store) if isinstance(order, RemoveOrder) else _survey(order, store)


def _remove(order: RemoveOrder, store: Store) -> tuple[Owner, ...]:
    """Return all targets: the trees of each are gone now, or were not theirs, or are to be retained."""
    execute_removal(store, plan_removal(store, order.targets))
    return tuple(Owner(namespace=target.namespace, name=target.name, owner=target.owner) for target in order.targets)


def _survey(order: SurveyOrder, store: Store) -> tuple[Owner, ...]:
    """Return the owners whose trees a removal would take: those to be retained are nobody's task."""
    return tuple(
        Owner(namespace=found.namespace, name=found.name, owner=found.owner)
        for found in survey(store, order.namespace, order.live)
        if found.deletion_policy == "Delete"
    )
