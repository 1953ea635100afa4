"""Which changes of a status are news, and which may wait."""

from modelfetch.core.status import differs_in_substance


def test_the_counts_of_a_store_may_wait():
    """Two operators that count differently, as while one takes over, would else write against each other for ever."""
    before = {"conditions": [], "fetches": {"running": 1}, "inventory": "1:a"}

    assert not differs_in_substance(before, before | {"fetches": {"running": 2}})
    assert differs_in_substance(before, before | {"inventory": "unsettled"})
