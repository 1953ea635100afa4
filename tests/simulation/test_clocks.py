"""Clocks that are wrong: the operator's beside the API server's, or all of them."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.simulation.driver import play, steps_of

SEEDS = range(8)


@pytest.mark.parametrize("days", [-18_250, -1, -1 / 24, 1 / 24, 1, 18_250])
def test_f85_an_operator_whose_clock_is_not_the_servers(days: float) -> None:
    """Nothing is wrong after any step, and all comes right in the end: no time of the one is held against the other."""
    assert sum(play(steps_of(seed), ahead=timedelta(days=days))["ready"] for seed in SEEDS) > len(SEEDS)


@pytest.mark.parametrize("day", ["1970-01-01", "2038-01-19", "2106-02-07"])
def test_f85_years_away(day: str) -> None:
    """When a clock was never set, and on the days on which those of 32 bits end."""
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    assert sum(play(steps_of(seed), start=start)["ready"] for seed in SEEDS) > len(SEEDS)
