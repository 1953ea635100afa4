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
    simulated, done, was_over = SteppedLoop(), [], []

    async def case():
        kube = Kube(Connection("http://127.0.0.1:1"))
        loop = Loop(kube, Settings(image="x"), StandingClock())

        async def look(key):
            with kube.write() if writes else contextlib.nullcontext():
                await asyncio.sleep(look_s)
            done.append(key)

        loop._fetches.reconcile = look
        worker = asyncio.create_task(loop.work())
        loop.queue.add(Key("ModelFetch", "demo", "one"))
        await asyncio.sleep(0)
        was_over.append(await loop.end())
        took_s = simulated.elapsed
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        return took_s

    try:
        assert ended_after_s == simulated.run_until_complete(case())
    finally:
        simulated.close()
    assert is_done == bool(done)
    assert [is_done or not writes] == was_over


@pytest.mark.parametrize(("write_s", "is_over"), [(3.0, True), (HANGS_S, False)], ids=["is answered", "is not"])
def test_an_event_that_is_posted_is_waited_for_and_no_other_begins(write_s, is_over):
    """No worker posts it, and it is a write as every other: it may not arrive when another one leads."""
    simulated, sent = SteppedLoop(), []

    async def case():
        kube = Kube(Connection("http://127.0.0.1:1"))
        loop = Loop(kube, Settings(image="x"), StandingClock())

        async def post(body):
            sent.append(body["metadata"]["name"])
            with kube.write():
                await asyncio.sleep(write_s)

        loop.recorder._post = post
        posting = asyncio.create_task(loop.recorder.post_for_ever())
        for name in ("first", "second"):
            loop.recorder._waiting.put_nowait({"metadata": {"name": name}})
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        ended = await loop.end()
        posting.cancel()
        await asyncio.gather(posting, return_exceptions=True)
        return ended

    try:
        assert is_over == simulated.run_until_complete(case())
    finally:
        simulated.close()
    assert ["first"] == sent


def test_a_look_that_hangs_after_its_write_keeps_no_lease():
    """Its write was answered after all: nothing may arrive any more, and whoever leads next need not wait."""
    simulated = SteppedLoop()

    async def case():
        kube = Kube(Connection("http://127.0.0.1:1"))
        loop = Loop(kube, Settings(image="x"), StandingClock())

        async def look(_key):
            with kube.write():
                await asyncio.sleep(2.0)
            await asyncio.sleep(HANGS_S)

        loop._fetches.reconcile = look
        worker = asyncio.create_task(loop.work())
        loop.queue.add(Key("ModelFetch", "demo", "one"))
        await asyncio.sleep(0)
        was_over = await loop.end()
        await asyncio.gather(worker, return_exceptions=True)
        return was_over

    try:
        assert simulated.run_until_complete(case())
    finally:
        simulated.close()
