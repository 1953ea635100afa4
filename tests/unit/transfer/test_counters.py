"""Progress counters, on a clock that the tests turn."""

import threading

from modelfetch.transfer.counters import Counters, Snapshot


class Hand:
    """A clock's hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time it is set to."""
        return self.now


def test_counts_bytes_of_current_and_ended_files() -> None:
    """Bytes of files that were moved stay, those of a file that failed go."""
    counters = Counters(Hand())
    for path, size in (("a", 10), ("b", 5), ("c", 1)):
        counters.begin(path)
        counters.add(path, size)
    counters.end("a", done=True)
    counters.end("b", done=False)

    assert Snapshot(11, 1, ("c",), 0) == counters.snapshot()


def test_a_file_that_starts_over_counts_from_zero() -> None:
    """What was received before a restart is not done any more."""
    counters = Counters(Hand())
    counters.begin("a")
    counters.add("a", 10)
    counters.begin("a")
    counters.add("a", 3)

    assert 3 == counters.snapshot().bytes_done


def test_rate_is_that_of_the_last_seconds() -> None:
    """An early burst is forgotten after a while; a steady rate is shown as it is."""
    hand = Hand()
    counters = Counters(hand)
    counters.begin("a")
    counters.add("a", 10**9)
    rates = []
    for second in range(1, 30):
        hand.now = float(second)
        counters.add("a", 100)
        rates.append(counters.snapshot().bytes_per_second)

    assert [100] * 20 == rates[-20:]


def test_rate_falls_to_zero_in_a_stall() -> None:
    """When nothing comes any more, the rate says so."""
    hand = Hand()
    counters = Counters(hand)
    counters.begin("a")
    counters.add("a", 10**9)
    for second in range(1, 20):
        hand.now = float(second)
        counters.snapshot()

    assert 0 == counters.snapshot().bytes_per_second


def test_threads_lose_no_byte() -> None:
    """Bytes added by several threads at once are all counted."""
    counters = Counters(Hand())
    counters.begin("a")

    def add() -> None:
        for _ in range(5000):
            counters.add("a", 1)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 20_000 == counters.snapshot().bytes_done


def test_what_is_kept_is_done_but_was_not_received() -> None:
    """Bytes of an earlier run count as done and show no rate; a file that starts over loses them."""
    hand = Hand()
    counters = Counters(hand)
    counters.begin("a")
    counters.keep("a", 10**9)
    hand.now = 1.0
    resumed = counters.snapshot()
    counters.add("a", 100)
    hand.now = 2.0
    going_on = counters.snapshot()
    counters.begin("a")

    assert (10**9, 0) == (resumed.bytes_done, resumed.bytes_per_second)
    assert (10**9 + 100, 50) == (going_on.bytes_done, going_on.bytes_per_second)
    assert 0 == counters.snapshot().bytes_done
