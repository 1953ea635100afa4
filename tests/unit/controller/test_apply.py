"""One call for each action: what the API server does not allow is said in its words, and not asked for all the time."""

import asyncio

import pytest

from modelfetch.controller.apply import HELD_S, Applier, NotDeleted
from modelfetch.core.actions import DeleteJob
from modelfetch.kube.client import Kube
from modelfetch.kube.connection import Connection
from modelfetch.kube.errors import KubeError
from tests.fakes.api_server import api_server, refused

JOB = DeleteJob("mf-1", "job-1")
PATH = "/apis/batch/v1/namespaces/default/jobs/mf-1"
WORDS = 'jobs.batch "mf-1" is forbidden: cannot delete resource "jobs"'


def _asked(answers, *at_s):
    """Return what becomes of deleting a Job at each of these moments, and how often the server was asked."""

    async def run():
        now_s = [0.0]
        async with api_server() as server, Kube(Connection(server.address)) as kube:
            left = list(answers)
            server.refuse = lambda *_: left.pop(0)
            server.objects[PATH] = {"metadata": {"uid": "job-1", "deletionTimestamp": "2030-01-01T00:00:00Z"}}
            applier = Applier(kube, lambda *_: None, lambda *_: None, lambda: now_s[0])
            found = []
            for moment_s in at_s:
                now_s[0] = moment_s
                try:
                    await applier.act("default", JOB)
                    found.append("done")
                except (NotDeleted, KubeError) as error:
                    found.append(f"{type(error).__name__}: {error}")
            return found, len(server.requests), applier.has_deleted(JOB.uid)

    return asyncio.run(run())


def test_a_job_that_may_not_be_deleted_is_asked_for_now_and_then():
    """Whatever has its fetch looked at meanwhile is told the same; once the right is back it goes."""
    found, requests, is_ours = _asked([refused(403, "Forbidden", WORDS), None], 0.0, 1.0, HELD_S - 1, HELD_S)

    assert [f"NotDeleted: {WORDS}"] * 3 + ["done"] == found
    assert (2, True) == (requests, is_ours)


@pytest.mark.parametrize(
    "answer",
    [(422, "Invalid", "ValidatingAdmissionPolicy 'keep' denied"), (500, "InternalError", "failed calling webhook x")],
    ids=["a policy", "a webhook that is down"],
)
def test_what_admits_requests_may_refuse_it_too(answer):
    """In its words; whoever deletes the Job then was somebody else."""
    found, _, is_ours = _asked([refused(*answer)], 0.0)

    assert ([f"NotDeleted: {answer[2]}"], False) == (found, is_ours)


def test_a_server_in_trouble_has_refused_nothing():
    """It is asked again when its trouble is over, and may have done it."""
    found, _, is_ours = _asked([refused(503, "ServiceUnavailable")], 0.0)

    assert (["KubeError: 503 ServiceUnavailable: no"], True) == (found, is_ours)
