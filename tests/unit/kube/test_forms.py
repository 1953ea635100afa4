"""What nobody can read is not there, whoever reads it; all else stays as it is."""

import asyncio
from typing import Any

import pytest

from modelfetch.controller.views import read_end, read_fetch, read_job, read_pod
from modelfetch.kube.client import Kube
from modelfetch.kube.connection import Connection
from modelfetch.kube.forms import EVER, fitted
from modelfetch.kube.objects import JOBS
from tests.fakes.api_server import api_server

NOW = "2030-01-01T00:00:00Z"
META: dict[str, Any] = {"name": "a", "namespace": "demo", "uid": "u", "resourceVersion": "1", "creationTimestamp": NOW}
JOB: dict[str, Any] = {
    "kind": "Job",
    "metadata": {
        **META,
        "labels": {"modelfetch.io/attempt": "2"},
        "ownerReferences": [{"uid": "o", "controller": True}],
        "managedFields": [{"manager": "kubectl"}],
    },
    "spec": {"parallelism": 1},
    "status": {
        "failed": 1,
        "conditions": [{"type": "Failed", "status": "True", "lastTransitionTime": NOW}],
        "uncountedTerminatedPods": {},
        "unheard": "of",
    },
}


def test_what_is_of_its_form_stays_as_it_is():
    """Fields that nobody here reads, too: a client hands on what the server says."""

    assert JOB == fitted("Job", JOB)


def test_a_kind_of_which_nothing_is_known_stays_as_it_is():
    """Such as a Secret that the embedded cluster makes."""

    assert {"kind": "Secret", "data": 7} == fitted("Secret", {"kind": "Secret", "data": 7})


@pytest.mark.parametrize(
    ("place", "value", "reads"),
    [
        ("metadata.labels", ["x"], {"attempt": 0}),
        ("metadata.labels", None, {"attempt": 0}),
        ("metadata.annotations", "x", {"spec_hash": ""}),
        ("metadata.ownerReferences", [None, 7, {"controller": True}], {"owner_uid": ""}),
        ("metadata.ownerReferences", {"uid": "o"}, {"owner_uid": ""}),
        ("metadata.creationTimestamp", "yesterday", {}),
        ("metadata.creationTimestamp", "2030-01-01T00:00:00", {}),
        ("metadata.creationTimestamp", "9999-12-31T23:59:59Z", {}),
        ("status", 7, {"result": "Running", "pods_ended": 0}),
        ("status.failed", "many", {"pods_ended": 0}),
        ("status.active", True, {"pods_open": 0}),
        ("status.uncountedTerminatedPods", {"failed": 7}, {"pods_open": 0}),
        ("status.conditions", {"Failed": True}, {"result": "Running"}),
        ("status.conditions", [7, None, {"status": "True"}], {"result": "Running"}),
        ("status.conditions", [{"type": "Failed", "status": True}], {"result": "Running"}),
        ("status.conditions", [{"type": "Failed", "status": "True"}], {"result": "Failed"}),
    ],
)
def test_a_job_is_read_whatever_it_says(place, value, reads):
    """What is of another type counts as absent: no look fails for it."""
    above, _, name = place.rpartition(".")
    wrong = {**JOB[above], name: value} if above else value
    seen = read_job(fitted("Job", {**JOB, above or name: wrong}))

    assert reads == {field: getattr(seen, field) for field in reads}


@pytest.mark.parametrize("digits", ["9" * 5000, "\u00b2", "-1", " 1", ""])
def test_a_number_of_somebody_else_is_none(digits):
    """Anybody who may edit Jobs may write one that Python does not take for a number."""
    labelled = {**JOB["metadata"], "labels": {"modelfetch.io/attempt": digits}}

    assert 0 == read_job({**JOB, "metadata": labelled}).attempt


@pytest.mark.parametrize(
    "status",
    [
        7,
        {"conditions": [None, {}]},
        {"containerStatuses": [None, {"name": "fetcher", "state": ["running"]}]},
        {"containerStatuses": [{"name": "fetcher", "state": {"terminated": "yes", "waiting": None}}]},
        {"phase": 7, "reason": {}, "containerStatuses": {}},
    ],
)
def test_a_pod_is_read_whatever_it_says(status):
    """And nothing of it proves that it has ended."""
    body = fitted("Pod", {"metadata": META, "spec": {"nodeName": "n" * 300}, "status": status})

    assert (None, "Pending", False) == (read_pod(body).node, read_pod(body).phase, read_end(body).terminated)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("x", "spec.source"),
        ({"source": {"uri": "hf://a/b"}, "storeRef": ["x"]}, "spec.storeRef.name"),
        ({"source": {"uri": "hf://a/b"}, "storeRef": {"name": 7}}, "spec.storeRef.name"),
    ],
)
def test_what_is_wrong_in_a_spec_is_still_told(spec, told):
    """It names no store that somebody could be sent to, and is refused for that very field."""
    body = fitted("ModelFetch", {"metadata": META, "spec": spec})
    _, problem = read_fetch(body)

    assert problem.startswith(told)


def test_a_time_that_has_to_be_there_is_long_ago():
    """Nobody waits for it."""

    assert EVER == fitted("Job", {"metadata": {**META, "creationTimestamp": 7}})["metadata"]["creationTimestamp"]


WRONG = {**JOB, "metadata": {**JOB["metadata"], "labels": ["x"]}}
CALLS = {
    "get": lambda kube: kube.get(JOBS, "demo", "a"),
    "list": lambda kube: kube.list(JOBS, "demo"),
    "merge": lambda kube: kube.merge(JOBS, "demo", "a", {}),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_client_answers_with_what_can_be_read(call):
    """Whatever was asked."""

    async def run():
        async with api_server() as server, Kube(Connection(server.address)) as kube:
            server.objects["/apis/batch/v1/namespaces/demo/jobs/a"] = WRONG
            return await CALLS[call](kube)

    answer = asyncio.run(run())
    (body,) = answer if isinstance(answer, list) else [answer]

    assert "labels" not in body["metadata"]


def test_the_counts_of_a_status_are_left_to_whoever_reads_it():
    """It counts as a whole, or not at all, in read_fetch."""
    status = {"progress": {"percent": "many"}, "attempt": {"number": 3}, "display": 7}
    body = fitted("ModelFetch", {"metadata": META, "spec": {}, "status": status})

    assert {"progress": {"percent": "many"}, "attempt": {"number": 3}} == body["status"]
