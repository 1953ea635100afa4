"""A request to end comes once and can only be hastened."""

import asyncio

from modelfetch.devcluster.node.status import Verdict
from modelfetch.devcluster.node.stop import Stop
from tests.unit.devcluster.node.samples import run

FIRST, SECOND = Verdict("A", ""), Verdict("B", "")


def test_a_later_request_hastens() -> None:
    """A request without grace ends the wait of an earlier one with much."""

    async def scenario() -> bool:
        stop = Stop()
        stop.request(3600)
        waiting = asyncio.create_task(stop.expired())
        await asyncio.sleep(0)
        stop.request(0)
        await asyncio.wait_for(waiting, 10)
        return stop.is_requested()

    actual = run(scenario())

    assert True is actual


def test_a_later_request_does_not_prolong() -> None:
    """More grace than was given before changes nothing."""

    async def scenario() -> None:
        stop = Stop()
        stop.request(0)
        stop.request(3600)
        await asyncio.wait_for(stop.expired(), 10)

    actual = run(scenario())

    assert None is actual


def test_the_first_verdict_counts() -> None:
    """What ended the Pod first is what its status says, also where that was an ordinary deletion."""

    async def scenario() -> list[Verdict | None]:
        judged, deleted = Stop(), Stop()
        judged.request(5, FIRST)
        judged.request(0, SECOND)
        deleted.request(5)
        deleted.request(0, SECOND)
        return [judged.verdict, deleted.verdict]

    actual = run(scenario())

    assert [FIRST, None] == actual


def test_a_pause_is_cut_short() -> None:
    """Who pauses between attempts learns of the request at once."""

    async def scenario() -> bool:
        stop = Stop()
        pause = asyncio.create_task(stop.pause(3600))
        await asyncio.sleep(0)
        stop.request(0)
        return await asyncio.wait_for(pause, 10)

    actual = run(scenario())

    assert True is actual
