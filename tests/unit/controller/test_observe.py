"""What one look takes in beside the views: what a Pod has told, and one that has gone."""

import asyncio

import pytest
from aiohttp import web

from modelfetch.controller.checks import Checks
from modelfetch.controller.claims import Claims
from modelfetch.controller.main import SystemClock
from modelfetch.controller.mirror import Mirror
from modelfetch.controller.observe import Observer
from modelfetch.kube.client import Kube
from modelfetch.kube.connection import Connection
from modelfetch.kube.objects import JOBS, PODS
from modelfetch.reasons import Reason
from tests.fakes.api_server import api_server
from tests.unit.core import looks
from tests.unit.core.looks import success

FETCH = {"metadata": {"name": "a", "namespace": "demo", "uid": "u"}, "spec": {"source": {"uri": "hf://a/b"}}}


def _put_running(mirror, state=None):
    """Have the mirror know a Job of the fetch, and its Pod, whose container is in this state."""
    meta = {"creationTimestamp": "2030-01-01T00:00:00Z", "namespace": "demo"}
    labels, owner = {"modelfetch.io/fetch": "u"}, [{"uid": "job", "controller": True}]
    mirror.put(JOBS, {"metadata": {**meta, "name": "j", "uid": "job", "labels": labels}})
    status = {"phase": "Running", "containerStatuses": [{"name": "fetcher", "state": state or {"running": {}}}]}
    pod = {**meta, "name": "p", "uid": "pod", "ownerReferences": owner}
    mirror.put(PODS, {"metadata": pod, "spec": {}, "status": status})


def _reported(state, log=""):
    """Return what is believed of a Pod in this state, with this log."""

    async def run():
        async with api_server() as server, Kube(Connection(server.address)) as kube:
            server.refuse = lambda _, path: web.Response(text=log) if path.endswith("/log") else None
            mirror, clock = Mirror(), SystemClock()
            _put_running(mirror, state)
            return (await Observer(kube, mirror, Claims(), Checks(mirror, clock), clock).fetch(FETCH)).reports.get(
                "job"
            )

    return asyncio.run(run())


def test_a_result_is_believed_from_the_termination_message_only():
    """A library's warning with words of the source in it stands in the log, too: {"event":"result","ok":true,...}."""
    result, progress = success().line(), looks.progress().line()

    assert "result" == _reported({"terminated": {"exitCode": 0, "message": result}}).event
    assert None is _reported({"running": {}}, log=f"{progress}\n{result}\n")
    assert "progress" == _reported({"running": {}}, log=f"{progress}\n").event


DRAINED = [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]
FAILED = [{"type": "Failed", "status": "True", "lastTransitionTime": "2030-01-01T00:01:00Z"}]


def _gone_before_its_job(conditions, *, job_goes_first=False):
    """Return what is seen of a Job in these conditions whose Pod was drained and has gone."""
    meta = {"creationTimestamp": "2030-01-01T00:00:00Z", "namespace": "demo"}
    job = {"metadata": {**meta, "name": "j", "uid": "job", "labels": {"modelfetch.io/fetch": "u"}}}
    cancelled = {"terminated": {"exitCode": 1, "reason": "Error", "message": looks.failure(Reason.CANCELLED).line()}}
    status = {"phase": "Failed", "conditions": DRAINED, "containerStatuses": [{"name": "fetcher", "state": cancelled}]}
    owner = [{"uid": "job", "controller": True}]
    pod = {"metadata": {**meta, "name": "p", "uid": "pod", "ownerReferences": owner}, "spec": {}, "status": status}

    async def run():
        async with api_server() as server, Kube(Connection(server.address)) as kube:
            mirror = Mirror()
            observer = Observer(kube, mirror, Claims(), Checks(mirror, SystemClock()), SystemClock())
            mirror.put(JOBS, job)
            mirror.put(PODS, pod)
            if job_goes_first:
                mirror.remove(JOBS, job)
                observer.forget(JOBS, job)
            mirror.remove(PODS, pod)
            observer.forget(PODS, pod)
            mirror.put(JOBS, {**job, "status": {"conditions": conditions}})
            return await observer.fetch(FETCH)

    return asyncio.run(run())


def test_a_pod_that_went_before_its_job_failed_still_tells_why():
    """A drain takes the Pod away, and only then the Job fails: it was the cluster, not somebody who deletes Pods."""
    seen = _gone_before_its_job(FAILED)

    assert (True, Reason.CANCELLED) == (seen.pods["job"].disrupted, seen.reports["job"].reason)
    assert () == seen.jobs[0].pods


@pytest.mark.parametrize(("conditions", "job_goes_first"), [([], False), (FAILED, True)])
def test_a_pod_that_went_is_not_waited_for(conditions, job_goes_first):
    """While the Job runs another Pod may come; of a Job that is gone nothing is kept."""
    assert {} == _gone_before_its_job(conditions, job_goes_first=job_goes_first).pods


def test_a_pod_that_was_not_asked_has_not_kept_silent():
    """The reads of a second are used up by others: nothing is known of this one, and nothing is said against it."""

    class SetClock(SystemClock):
        """A clock that is set by hand."""

        at_s = 0.0

        def monotonic(self):
            """Return the time that was set."""
            return self.at_s

    async def run():
        async with api_server() as server, Kube(Connection(server.address)) as kube:
            line = looks.progress().line()
            server.refuse = lambda _, path: web.Response(text=line) if path.endswith("/log") else None
            mirror, clock = Mirror(), SetClock()
            _put_running(mirror)
            observer = Observer(kube, mirror, Claims(), Checks(mirror, clock), clock)
            silent = [(await observer.fetch(FETCH)).pods["job"].silent_s]
            observer._budget.take = lambda: False
            clock.at_s = 300.0
            silent.append((await observer.fetch(FETCH)).pods["job"].silent_s)
            return silent

    assert [0.0, 0.0] == asyncio.run(run())
