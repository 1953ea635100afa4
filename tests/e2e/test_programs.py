"""Programs of the node and of the operator that end while a fetch runs, and come back."""

import contextlib
import json
import os
from collections.abc import Iterator

import pytest

from modelfetch.devcluster.hub.hub import FixtureHub
from modelfetch.devcluster.hub.weights import weights_pieces
from modelfetch.devcluster.realnode.images import PROJECT_IMAGE
from modelfetch.devcluster.realnode.kubelet import NODE_NAME
from modelfetch.devcluster.realnode.node import RealNode
from tests.cluster.chart import NAMESPACE
from tests.cluster.test_resume import WEIGHTS, carries_out, download, errors, second_order
from tests.cluster.world import Object, World, repo, until
from tests.e2e.kernel import processes, weaknesses
from tests.e2e.telling import download_steadily, set_job_template, wait_ready, wait_reason

OPERATOR = ["--namespace", NAMESPACE, "-l", "app.kubernetes.io/component=operator"]


def operators(world: World) -> list[Object]:
    """Return the operator's Pods."""
    return list(json.loads(world.kubectl("get", "pods", *OPERATOR, "-o", "json"))["items"])


@pytest.mark.short
@pytest.mark.case("operator: the released image at the restricted level", "published")
def test_the_operator_is_the_released_image(world: World, hub: FixtureHub) -> None:
    """The chart's Pod of the image that Containerfile makes works and is ready, with a read-only root and no rights."""
    world.fetch("model", repo(hub, "acme/small"))
    wait_ready(world)
    (pod,) = operators(world)
    (container,) = pod["status"]["containerStatuses"]
    (process,) = processes("/bin/modelfetch-operator")

    assert (PROJECT_IMAGE, True) == (container["image"], container["ready"])
    assert [] == weaknesses(process)


@pytest.mark.short
@pytest.mark.case("operator's Pod deleted while a fetch downloads", "published")
def test_an_operator_that_is_replaced(world: World, hub: FixtureHub) -> None:
    """The attempt goes on without it, and the next operator finds what it came to."""
    download_steadily(world, hub)
    world.kubectl("delete", "pod", *OPERATOR, "--wait=false")

    assert 1 == wait_ready(world)["attempt"]["number"]


@pytest.mark.short
@pytest.mark.case("kubelet away while a fetch ends", "published")
def test_a_kubelet_that_is_away(node: RealNode, world: World, hub: FixtureHub) -> None:
    """The fetcher publishes with nobody looking; the kubelet finds its last message when it is back."""
    download_steadily(world, hub)
    node.kill("kubelet")
    try:
        until(lambda: (world.published("model") / "model.safetensors").exists(), lambda: "nothing is published")
    finally:
        node.start_kubelet()

    assert 1 == wait_ready(world)["attempt"]["number"]


@pytest.mark.case("containerd killed and started while a fetch runs", "published")
def test_a_containerd_that_is_killed(node: RealNode, world: World, hub: FixtureHub) -> None:
    """The container outlives it, and so does the attempt."""
    download_steadily(world, hub)
    node.kill("containerd")
    node.start_containerd()

    assert 1 == wait_ready(world)["attempt"]["number"]
    until(node.is_ready, lambda: "the node is not Ready")


def is_alive(attempt: str) -> bool:
    """Tell whether a process of an attempt runs."""
    return any(carries_out(int(pid), attempt) for pid in os.listdir("/proc") if pid.isdigit())


NODE_MONITOR_GRACE_S = 50.0
"""Seconds without a word after which the cluster calls a node's state unknown (kube-controller-manager's default)."""
UNREACHABLE, GIVEN_UP = "node.kubernetes.io/unreachable:NoExecute", "node.kubernetes.io/out-of-service=lost:NoExecute"


@contextlib.contextmanager
def lost(node: RealNode, world: World) -> Iterator[None]:
    """Have the node answer nobody for the time of the block, while all that it started goes on.

    The taint stands for the node controller, which gives no Pod up where no node at all answers.
    """
    node.kill("kubelet")
    try:
        world.kubectl("taint", "node", NODE_NAME, UNREACHABLE)
        yield
    finally:
        for taint in (UNREACHABLE, GIVEN_UP):
            world.try_kubectl("taint", "node", NODE_NAME, f"{taint}-")
        node.start_kubelet()


@pytest.mark.case("node silent for a minute, then back", "NodeLost")
def test_a_node_that_is_silent(node: RealNode, world: World, hub: FixtureHub) -> None:
    """It is told once the cluster says so, long before a Pod is given up; the same attempt is Ready in the end."""
    download_steadily(world, hub)
    node.kill("kubelet")
    try:
        wait_reason(world, "NodeLost", within_s=NODE_MONITOR_GRACE_S + 60.0)
    finally:
        node.start_kubelet()

    assert 1 == wait_ready(world)["attempt"]["number"]
    assert [] == errors(world)


@pytest.mark.case("node lost, its process goes on, node back", "NodeLost")
def test_a_node_that_is_lost_and_back(node: RealNode, world: World, hub: FixtureHub) -> None:
    """Nobody says that the attempt has ended, and it has not: the next one trusts nothing of it and is right.

    An administrator gives the node up, which lets the cluster forget the Pod; its process has not heard of that.
    """
    at_once = {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"}
    set_job_template(world, {"tolerations": [{**at_once, "tolerationSeconds": 1}]})
    first = download(world, hub)
    with lost(node, world):
        wait_reason(world, "NodeLost", within_s=90.0)
        world.kubectl("taint", "node", NODE_NAME, GIVEN_UP)
        order = second_order(world, first)
        hub.rules.clear()
        assert is_alive(first)
    wait_ready(world)
    content = (world.published("model") / "model.safetensors").read_bytes()

    assert [] == order["ended"]
    assert b"".join(weights_pieces(WEIGHTS)) == content
    assert {"NodeLost"} == {error["reason"] for error in errors(world)}
    until(lambda: not is_alive(first), lambda: f"the process of {first} stays")
