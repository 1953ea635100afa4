"""How the work ends when the operator is stopped."""

import asyncio
import contextlib

import pytest

from modelfetch.controller.loop import READS_END_S, WRITES_END_S, Loop
from modelfetch.controller.mirror import Key
from modelfetch.core.observed import Settings
from modelfetch.kube.client import Kube
from modelfetch.kube.connection import Connection
from tests.unit.controller.loop.world import StandingClock
from tests.unit.controller.stepped import SteppedLoop

HANGS_S = 1000.0


def _end(begin):
    """Return what `Loop.end` returned, and after how many seconds, where it came beside what `begin` has begun."""
    simulated = SteppedLoop()

    async def case():
        kube = Kube(Connection("http://127.0.0.1:1"))
        loop = Loop(kube, Settings(image="x"), StandingClock())
        task = asyncio.create_task(begin(kube, loop))
        for _ in range(2):
            await asyncio.sleep(0)
        is_over, took_s = await loop.end(), simulated.elapsed
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return is_over, took_s

    try:
        return simulated.run_until_complete(case())
    finally:
        simulated.close()


def _looking(look):
    """Begin to look at a fetch; `look` takes the client."""

    def begin(kube, loop):
        async def reconcile(_key):
            await look(kube)

        loop._fetches.reconcile = reconcile
        loop.queue.add(Key("ModelFetch", "demo", "one"))
        return loop.work()

    return begin


@pytest.mark.parametrize(
    ("look_s", "writes", "ended_after_s", "is_done"),
    [
        (0.5, False, 0.5, True),
        (HANGS_S, False, READS_END_S, False),
        (3.0, True, 3.0, True),
        (HANGS_S, True, READS_END_S + WRITES_END_S, False),
    ],
    ids=["a look that ends", "a node that does not answer", "a write that is answered", "a write that is not"],
)
def test_nobody_who_only_reads_is_waited_for(look_s, writes, ended_after_s, is_done):
    """The next leader comes the sooner; the answer to a write is waited for, as nobody else may write until then."""
    done = []

    async def look(kube):
        with kube.write() if writes else contextlib.nullcontext():
            await asyncio.sleep(look_s)
        done.append(True)

    assert (is_done or not writes, ended_after_s) == _end(_looking(look))
    assert is_done == bool(done)


@pytest.mark.parametrize(("write_s", "is_over"), [(3.0, True), (HANGS_S, False)], ids=["is answered", "is not"])
def test_an_event_that_is_posted_is_waited_for_and_no_other_begins(write_s, is_over):
    """No worker posts it, and it is a write as every other: it may not arrive when another one leads."""
    sent = []

    def begin(kube, loop):
        async def post(body):
            sent.append(body["metadata"]["name"])
            with kube.write():
                await asyncio.sleep(write_s)

        loop.recorder._post = post
        for name in ("first", "second"):
            loop.recorder._waiting.put_nowait({"metadata": {"name": name}})
        return loop.recorder.post_for_ever()

    assert is_over == _end(begin)[0]
    assert ["first"] == sent


def test_a_look_that_hangs_after_its_write_keeps_no_lease():
    """Its write was answered after all: nothing may arrive any more, and whoever leads next need not wait."""

    async def look(kube):
        with kube.write():
            await asyncio.sleep(2.0)
        await asyncio.sleep(HANGS_S)

    assert (True, READS_END_S + WRITES_END_S) == _end(_looking(look))
