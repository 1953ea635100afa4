"""From the API's objects to narrow views."""

from typing import Any

import pytest

from modelfetch.controller.kept import Keeper
from modelfetch.controller.views import (
    may_have_files,
    read_end,
    read_fetch,
    read_job,
    read_pod,
    read_store,
)
from modelfetch.core.observed import PodEnd
from modelfetch.kube.forms import fitted
from modelfetch.kube.objects import PODS


def _fetch(**parts: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "a", "namespace": "demo", "uid": "u"},
        "spec": {"source": {"uri": "hf://a/b"}},
        **parts,
    }


def _pod(status: dict[str, Any], **meta: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p", **meta}, "spec": {"nodeName": "n"}, "status": status}


def _container(**state: Any) -> dict[str, Any]:
    return {"phase": "Pending", "containerStatuses": [{"name": "fetcher", "state": state}]}


ARTIFACT = {
    "digest": "sha256:0",
    "path": "p",
    "uri": "pvc://c/p",
    "revision": "r",
    "publishedAt": "2030-01-01T00:00:00Z",
}


@pytest.mark.parametrize(
    "status",
    [
        {"phase": 3},
        {"conditions": "x"},
        {"attempt": {"number": "many"}},
        {"phase": "Unheard"},
        {"nextRetryTime": "yesterday"},
        {"nextRetryTime": "2030-01-01T00:00:00"},
        {"nextRetryTime": "9999-12-31T23:59:59Z"},
        *({"artifact": ARTIFACT | {part: ""}} for part in ARTIFACT),
    ],
)
def test_a_status_that_does_not_parse_counts_as_none(status):
    """Whatever somebody wrote there, everything in it can be seen again (F104)."""
    fetch, error = read_fetch(_fetch(status={"observedGeneration": 3, **status}))

    assert (-1, None) == (fetch.status.observed_generation, error)


@pytest.mark.parametrize("spec", [None, {}, {"source": {}}, {"source": {"uri": "ftp://x/y"}}, {"source": 3}])
def test_a_spec_that_does_not_parse_is_named(spec):
    """The message names the field; the rest of the object is still there to be reported on."""
    fetch, error = read_fetch(_fetch(spec=spec))

    assert "u" == fetch.metadata.uid
    assert error.startswith("spec")


def test_a_store_with_a_broken_status_is_read():
    """Its spec counts."""
    store, error = read_store({"metadata": {"name": "s"}, "spec": {"claimName": "c"}, "status": {"fetches": 7}})

    assert ("c", None) == (store.spec.claim_name, error)


@pytest.mark.parametrize("spec", [None, {}, {"claimName": "c", "slots": 0}, {"claimName": "c", "new": 1}])
def test_a_store_whose_spec_does_not_parse_is_named(spec):
    """An older CRD let it through, or a newer one: the operator goes on, for everybody else."""
    store, error = read_store({"metadata": {"name": "s"}, "spec": spec})

    assert ("s", True) == (store.metadata.name, error.startswith("spec"))


@pytest.mark.parametrize(
    ("conditions", "result", "why"),
    [
        ([], "Running", ""),
        ([{"type": "Failed", "status": "False"}], "Running", ""),
        ([{"type": "SuccessCriteriaMet", "status": "True"}], "Running", ""),
        ([{"type": "Complete", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}], "Complete", ""),
        (
            [
                {
                    "type": "Failed",
                    "status": "True",
                    "reason": "DeadlineExceeded",
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                }
            ],
            "Failed",
            "DeadlineExceeded",
        ),
    ],
)
def test_a_jobs_conditions_tell_how_it_ended(conditions, result, why):
    """Only Complete and Failed end a Job; what announces them does not."""
    seen = read_job(
        {
            "metadata": {"name": "j", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {}},
            "status": {"conditions": conditions},
        }
    )

    assert (result, why) == (seen.result, seen.failure_reason)


@pytest.mark.parametrize("label", ["", "x", "-1", "1e9", None])
def test_a_forged_attempt_label_is_zero(label):
    """Labels are text that anybody may have written."""
    body = {
        "metadata": {
            "name": "j",
            "uid": "u",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"modelfetch.io/attempt": label},
        }
    }

    assert 0 == read_job(body).attempt


def test_a_pod_that_finds_no_node_says_why():
    """The scheduler's words, while it has found none."""
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}

    assert "0/1 nodes" == read_pod(_pod({"phase": "Pending", "conditions": [condition]})).unschedulable


def test_a_waiting_container_says_why():
    """The kubelet's reason and message."""
    pod = read_pod(_pod(_container(waiting={"reason": "ImagePullBackOff", "message": "m"})))

    assert ("ImagePullBackOff", "m") == (pod.waiting_reason, pod.waiting_message)


def test_an_ended_container_gives_its_code():
    """Exit code and reason of our container only; a sidecar's does not count."""
    status = {
        "phase": "Failed",
        "containerStatuses": [
            {"name": "sidecar", "state": {"terminated": {"exitCode": 1}}},
            {"name": "fetcher", "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}},
        ],
    }

    assert (137, "OOMKilled") == (read_pod(_pod(status)).exit_code, read_pod(_pod(status)).exit_reason)


_DONE = {"terminated": {"exitCode": 1, "reason": "Error"}}
_UNSEEN = {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}}


def _disrupted(reason, status="True"):
    return [{"type": "DisruptionTarget", "status": status, "reason": reason}]


@pytest.mark.parametrize(
    ("status", "meta", "end"),
    [
        ({}, {}, PodEnd(terminated=True)),
        ({"phase": "Succeeded"}, {}, PodEnd(terminated=True)),
        ({"phase": "Running"}, {}, PodEnd()),
        ({"phase": "Unknown"}, {}, PodEnd()),
        ({"containerStatuses": []}, {}, PodEnd()),
        ({"containerStatuses": [{"name": "other", "state": _DONE}]}, {}, PodEnd()),
        ({"containerStatuses": [{"name": "fetcher", "state": {"running": {}}}]}, {}, PodEnd()),
        ({"containerStatuses": [{"name": "fetcher", "state": {}, "lastState": _DONE}]}, {}, PodEnd()),
        ({"containerStatuses": [{"name": "fetcher", "state": _UNSEEN}]}, {}, PodEnd()),
        ({"initContainerStatuses": [{"name": "proxy", "state": {"running": {}}}]}, {}, PodEnd()),
        ({"ephemeralContainerStatuses": [{"name": "debug", "state": {"running": {}}}]}, {}, PodEnd()),
        ({"initContainerStatuses": [{"name": "proxy", "state": _DONE}]}, {}, PodEnd(terminated=True)),
        ({"reason": "Evicted", "conditions": _disrupted("TerminationByKubelet")}, {}, PodEnd(terminated=True)),
        ({"reason": "NodeLost"}, {}, PodEnd(terminated=True, lost=True)),
        ({"conditions": _disrupted("DeletionByTaintManager")}, {}, PodEnd(terminated=True, lost=True)),
        ({"conditions": _disrupted("DeletionByPodGC")}, {}, PodEnd(terminated=True, lost=True)),
        ({"conditions": _disrupted("DeletionByPodGC", "False")}, {}, PodEnd(terminated=True)),
        ({}, {"deletionTimestamp": "t", "deletionGracePeriodSeconds": 30}, PodEnd(terminated=True)),
        ({}, {"deletionTimestamp": "t", "deletionGracePeriodSeconds": 0}, PodEnd(terminated=True, forced=True)),
        ({}, {"deletionTimestamp": "t"}, PodEnd(terminated=True, forced=True)),
    ],
)
def test_the_end_of_a_pod_is_the_kubelets_word(status, meta, end):
    """Every container of it was seen to end; nothing that others write about the Pod counts as that."""
    usual = {"phase": "Failed", "containerStatuses": [{"name": "fetcher", "state": _DONE}]}

    assert end == read_end(_pod(usual | status, **meta))


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ({}, (0, 0)),
        ({"failed": 1, "terminating": 0, "uncountedTerminatedPods": {}}, (1, 0)),
        ({"failed": 1, "succeeded": 1}, (2, 0)),
        ({"active": 1, "failed": None}, (0, 1)),
        ({"terminating": 1}, (0, 1)),
        ({"uncountedTerminatedPods": {"failed": ["a"], "succeeded": ["b"]}}, (0, 2)),
    ],
)
def test_a_job_counts_its_pods(status, counts):
    """Ended ones, and those that it knows of and has not counted."""
    job = read_job(
        {"metadata": {"name": "j", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}, "status": status}
    )

    assert counts == (job.pods_ended, job.pods_open)


def test_a_job_passes_on_what_was_proven():
    """The annotation that the operator wrote when it made the Job."""
    meta = {"name": "j", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}

    assert () == read_job({"metadata": meta}).proven
    assert ("a", "b") == read_job({"metadata": {**meta, "annotations": {"modelfetch.io/ended": "a,b"}}}).proven


def test_only_fetches_with_an_attempt_may_have_files():
    """A fetch that never started needs no removal."""
    bodies = [_fetch(), _fetch(status={"attempt": {"number": 1}}), _fetch(status={"artifact": {"digest": "x"}})]

    assert [False, True, True] == list(map(may_have_files, bodies))


@pytest.mark.parametrize(
    ("state", "reason", "given_up"),
    [
        ({"running": {}}, "DeletionByTaintManager", True),
        ({}, "DeletionByPodGC", True),
        (_UNSEEN, "DeletionByPodGC", True),
        (_DONE, "DeletionByTaintManager", False),
        ({"running": {}}, "EvictionByEvictionAPI", False),
    ],
)
def test_a_pod_that_was_given_up_ended_without_a_word_of_its_node(state, reason, given_up):
    """Where the kubelet saw its container end, the cluster moved it; else nobody heard of the node."""
    status = {"conditions": _disrupted(reason), "containerStatuses": [{"name": "fetcher", "state": state}]}

    assert (given_up, True) == (read_pod(_pod(status)).given_up, read_pod(_pod(status)).disrupted)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("Unschedulable", "why"), ("SchedulingGated", "why"), ("SchedulerError", "why"), ("Other", None)],
)
def test_why_a_pod_has_no_node(reason, expected):
    """The scheduler's words, or those of whoever holds it back."""
    waiting = {"type": "PodScheduled", "status": "False", "reason": reason, "message": "why"}

    assert expected == read_pod(_pod({"conditions": [waiting]})).unschedulable


@pytest.mark.parametrize(
    ("ready", "containers", "state", "expected"),
    [
        ("False", "True", {"running": {}}, True),
        ("True", "True", {"running": {}}, False),
        ("False", "False", {"running": {}}, False),
        ("False", "True", {"terminated": {"exitCode": 0}}, False),
    ],
    ids=["its node is silent", "its node answers", "its node says so", "it has ended"],
)
def test_the_cluster_takes_ready_from_a_pod_whose_node_it_does_not_hear_of(ready, containers, state, expected):
    """The node's own last word, that the container is ready, stays."""
    conditions = [{"type": "Ready", "status": ready}, {"type": "ContainersReady", "status": containers}]
    status = {"conditions": conditions, "containerStatuses": [{"name": "fetcher", "state": state}]}

    assert expected == read_pod(_pod(status)).is_cut_off


@pytest.mark.parametrize(
    ("began", "ran_s"), [("2030-01-01T00:00:00Z", 90.0), (None, None)], ids=["it ran", "it never started"]
)
def test_for_how_long_a_container_ran(began, ran_s):
    """As its node says, by one clock."""
    ended = {"exitCode": 1, "startedAt": began, "finishedAt": "2030-01-01T00:01:30Z"}
    status = {"containerStatuses": [{"name": "fetcher", "state": {"terminated": ended}}]}

    assert ran_s == read_pod(fitted("Pod", _pod(status))).ran_s


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ({"message": "The node was low on resource: memory."}, "The node was low on resource: memory."),
        ({"conditions": [{"type": "DisruptionTarget", "status": "True", "message": "Preempted"}]}, "Preempted"),
        ({}, ""),
    ],
    ids=["by its node", "by somebody else", "by nobody"],
)
def test_why_a_pod_was_ended(status, message):
    """The words stay with what is kept of it."""
    assert message == read_pod(Keeper().kept(PODS, _pod(status))).message
