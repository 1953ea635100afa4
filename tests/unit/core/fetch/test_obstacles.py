"""What is decided where something keeps an attempt, its Job or its Pod from starting: told in the cluster's words."""

from dataclasses import replace
from datetime import timedelta

import pytest

from modelfetch.core.actions import CreateJob
from modelfetch.core.observed import UNKNOWN
from tests.unit.core import looks
from tests.unit.core.looks import NOW, condition, decide


def test_a_claim_that_may_not_be_read_is_told():
    """In the server's words: a right that is missing does not come by itself."""
    decision = decide(looks.look(claim=UNKNOWN, claim_error='persistentvolumeclaims "models" is forbidden'))

    assert ("True", "StorageNotReady") == condition(decision, "Reconciling")
    assert 'persistentvolumeclaims "models" is forbidden' in decision.status.last_error.message


def test_what_is_published_on_a_claim_that_may_not_be_read_is_told():
    """It may be another one by now, so it is not Ready; and it holds no slot while somebody gives the right back."""
    seen = looks.look(jobs=(looks.ended_job(),), reports={"job-1": looks.success()})
    decision = decide(replace(seen, claim=UNKNOWN, claim_error="forbidden"))

    assert ("False", "StorageNotReady", "none") == (*condition(decision, "Ready"), decision.claim)


@pytest.mark.parametrize(
    ("pod", "reason"),
    [
        ({"unschedulable": "0/3 nodes are available: 3 Insufficient memory."}, "Unschedulable"),
        ({"unschedulable": 'persistentvolumeclaim "models" not found'}, "StorageNotReady"),
        ({"unschedulable": 'running PreBind plugin "VolumeBinding": binding volumes: timed out'}, "StorageNotReady"),
        (
            {"unschedulable": "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"},
            "StorageNotReady",
        ),
        (
            {"unschedulable": "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind."},
            "StorageNotReady",
        ),
        ({"unschedulable": "Scheduling is blocked due to non-empty scheduling gates"}, "Unschedulable"),
        ({"waiting_reason": "ImagePullBackOff", "waiting_message": "back-off"}, "ImagePullFailed"),
        ({"complaint": 'MountVolume.SetUp failed for volume "token" : secret "x" not found'}, "SecretNotFound"),
        ({"complaint": "references non-existent secret key: token"}, "SecretKeyMissing"),
        (
            {"complaint": "driver name efs.csi.aws.com not found in the list of registered CSI drivers"},
            "StorageNotReady",
        ),
        ({"complaint": 'Failed to create pod sandbox: plugin type="calico" failed (add): no IP'}, "PodRejected"),
        ({"waiting_reason": "CreateContainerConfigError", "waiting_message": 'secret "x" not found'}, "SecretNotFound"),
        (
            {
                "waiting_reason": "CreateContainerConfigError",
                "waiting_message": "couldn't find key token in Secret demo/x",
            },
            "SecretKeyMissing",
        ),
        (
            {
                "waiting_reason": "CreateContainerConfigError",
                "waiting_message": "container has runAsNonRoot and image will run as root",
            },
            "PodRejected",
        ),
        ({"waiting_reason": "CreateContainerError", "waiting_message": "context deadline exceeded"}, "PodRejected"),
        ({"waiting_reason": "RunContainerError"}, "PodRejected"),
    ],
)
def test_what_keeps_a_pod_from_starting_is_said(pod, reason):
    """The cluster's words become the reason while the Pod waits, and the fetch holds no slot meanwhile."""
    decision = decide(looks.look(jobs=(looks.job(),), pods={"job-1": looks.pod(phase="Pending", **pod)}))

    assert ("True", reason) == condition(decision, "Reconciling")
    assert "none" == decision.claim


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("0/3 nodes are available: 3 Insufficient memory.", "0/57 nodes are available: 57 Insufficient memory."),
        (
            "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {a: b}. "
            "preemption: 0/3 nodes are available: 1 No preemption victims found, 2 Preemption is not helpful.",
            "0/30 nodes are available: 10 node(s) had untolerated taint {a: b}, 20 Insufficient cpu. "
            "preemption: 0/30 nodes are available: 10 Preemption is not helpful, 20 No preemption victims found.",
        ),
        (
            "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. "
            "no new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful.",
            "0/30 nodes are available: 10 Insufficient cpu, 20 node(s) had untolerated taint(s). "
            "no new claims to deallocate, preemption: 0/30 nodes are available: 30 Preemption is not helpful.",
        ),
    ],
)
def test_a_cluster_that_grows_is_no_news(before, now):
    """The scheduler counts its nodes in each message, and lists its reasons by these counts: the status does not."""
    first, later = (
        decide(looks.look(jobs=(looks.job(),), pods={"job-1": looks.pod(phase="Pending", unschedulable=words)}))
        for words in (before, now)
    )

    assert first.status == later.status


def test_a_refused_job_is_explained_in_the_servers_words():
    """A quota or an admission rule becomes PodRejected with what the API server said."""
    decision = decide(looks.look(refusal="exceeded quota: pods=0"))

    assert ("False", "PodRejected") == condition(decision, "Ready")
    assert "exceeded quota" in decision.status.last_error.message


def test_a_refused_job_is_not_asked_for_before_its_time():
    """The status that tells of it brings a look: two refused fetches would hand one slot to and fro without end."""
    asking = looks.fetch(annotations={"modelfetch.io/reconcile-at": "now"})
    seen = looks.after(looks.look(asking, refusal="exceeded quota"), refusal=None)
    later = replace(seen, now=NOW + timedelta(seconds=31))
    edited = replace(seen, fetch=looks.fetch(status=seen.fetch.status.model_dump(), generation=2))

    assert ((), seen.fetch.status) == (decide(seen).actions, decide(seen).status)
    assert [CreateJob, CreateJob] == [type(decide(look).actions[0]) for look in (later, edited)]


def test_a_pod_that_may_not_be_made_is_explained():
    """A quota lets the Job in and refuses its Pod: the Job controller's words become PodRejected."""
    job = looks.job(refusal='pods "x" is forbidden: exceeded quota: none')
    decision = decide(looks.look(jobs=(job,)))

    assert ("True", "PodRejected") == condition(decision, "Reconciling")
    assert "none" == decision.claim
