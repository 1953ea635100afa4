"""A small body answers the same questions as the whole one, and shares its texts with others."""

import copy
import json

import pytest

from modelfetch.controller import kept
from modelfetch.controller.kept import Keeper
from modelfetch.controller.views import fetch_of, read_end, read_fetch, read_job, read_pod
from modelfetch.kube.objects import JOBS, MODELFETCHES, PODS
from tests import gen

META = {
    "name": "one",
    "namespace": "demo",
    "uid": "u",
    "resourceVersion": "7",
    "generation": 3,
    "creationTimestamp": "2030-01-01T00:00:00Z",
    "deletionTimestamp": "2030-01-01T00:10:00Z",
    "labels": {"modelfetch.io/fetch": "f", "modelfetch.io/attempt": "2", "modelfetch.io/task": "fetch", "team": "x"},
    "annotations": {
        "modelfetch.io/spec-hash": "h",
        "modelfetch.io/fetch-name": "one",
        "modelfetch.io/failures": "1",
        "modelfetch.io/volume": "pvc://models/",
        "modelfetch.io/claim": "c/v",
        "modelfetch.io/made-of": "m",
        "modelfetch.io/ended": "a,b",
        "kubectl.kubernetes.io/last-applied-configuration": "{" * 1000,
    },
    "ownerReferences": [{"uid": "f", "controller": True}],
    "managedFields": [{"manager": "kubectl"}],
}
FAILED = {
    "type": "Failed",
    "status": "True",
    "reason": "BackoffLimitExceeded",
    "lastTransitionTime": "2030-01-01T00:01:00Z",
}
JOB = {
    "metadata": META,
    "spec": {"template": {"spec": {"containers": [{"name": "fetcher", "env": ["x" * 1000]}]}}},
    "status": {"failed": 1, "conditions": [FAILED], "uncountedTerminatedPods": {"failed": ["p"]}},
}
UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
DISRUPTED = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}
ENDED = {"terminated": {"exitCode": 137, "reason": "OOMKilled", "message": "words"}}
POD = {
    "metadata": META,
    "spec": {"nodeName": "n", "volumes": ["x" * 1000]},
    "status": {
        "phase": "Failed",
        "reason": "NodeLost",
        "conditions": [UNSCHEDULABLE, DISRUPTED],
        "containerStatuses": [{"name": "fetcher", "state": ENDED, "imageID": "x" * 1000}],
        "initContainerStatuses": [{"name": "other", "state": {"running": {}}}],
        "podIPs": ["10.0.0.1"],
    },
}
FETCH = gen.fetch("one") | {
    "metadata": {**META, "labels": {}, "annotations": {"modelfetch.io/reconcile-at": "now"}},
    "status": {"phase": "Queued", "attempt": {"number": 2}},
}
VIEWS = {"job": (JOBS, JOB, read_job), "pod": (PODS, POD, read_pod), "fetch": (MODELFETCHES, FETCH, read_fetch)}


@pytest.mark.parametrize(("resource", "body", "view"), VIEWS.values(), ids=list(VIEWS))
def test_a_small_body_answers_the_same(resource, body, view):
    """Whatever is asked of it; the body that came in is left as it is."""
    whole = copy.deepcopy(body)
    small = Keeper().kept(resource, body)

    assert whole == body
    assert (view(body), fetch_of(body)) == (view(small), fetch_of(small))
    assert small["metadata"].keys() == META.keys() - {"managedFields"}


def test_how_a_small_pod_ended_is_known():
    """Also of containers that are not ours."""
    assert read_end(POD) == read_end(Keeper().kept(PODS, POD))


@pytest.mark.parametrize(("resource", "body"), [(JOBS, JOB), (PODS, POD)], ids=["job", "pod"])
def test_a_small_body_is_small(resource, body):
    """Nothing stays of an order, of volumes, of images, and of what others have noted on it."""
    assert "xxx" not in json.dumps(Keeper().kept(resource, body))
    assert "{{{" not in json.dumps(Keeper().kept(resource, body))


def test_equal_texts_are_one_text():
    """Names and values, of whatever objects."""
    keeper = Keeper()
    job, pod = (keeper.kept(kind, json.loads(json.dumps(body))) for kind, body in ((JOBS, JOB), (PODS, POD)))

    assert job["metadata"]["uid"] is pod["metadata"]["uid"]
    assert all(ours is theirs for ours, theirs in zip(job["metadata"], pod["metadata"], strict=True))


def test_texts_are_gathered_anew(monkeypatch):
    """What has gone does not stay for ever because its texts might come again."""
    monkeypatch.setattr(kept, "TEXTS", 3)
    keeper = Keeper()
    first = keeper.kept(JOBS, JOB)
    again = keeper.kept(JOBS, json.loads(json.dumps(JOB)))

    assert first == again
    assert len(keeper._texts) < 2 * len(set(json.dumps(JOB).split('"')))
