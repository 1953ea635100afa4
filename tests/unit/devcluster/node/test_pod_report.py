"""A Pod's status reaches the API server, whatever happens on the way."""

import asyncio
from collections.abc import Iterator

import pytest

from modelfetch.devcluster.node.pod_report import PodReport
from tests.unit.devcluster.node.api_server import Answer, scripted
from tests.unit.devcluster.node.samples import Json, pod, run

FAILED: Answer = (500, {"reason": "InternalError", "message": "etcd is away"})
WRITTEN: Answer = (200, {"metadata": {"name": "p", "namespace": "ns", "uid": "uid-p"}, "status": {"phase": "Running"}})


def report(phases: Iterator[str], *answers: Answer) -> list[Json]:
    """Return the bodies that are sent until one change is settled."""

    async def scenario() -> list[Json]:
        async with scripted(*answers) as (kube, script):
            one = PodReport(kube, pod(), lambda _: {"phase": next(phases)})
            task = asyncio.create_task(one.run())
            one.changed()
            await asyncio.wait_for(one.settled(), 30)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return [body for _, _, body in script.asked]

    return run(scenario())


def test_it_is_written_for_this_uid() -> None:
    """A status names the Pod's uid, so that a new Pod of that name is never written to."""
    (actual,) = report(iter(["Running"]), WRITTEN)

    assert ("uid-p", {"phase": "Running"}) == (actual["metadata"]["uid"], actual["status"])


def test_failures_are_waited_out() -> None:
    """While the API server fails the status is tried again, each time as it is by then."""
    bodies = report(iter(["Pending", "Running", "Succeeded"]), FAILED, FAILED, WRITTEN)

    assert ["Pending", "Running", "Succeeded"] == [body["status"]["phase"] for body in bodies]


@pytest.mark.parametrize("answer", [(404, {"reason": "NotFound"}), (409, {"reason": "Conflict"})])
def test_a_pod_that_is_gone(answer: Answer) -> None:
    """A Pod that is gone, or whose name another one has, is not written again."""
    bodies = report(iter(["Failed", "Failed"]), answer)

    assert 1 == len(bodies)


def test_a_change_during_a_write() -> None:
    """A change that comes while the one before is being written is written, too, before it counts as settled."""

    async def scenario() -> list[Json]:
        async with scripted(WRITTEN) as (kube, script):
            phases = iter(["Running", "Succeeded"])

            def make(_: Json) -> Json:
                phase = next(phases)
                if phase == "Running":
                    one.changed()
                return {"phase": phase}

            one = PodReport(kube, pod(), make)
            task = asyncio.create_task(one.run())
            one.changed()
            await asyncio.wait_for(one.settled(), 30)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return [body["status"] for _, _, body in script.asked]

    actual = run(scenario())

    assert [{"phase": "Running"}, {"phase": "Succeeded"}] == actual
