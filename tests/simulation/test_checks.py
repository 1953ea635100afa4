"""Published files that go unseen, as where etcd forgets a removal: whoever leads next takes Ready back."""

import pytest

from tests.simulation.calm import end_well
from tests.simulation.driver import steps_of
from tests.simulation.world import STORES, World

SEEDS = range(40)
EVERY = 40
"""Steps between two losses."""


@pytest.mark.parametrize("seed", SEEDS)
def test_what_went_is_fetched_again(seed: int) -> None:
    """Whatever happens beside it: what is Ready is there once somebody has looked, and in the end all is."""
    with World() as world:
        for number, (rule, choice) in enumerate(steps_of(seed)):
            world.step(rule, choice)
            if number % EVERY == EVERY - 1:
                _lose_a_model(world)
        end_well(world)

        assert not world.lease_asks


def _lose_a_model(world: World) -> None:
    """Take one off its volume; the next operator has to look for all."""
    volume = world.cluster.volume(world.random.choice(tuple(STORES.values())))
    name = world.any_of(sorted(volume.models)) if volume is not None else None
    if volume is None or name is None:
        return
    del volume.models[name]
    world.oracle.has_lost_files = True
    world.lease_asks = world.clock.stamp()
    for operator in tuple(world.operators):
        world.kill(operator)
