"""What one look takes in beside the views: what a Pod has told, and one that has gone."""

import asyncio

import pytest
from aiohttp import web

from modelfetch.controller.checks import Checks
from modelfetch.controller.claims import Claims
from modelfetch.controller.main import SystemClock
from modelfetch.controller.mirror import Mirror
from modelfetch.controller.observe import Observer
from modelfetch.controller.reports import AT_A_TIME
from modelfetch.core.observed import UNKNOWN, ClaimSeen
from modelfetch.kube.client import Kube
from modelfetch.kube.connection import Connection
from modelfetch.kube.objects import JOBS, MODELFETCHES, MODELSTORES, PODS
from modelfetch.reasons import Reason
from tests.fakes.api_server import api_server, refused
from tests.unit.core import looks
from tests.unit.core.looks import success

FETCH = {"metadata": {"name": "a", "namespace": "demo", "uid": "u"}, "spec": {"source": {"uri": "hf://a/b"}}}


class SetClock(SystemClock):
    """A clock that is set by hand."""

    at_s = 1000.0

    def monotonic(self):
        """Return the time that was set."""
        return self.at_s


def _put_running(mirror, state=None):
    """Have the mirror know a Job of the fetch, and its Pod, whose container is in this state."""
    meta = {"creationTimestamp": "2030-01-01T00:00:00Z", "namespace": "demo"}
    labels, owner = {"modelfetch.io/fetch": "u"}, [{"uid": "job", "controller": True}]
    mirror.put(JOBS, {"metadata": {**meta, "name": "j", "uid": "job", "labels": labels}})
    status = {"phase": "Running", "containerStatuses": [{"name": "fetcher", "state": state or {"running": {}}}]}
    pod = {**meta, "name": "p", "uid": "pod", "ownerReferences": owner}
    mirror.put(PODS, {"metadata": pod, "spec": {}, "status": status})


def _put_annotated(mirror):
    """Have the mirror's Job and Pod say for which fetch they were made, as ours do."""
    (pod,) = mirror.pods_of_job("job")
    (job,) = mirror.jobs_of_fetch("u")
    marks = {"labels": {"modelfetch.io/fetch": "u"}, "annotations": {"modelfetch.io/fetch-name": "a"}}
    for resource, body in ((PODS, pod), (JOBS, job)):
        mirror.put(resource, {**body, "metadata": body["metadata"] | marks})


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

    async def run():
        async with api_server() as server, Kube(Connection(server.address)) as kube:
            line = looks.progress().line()
            server.refuse = lambda _, path: web.Response(text=line) if path.endswith("/log") else None
            mirror, clock = Mirror(), SetClock()
            _put_running(mirror)
            observer = Observer(kube, mirror, Claims(), Checks(mirror, clock), clock)
            silent = [(await observer.fetch(FETCH)).pods["job"].silent_s]
            observer._reports._budget.take = lambda: False
            clock.at_s += 300.0
            silent.append((await observer.fetch(FETCH)).pods["job"].silent_s)
            return silent

    assert [0.0, 0.0] == asyncio.run(run())


def _looked(change, answer=lambda: None):
    """Return what is seen of a fetch whose Job runs, after `change`; and how often its log was read."""

    async def run():
        async with api_server() as server, Kube(Connection(server.address)) as kube:
            server.refuse = lambda _, path: answer() if path.endswith("/log") else None
            mirror, clock = Mirror(), SystemClock()
            mirror.put(MODELFETCHES, FETCH)
            _put_running(mirror)
            _put_annotated(mirror)
            server.objects["/api/v1/namespaces/demo/pods/p"] = mirror.pods_of_job("job")[0]
            observer = Observer(kube, mirror, Claims(), Checks(mirror, clock), clock)
            change(mirror, observer, server)
            return await observer.fetch(FETCH), sum(path.endswith("/log") for _, path in server.requests)

    return asyncio.run(run())


def _job_goes(mirror, observer, *, was_deleted_by_us=False, meta=None):
    (job,) = mirror.jobs_of_fetch("u")
    gone = {**job, "metadata": job["metadata"] | (meta or {})}
    mirror.remove(JOBS, gone)
    observer.forget(JOBS, gone, was_deleted_by_us=was_deleted_by_us)


@pytest.mark.parametrize("meta", [{}, {"deletionTimestamp": "2030-01-01T00:00:00Z"}], ids=["background", "foreground"])
def test_the_pod_of_a_job_that_was_deleted_is_waited_for(meta):
    """Whoever deletes a Job has it gone before its Pod has ended: a second one would write beside it."""
    seen, _ = _looked(lambda mirror, observer, _: _job_goes(mirror, observer, meta=meta))

    assert ("j", ["p"], ()) == (seen.vanished, [pod.name for pod in seen.strays], seen.jobs)


def test_a_pod_that_the_server_does_not_know_is_not_waited_for():
    """A watch has missed that it went."""

    def gone_unseen(mirror, observer, server):
        _job_goes(mirror, observer)
        server.objects.clear()

    assert () == _looked(gone_unseen)[0].strays


def test_a_pod_that_has_ended_is_not_waited_for():
    """Refused by its node, or without a word of its containers: nothing of it runs."""

    def refused_by_the_node(mirror, observer, _):
        (pod,) = mirror.pods_of_job("job")
        mirror.put(PODS, {**pod, "status": {"phase": "Failed", "reason": "OutOfcpu"}})
        _job_goes(mirror, observer)

    assert () == _looked(refused_by_the_node)[0].strays


def test_a_job_that_the_operator_deletes_has_not_vanished():
    """Whoever asked for that has told why."""
    seen, _ = _looked(lambda mirror, observer, _: _job_goes(mirror, observer, was_deleted_by_us=True))

    assert "" == seen.vanished


def test_of_a_fetch_that_is_gone_nothing_is_kept():
    """Its Jobs go after it."""

    def fetch_goes_first(mirror, observer, _):
        mirror.remove(MODELFETCHES, FETCH)
        observer.forget(MODELFETCHES, FETCH)
        _job_goes(mirror, observer)

    assert "" == _looked(fetch_goes_first)[0].vanished


def _asked_at(*answers):
    """Return at which of 100 looks, a second apart, the log was asked for; it is answered so, and then by a report."""

    async def run():
        async with api_server() as server, Kube(Connection(server.address)) as kube:
            left, asked, clock, mirror = list(answers), [], SetClock(), Mirror()
            line = looks.progress().line()

            def answer(_, path):
                if not path.endswith("/log"):
                    return None
                asked.append(int(clock.at_s - SetClock.at_s))
                return refused(left.pop(0), "no") if left else web.Response(text=line)

            server.refuse = answer
            _put_running(mirror)
            observer = Observer(kube, mirror, Claims(), Checks(mirror, clock), clock)
            for _ in range(100):
                await observer.fetch(FETCH)
                clock.at_s += 1.0
            return asked

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("answers", "asked_at"),
    [
        ((500, 504, 500), [0, 1, 3, 7, 8, 9]),
        ((500,) * 7, [0, 1, 3, 7, 15, 31, 61, 91, 92]),
        ((404, 400), [0, 1, 2, 3]),
    ],
    ids=["a node that is back", "a node that is away", "a container that has no log yet"],
)
def test_a_node_that_does_not_answer_is_left_alone_for_a_while(answers, asked_at):
    """Each read of a log would take seconds of a worker; how long is doubled, and forgotten once it answers."""
    assert asked_at == _asked_at(*answers)[: len(asked_at)]


def test_few_logs_are_read_at_once():
    """Nodes that do not answer leave workers to everybody else: one that was not asked has not kept silent."""

    def reading(_mirror, observer, _server):
        observer._reports._reading = AT_A_TIME

    assert 0 == _looked(reading)[1]


@pytest.mark.parametrize(("status", "is_told"), [(403, True), (503, False)])
def test_a_claim_that_may_not_be_read(status, is_told):
    """A right that is missing is told; a server that has trouble is asked again."""

    async def run():
        async with api_server() as server, Kube(Connection(server.address)) as kube:
            server.refuse = lambda _, path: refused(status, "no", "words") if "persistent" in path else None
            mirror, clock = Mirror(), SystemClock()
            store = {"metadata": {"name": "default", "namespace": "demo", "uid": "s"}, "spec": {"claimName": "models"}}
            mirror.put(MODELSTORES, store)
            return await Observer(kube, mirror, Claims(), Checks(mirror, clock), clock).fetch(FETCH)

    seen = asyncio.run(run())

    told = "PersistentVolumeClaim 'models' cannot be read: words"
    assert (UNKNOWN, told if is_told else None) == (seen.claim, seen.claim_error)


@pytest.mark.parametrize(("passed_s", "claim"), [(20.0, UNKNOWN), (40.0, ClaimSeen("Pending", "c"))])
def test_the_claim_of_a_pod_that_gets_no_node_is_read(passed_s, claim):
    """Nothing else tells that its volume does not come; a Pod of a moment ago is left alone."""

    async def run():
        async with api_server() as server, Kube(Connection(server.address)) as kube:
            mirror, clock = Mirror(), SetClock()
            store = {"metadata": {"name": "default", "namespace": "demo", "uid": "s"}, "spec": {"claimName": "models"}}
            server.objects["/api/v1/namespaces/demo/persistentvolumeclaims/models"] = {
                "metadata": {"name": "models", "uid": "c"},
                "status": {"phase": "Pending"},
            }
            mirror.put(MODELSTORES, store)
            _put_running(mirror)
            (pod,) = mirror.pods_of_job("job")
            mirror.put(PODS, {**pod, "status": {"phase": "Pending"}})
            observer = Observer(kube, mirror, Claims(), Checks(mirror, clock), clock)
            await observer.fetch(FETCH)
            clock.at_s += passed_s
            return (await observer.fetch(FETCH)).claim

    assert claim == asyncio.run(run())


def test_a_log_that_may_not_be_read_is_told():
    """A right that is missing is no fetcher that hangs."""

    def of_the_pod(answer):
        return _looked(lambda *_: None, answer)[0].pods["job"].log_refusal

    assert ("no logs", None) == (of_the_pod(lambda: refused(403, "Forbidden", "no logs")), of_the_pod(lambda: None))
