"""The composition root: what is done before the watches begin."""

import asyncio
from types import SimpleNamespace

import pytest

from modelfetch.controller.main import FIRST_LOOKS_S, _look_at_all
from modelfetch.controller.queue import KeyedQueue
from tests.unit.controller.stepped import SteppedLoop


@pytest.mark.parametrize(
    ("look_s", "stopped_after_s", "expected_s"),
    [(1.0, None, 2.0), (1.0, 1.5, 1.5), (100.0, None, FIRST_LOOKS_S)],
    ids=["the last has its turn", "asked to stop", "a look that takes long"],
)
def test_what_was_listed_is_looked_at_before_the_watches_begin(look_s, stopped_after_s, expected_s):
    """For so long as that takes; not for ever, and not when asked to stop. Nothing is left of the wait."""
    loop = SteppedLoop()

    async def work(queue):
        while True:
            key = await queue.get()
            await asyncio.sleep(look_s)
            queue.done(key)
            queue.add(key)  # it downloads, and comes again and again

    async def case():
        queue, stop = KeyedQueue(), asyncio.Event()
        for key in ("a", "b", "c"):
            queue.add(key)
        working = asyncio.create_task(work(queue))
        if stopped_after_s is not None:
            asyncio.get_running_loop().call_later(stopped_after_s, stop.set)
        await _look_at_all(SimpleNamespace(queue=queue), stop)
        took_s = asyncio.get_running_loop().time()
        await asyncio.sleep(0)
        working.cancel()
        return took_s, {task.get_name() for task in asyncio.all_tasks()} & {"looks", "stop"}

    try:
        assert (expected_s, set()) == loop.run_until_complete(case())
    finally:
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
