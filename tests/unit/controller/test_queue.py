"""The keyed queue, on the event loop's own clock set forward by hand."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from modelfetch.controller.queue import BACKOFF_LARGEST_S, KeyedQueue
from tests.unit.controller.stepped import SteppedLoop


def run(case: Callable[[KeyedQueue[str]], Awaitable[None]]) -> float:
    """Run one case; return how many simulated seconds it took."""
    loop = SteppedLoop()

    async def main() -> None:
        queue: KeyedQueue[str] = KeyedQueue()
        await case(queue)
        queue.close()

    try:
        loop.run_until_complete(main())
        return loop.elapsed
    finally:
        loop.close()


def test_a_key_waits_once_however_often_it_is_added():
    """Ten events about one object are one look."""

    async def case(queue: KeyedQueue[str]) -> None:
        for _ in range(10):
            queue.add("a")

        assert 1 == len(queue)

    run(case)


def test_a_key_is_in_work_once_and_comes_again():
    """What happens during the work is looked at after it, never beside it."""

    async def case(queue: KeyedQueue[str]) -> None:
        queue.add("a")
        key = await queue.get()
        queue.add("a")

        assert 0 == len(queue)
        queue.done(key)
        assert "a" == await queue.get()

    run(case)


def test_keys_come_in_the_order_they_were_added():
    """First come, first served."""

    async def case(queue: KeyedQueue[str]) -> None:
        for key in "abc":
            queue.add(key)

        assert ["a", "b", "c"] == [await queue.get() for _ in range(3)]

    run(case)


def test_a_key_that_others_wait_for_comes_first():
    """Also when it comes again after its work; among themselves such keys keep their order."""

    async def case(_: KeyedQueue[str]) -> None:
        queue: KeyedQueue[str] = KeyedQueue(comes_first=str.isupper)
        for key in ("a", "B", "c", "D"):
            queue.add(key)
        first = await queue.get()
        queue.add(first)
        queue.done(first)

        assert ("B", 4) == (first, len(queue))
        assert ["D", "B", "a", "c"] == [await queue.get() for _ in range(4)]

    run(case)


def test_a_scheduled_key_comes_when_it_is_due():
    """Waiting for it takes the time it was scheduled for."""

    async def case(queue: KeyedQueue[str]) -> None:
        queue.schedule("a", 30)
        await queue.get()

    assert 30 == run(case)


@pytest.mark.parametrize(("second", "expected"), [(5, 5), (90, 30)])
def test_sooner_wins(second, expected):
    """`schedule_sooner` moves a key forward, never back."""

    async def case(queue: KeyedQueue[str]) -> None:
        queue.schedule("a", 30)
        queue.schedule_sooner("a", second)
        await queue.get()

    assert expected == run(case)


def test_the_last_schedule_counts():
    """`schedule` replaces: a decision's `again_at` stands for all that was decided before."""

    async def case(queue: KeyedQueue[str]) -> None:
        queue.schedule("a", 5)
        queue.schedule("a", 60)
        await queue.get()

    assert 60 == run(case)


def test_failures_back_off_and_success_forgets():
    """1, 2, 4 … seconds up to a minute; a success starts anew."""

    async def case(queue: KeyedQueue[str]) -> None:
        delays = [queue.failed("a") for _ in range(9)]

        assert [1, 2, 4, 8, 16, 32, 60, 60, BACKOFF_LARGEST_S] == delays
        queue.succeeded("a")
        assert 1 == queue.failed("a")
        assert 7 == queue.failed("b", at_least_s=7)

    run(case)


def test_all_that_wait_are_waited_for():
    """Not for those who come meanwhile, again and again."""

    async def case(queue: KeyedQueue[str]) -> None:
        queue.add("a")
        queue.add("b")
        waiting = asyncio.create_task(queue.until_begun())
        for _ in range(2):
            await asyncio.sleep(1.0)
            assert not waiting.done()
            key = await queue.get()
            queue.add("again")
            queue.done(key)
        await waiting

        assert 1 == len(queue)

    assert 2.0 == run(case)


def test_the_end_of_work_is_waited_for():
    """Of all that wait or are in work: what is begun after that is not waited for, though its key is the same."""

    async def case(queue: KeyedQueue[str]) -> None:
        queue.add("a")
        queue.add("b")
        await queue.get()
        waiting = asyncio.create_task(queue.until_done())
        for key in ("a", "b"):
            await asyncio.sleep(1.0)
            assert not waiting.done()
            queue.add(key)
            queue.done(key)
            await queue.get()
        await waiting

    assert 2.0 == run(case)


def test_a_pause_holds_every_key_back():
    """The API server has too much to do: the longest of the waits that it asked for counts, for all."""

    async def case(queue: KeyedQueue[str]) -> None:
        queue.add("a")
        queue.pause(5.0)
        queue.pause(60.0)
        queue.pause(1.0)
        queue.schedule("b", 2.0)

        assert ["a", "b"] == [await queue.get(), await queue.get()]

    assert 60.0 == run(case)


def test_a_queue_that_closes_while_it_pauses_leaves_nothing():
    """No timer stays, and none is set afterwards."""

    async def case(queue: KeyedQueue[str]) -> None:
        queue.pause(60.0)
        queue.close()
        queue.pause(60.0)

    assert 0.0 == run(case)
