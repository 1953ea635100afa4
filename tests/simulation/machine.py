"""The same rules as a Hypothesis state machine, which shrinks what it finds to the shortest way there."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.simulation.calm import end_well
from tests.simulation.rules import RULES
from tests.simulation.world import World


class ClusterMachine(RuleBasedStateMachine):
    """One world, and at the end of each run the calm after it."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.world.__enter__()

    def teardown(self) -> None:
        """All comes right; nothing of the world runs afterwards."""
        try:
            end_well(self.world)
        finally:
            self.world.__exit__(None, None, None)


def _step(name: str) -> Any:
    def take(self: ClusterMachine, number: int) -> None:
        self.world.step(name, number)

    take.__name__ = name
    return rule(number=st.integers(0, 2**32 - 1))(take)


for _name in RULES:
    setattr(ClusterMachine, _name, _step(_name))
ClusterMachine.TestCase.settings = settings(
    settings.get_profile("modelfetch"), max_examples=10, stateful_step_count=30, database=None
)
