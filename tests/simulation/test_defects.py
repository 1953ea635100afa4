"""A look that raises what nobody expects, at any of its lines: it comes back, and nobody else waits for it."""

import pytest

from tests.simulation.defects import places, play_with
from tests.simulation.driver import steps_of
from tests.simulation.oracle import Broken

PARTS = 4
STEPS = steps_of(1, 150)
"""Of the first seeds the one whose looks see most."""


@pytest.mark.parametrize("part", range(PARTS))
def test_f8_a_defect_at_any_line(part: int) -> None:
    """Nothing is wrong after any step, and in the end all is as wanted and nothing is left; one line at a time."""
    met, broken = 0, []
    for place in places(STEPS)[part::PARTS]:
        try:
            met += play_with(STEPS, place)
        except Broken as problem:
            broken.append(f"{place}: {problem}")

    assert [] == broken
    assert met > 200
