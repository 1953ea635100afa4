"""Which fetch may start: one whose deletion the next operator would see."""

import pytest

from modelfetch.controller.inventory import Inventories


def test_nobody_is_counted_before_an_inventory_is_written():
    """Also not by the operator before this one: what it wrote down may be of another set."""
    stores = Inventories()

    assert not stores.counts("s", "f", "uid")


def test_who_waited_is_told_once_when_the_inventory_is_written():
    """The written inventory counts the fetch, which is looked at again; the other store's fetch still waits."""
    stores = Inventories()
    stores.counts("s", "f", "uid")
    stores.counts("t", "g", "other")

    assert ("f",) == stores.written("s", frozenset({"uid"}))
    assert stores.counts("s", "f", "uid")
    assert () == stores.written("s", frozenset({"uid"}))


def test_who_came_first_is_told_first():
    """Of those who waited; so a slot goes to whoever has waited longest."""
    stores = Inventories()
    names = [f"fetch-{number}" for number in (5, 3, 8, 1, 9, 2)]
    for name in names:
        stores.counts("s", name, name)

    assert tuple(names) == stores.written("s", frozenset(names))


@pytest.mark.parametrize("before", [None, frozenset({"uid", "late"})], ids=["everybody's", "two"])
def test_a_fetch_that_comes_during_a_write_is_not_counted_by_it(before):
    """From the look to the written inventory only those may start whom both inventories count."""
    stores = Inventories()
    stores.written("s", before)
    stores.narrow("s", frozenset({"uid"}))

    assert (True, False) == (stores.counts("s", "f", "uid"), stores.counts("s", "g", "late"))


def test_an_unsettled_inventory_counts_everybody():
    """The next start looks at the whole volume whatever happens."""
    stores = Inventories()
    stores.written("s", None)

    assert stores.counts("s", "f", "anybody")


def test_a_store_that_comes_back_begins_anew():
    """Nothing is known of what its new object says."""
    stores = Inventories()
    stores.written("s", None)
    stores.forget("s")

    assert not stores.counts("s", "f", "uid")
