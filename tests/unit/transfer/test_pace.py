"""The minimum rate, on times that the tests make up."""

from modelfetch.transfer.pace import MINIMUM_BYTES_PER_S, Pace

WINDOW_S = 60.0


def test_silence_is_a_stall() -> None:
    """Nothing for a whole window is a stall, and a moment less is not."""
    pace = Pace(WINDOW_S, now=100.0)

    assert (False, True) == (pace.is_stalled(159.9), pace.is_stalled(160.0))


def test_a_trickle_is_a_stall() -> None:
    """A byte a second is below the minimum, although something always comes."""
    pace = Pace(WINDOW_S, now=0.0)
    for second in range(60):
        pace.received(1, float(second))

    assert pace.is_stalled(60.0)


def test_the_minimum_is_enough() -> None:
    """The minimum rate itself goes on for ever."""
    pace = Pace(WINDOW_S, now=0.0)
    stalled = []
    for second in range(1, 600):
        pace.received(MINIMUM_BYTES_PER_S, float(second))
        stalled.append(pace.is_stalled(float(second)))

    assert not any(stalled)


def test_a_stall_after_speed_is_noticed() -> None:
    """A fast start earns no credit: the window begins with the last quota of bytes."""
    pace = Pace(WINDOW_S, now=0.0)
    pace.received(10**9, 1.0)

    assert (False, True) == (pace.is_stalled(60.9), pace.is_stalled(61.0))


def test_our_own_disk_is_no_stall() -> None:
    """Time in which we did not read is not the source's."""
    pace = Pace(WINDOW_S, now=0.0)
    pace.held_up(300.0)

    assert (False, True) == (pace.is_stalled(310.0), pace.is_stalled(360.0))
