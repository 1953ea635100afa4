"""Reads beside the watches are few."""

from modelfetch.controller.pace import Budget


def test_the_budget_is_over_all_and_comes_back_with_time():
    """At most `rate` at once, then `rate` a second."""
    now = [0.0]
    budget = Budget(2, lambda: now[0])
    first = [budget.take() for _ in range(3)]
    now[0] += 0.5

    assert [True, True, False, True, False] == [*first, budget.take(), budget.take()]
