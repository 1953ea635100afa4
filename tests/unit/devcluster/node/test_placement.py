"""Where Pods go, and the scheduler's words where they cannot."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.devcluster.node.objects import key
from modelfetch.devcluster.node.placement import Placement, Reserve, Snapshot, is_waiting_for_placement, place
from tests.unit.devcluster.node.samples import Json, claim, node, pod, volume

LOCAL = {"metadata": {"name": "local"}, "provisioner": "kubernetes.io/no-provisioner"}
LATE = LOCAL | {"volumeBindingMode": "WaitForFirstConsumer"}
ELSEWHERE = {
    "required": {
        "nodeSelectorTerms": [
            {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["other"]}]}
        ]
    }
}


def snapshot(
    *, nodes: Sequence[Json] = (), claims: Sequence[Json] = (), volumes: Sequence[Json] = (), **rest: Any
) -> Snapshot:
    """Return a snapshot with one node unless told otherwise."""
    return Snapshot(
        nodes=nodes or [node()],
        claims={key(item): item for item in claims},
        volumes={key(item)[1]: item for item in volumes},
        **rest,
    )


def message(given: Json, **parts: Any) -> str:
    """Return why the Pod is not placed."""
    placement = place(given, snapshot(**parts))
    assert placement is not None
    return placement.message


BUSY = [pod(f"b{number}", requests={"cpu": "600m", "memory": "100Mi"}, nodeName="n1") for number in range(2)]


@pytest.mark.parametrize(
    ("waiting", "parts", "words"),
    [
        (pod(claims=("c",)), {}, 'persistentvolumeclaim "c" not found'),
        (pod(claims=("c",)), {"claims": [claim()]}, "pod has unbound immediate PersistentVolumeClaims"),
        (
            pod(claims=("c",)),
            {"claims": [claim(phase="Lost")]},
            'persistentvolumeclaim "c" bound to non-existent persistentvolume',
        ),
        (
            pod(claims=("c",)),
            {"claims": [{**claim(), "metadata": {**claim()["metadata"], "deletionTimestamp": "now"}}]},
            'persistentvolumeclaim "c" is being deleted',
        ),
        (
            pod(claims=("c",)),
            {"claims": [claim(volume="v")], "volumes": [volume(nodeAffinity=ELSEWHERE)]},
            "1 node(s) had volume node affinity conflict",
        ),
        (
            pod(claims=("c",)),
            {"claims": [claim(storage_class="local")], "classes": {"local": LATE}},
            "1 node(s) didn't find available persistent volumes to bind",
        ),
        (pod(nodeSelector={"gpu": "1"}), {}, "1 node(s) didn't match Pod's node affinity/selector"),
        (pod(), {"nodes": [node(unschedulable=True)]}, "1 node(s) were unschedulable"),
        (pod(), {"nodes": [node(ready="False")]}, "1 node(s) were not ready"),
        (
            pod(),
            {"nodes": [node(taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}])]},
            "1 node(s) had untolerated taint {k: v}",
        ),
        (pod(requests={"cpu": "2100m"}), {}, "1 Insufficient cpu"),
        (pod(requests={"cpu": "1"}), {"pods": BUSY}, "1 Insufficient cpu"),
        (pod(requests={"memory": "900Mi"}), {"pods": BUSY}, "1 Insufficient memory"),
        (pod(), {"pods": [*BUSY, pod("b3", nodeName="n1")]}, "1 Too many pods"),
    ],
)
def test_words(waiting: Json, parts: dict[str, Any], words: str) -> None:
    """What keeps a Pod waiting is said as kube-scheduler says it."""
    actual = message(waiting, **parts)

    assert f"0/1 nodes are available: {words}." == actual


def test_obstacles_are_counted() -> None:
    """Several nodes with several obstacles make one message."""
    nodes = [node("a"), node("b"), node("c", unschedulable=True)]

    actual = message(pod(nodeSelector={"gpu": "1"}), nodes=nodes)

    expected = "1 node(s) were unschedulable, 2 node(s) didn't match Pod's node affinity/selector"
    assert f"0/3 nodes are available: {expected}." == actual


@pytest.mark.parametrize(
    ("waiting", "parts"),
    [
        (pod(), {}),
        (pod(claims=("c",)), {"claims": [claim(volume="v")], "volumes": [volume()]}),
        (pod(nodeSelector={"gpu": "1"}), {"nodes": [node(labels={"gpu": "1"})]}),
        (pod(requests={"cpu": "800m"}), {"pods": BUSY}),
        (pod(), {"pods": [{**one, "status": {"phase": "Succeeded"}} for one in [*BUSY, *BUSY]]}),
    ],
)
def test_placed(waiting: Json, parts: dict[str, Any]) -> None:
    """A Pod that fits is given to the node."""
    actual = place(waiting, snapshot(**parts))

    assert Placement("n1") == actual


def test_no_process_node() -> None:
    """Without a process node nobody here decides about a Pod."""
    actual = place(pod(), Snapshot(nodes=[{"metadata": {"name": "kubelet"}, "spec": {}}]))

    assert None is actual


def test_a_ready_node_speaks() -> None:
    """The first node that is ready says why no node fits, so exactly one of them does."""
    nodes = [node("a", ready="Unknown"), node("b"), node("c")]

    actual = place(pod(nodeSelector={"gpu": "1"}), snapshot(nodes=nodes))

    assert "b" == (actual.node if actual else None)


def test_a_late_claim_gets_the_smallest_volume() -> None:
    """A claim that waits for its consumer is given the smallest free volume of its class that the node reaches."""
    volumes = [
        volume("big", size="9Gi", storage_class="local"),
        volume("small", size="2Gi", storage_class="local"),
        volume("tiny", size="1Mi", storage_class="local"),
        volume("taken", storage_class="local", claimRef={"uid": "someone"}),
        volume("far", storage_class="local", nodeAffinity=ELSEWHERE),
    ]
    wanted = claim(storage_class="local")

    actual = place(pod(claims=("c",)), snapshot(claims=[wanted], volumes=volumes, classes={"local": LATE}))

    assert Placement("n1", reserve=(Reserve(wanted, volumes[1]),)) == actual


def test_a_reservation_is_kept() -> None:
    """A second look finds the volume that the first one reserved, even where a smaller one has appeared."""
    wanted = claim(storage_class="local")
    volumes = [
        volume("small", storage_class="local"),
        volume("mine", size="9Gi", storage_class="local", claimRef={"uid": "uid-c"}),
    ]

    actual = place(pod(claims=("c",)), snapshot(claims=[wanted], volumes=volumes, classes={"local": LATE}))

    assert Placement("n1", reserve=(Reserve(wanted, volumes[1]),)) == actual


def test_a_provisioner_is_asked() -> None:
    """A class with a provisioner needs no volume beforehand."""
    wanted, dynamic = claim(storage_class="fast"), LATE | {"provisioner": "example.org/disk"}

    actual = place(pod(claims=("c",)), snapshot(claims=[wanted], classes={"fast": dynamic}))

    assert Placement("n1", reserve=(Reserve(wanted, None),)) == actual


@given(st.permutations(["a", "b", "c"]), st.text(min_size=1))
def test_every_node_comes_to_the_same_answer(order: list[str], name: str) -> None:
    """The order in which a node learned of the others does not change where a Pod goes."""
    expected = place(pod(name), snapshot(nodes=[node(one) for one in "abc"]))

    actual = place(pod(name), snapshot(nodes=[node(one) for one in order]))

    assert expected == actual


@pytest.mark.parametrize(
    ("given", "waits"),
    [
        (pod(), True),
        (pod(nodeName="n1"), False),
        (pod(schedulingGates=[{"name": "later"}]), False),
        (pod(schedulerName="own"), False),
        ({**pod(), "status": {"phase": "Failed"}}, False),
        ({**pod(), "metadata": {**pod()["metadata"], "deletionTimestamp": "now"}}, False),
    ],
)
def test_waiting(given: Json, waits: bool) -> None:
    """Only a Pod that the default scheduler would look at is placed."""
    actual = is_waiting_for_placement(given)

    assert waits == actual
