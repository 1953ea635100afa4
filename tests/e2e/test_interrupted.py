"""What ends a fetch Pod in the middle of its work: the reason that is told, and what the next attempt goes on from."""

import pytest

from modelfetch.devcluster.hub.hub import FixtureHub
from modelfetch.devcluster.realnode.images import PROJECT_IMAGE
from modelfetch.devcluster.realnode.kubelet import NODE_NAME
from modelfetch.transfer.segments import SEGMENT_BYTES
from tests.cluster.test_resume import SIZE, download, errors, kill_fetcher, second_order, sent
from tests.cluster.world import Object, World, repo, slow, until
from tests.e2e.telling import (
    patch,
    pod_of,
    restricted_pod,
    set_job_template,
    wait_pods_gone,
    wait_ready,
    wait_reason,
)


def expect_resumed(world: World, hub: FixtureHub) -> None:
    """The second attempt publishes, the first was not counted, and what it had verified crosses the network once."""
    hub.rules.clear()
    attempt = wait_ready(world)["attempt"]

    assert (2, 0) == (attempt["number"], attempt.get("failures", 0)), errors(world)
    assert sent(hub) <= SIZE + 2 * SEGMENT_BYTES


def expect_told_evicted(world: World) -> None:
    """The cluster took the node for something else, and the status says that."""
    assert {"Evicted"} == {error["reason"] for error in errors(world)}


@pytest.mark.short
@pytest.mark.case("Pod deleted while it downloads", "Cancelled")
def test_a_deleted_pod(world: World, hub: FixtureHub) -> None:
    """The kubelet lets the fetcher end in good order; the next attempt takes over what it left."""
    first = download(world, hub)
    world.kubectl("delete", "pod", "-l", f"job-name={first}")
    expect_resumed(world, hub)


@pytest.mark.case("Pod deleted by force while it downloads", "Cancelled")
def test_a_pod_deleted_by_force(world: World, hub: FixtureHub) -> None:
    """Nobody knows when its process ends: what it left is copied, not taken over, and is not fetched again."""
    first = download(world, hub)
    world.kubectl("delete", "pod", "-l", f"job-name={first}", "--force", "--grace-period=0")
    order = second_order(world, first)
    expect_resumed(world, hub)

    assert [] == order["ended"]


@pytest.mark.case("Job deleted while it downloads", "Cancelled")
def test_a_deleted_job(world: World, hub: FixtureHub) -> None:
    """The next attempt waits until its Pod has ended, and goes on; that somebody deleted the Job is told."""
    first = download(world, hub)
    world.kubectl("delete", "job", first)
    expect_resumed(world, hub)

    assert {"Cancelled"} == {error["reason"] for error in errors(world)}


@pytest.mark.short
@pytest.mark.case("Pod evicted through the API", "Evicted")
def test_an_evicted_pod(world: World, hub: FixtureHub) -> None:
    """What a drain, an autoscaler or a descheduler asks for is told as what it is."""
    name = pod_of(world, download(world, hub))["metadata"]["name"]
    path = f"/api/v1/namespaces/{world.namespace}/pods/{name}/eviction"
    body = f'{{"apiVersion":"policy/v1","kind":"Eviction","metadata":{{"name":"{name}"}}}}'
    world.kubectl("create", "--raw", path, "-f", "-", stdin=body)
    expect_resumed(world, hub)
    expect_told_evicted(world)


@pytest.mark.case("node drained, then open again", "Evicted")
def test_a_drained_node(world: World, hub: FixtureHub) -> None:
    """The attempt ends with its Pod, the next one says that no node takes it, and goes on when one does."""
    first = download(world, hub)
    drain = ["drain", NODE_NAME, "--pod-selector=modelfetch.io/task=fetch", "--delete-emptydir-data", "--timeout=60s"]
    try:
        world.kubectl(*drain)
        wait_pods_gone(world, first)
        wait_reason(world, "Unschedulable")
    finally:
        world.kubectl("uncordon", NODE_NAME)
    expect_resumed(world, hub)
    expect_told_evicted(world)


def share_of_node(world: World, part: float) -> Object:
    """Return a request for this part of the node's processors."""
    cores = int(world.get("node", NODE_NAME)["status"]["allocatable"]["cpu"])
    return {"requests": {"cpu": f"{int(cores * 1000 * part)}m"}}


@pytest.mark.case("Pod preempted by a more important one", "Evicted")
def test_a_preempted_pod(world: World, hub: FixtureHub) -> None:
    """The scheduler ends the attempt for another Pod; the next one starts when that has gone."""
    set_job_template(world, {"resources": share_of_node(world, 0.6)})
    first = download(world, hub)
    important = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 1000}
    world.apply({**important, "metadata": {"name": world.namespace}})
    try:
        pod = restricted_pod(
            "important",
            ["sleep", "600"],
            image=PROJECT_IMAGE,
            container={"resources": share_of_node(world, 0.6)},
            priorityClassName=world.namespace,
        )
        world.apply(pod)
        wait_pods_gone(world, first)
        wait_reason(world, "Unschedulable")
    finally:
        world.kubectl("delete", "pod", "important", "--ignore-not-found")
        world.kubectl("delete", "priorityclass", world.namespace)
    expect_resumed(world, hub)
    expect_told_evicted(world)


@pytest.mark.short
@pytest.mark.case("memory limit too small, then raised", "OOMKilled")
def test_a_memory_limit(world: World, hub: FixtureHub) -> None:
    """The kernel kills the fetcher until it gives up; with a larger limit the same fetch becomes Ready by itself."""
    little = {"memory": "24Mi"}
    set_job_template(world, {"resources": {"requests": little, "limits": little}})
    world.fetch("model", repo(hub, "acme/small"), retry={"limit": 0})
    status = world.wait_phase("model", "Failed")
    set_job_template(world, None)
    wait_ready(world)

    assert "OOMKilled" == status["lastError"]["reason"]


@pytest.mark.case("attempt longer than its deadline", "DeadlineExceeded")
def test_a_deadline(world: World, hub: FixtureHub) -> None:
    """The fetcher ends itself and says so, before the Job's own deadline would; nothing is tried again."""
    slow(hub, 10_000)
    world.fetch("model", repo(hub), transfer={"deadline": "8s"})
    status = world.wait_phase("model", "Failed")

    assert ("DeadlineExceeded", False) == (status["lastError"]["reason"], status["lastError"]["retryable"])


@pytest.mark.case("suspended while it downloads, then resumed", "Suspended")
def test_a_suspended_fetch(world: World, hub: FixtureHub) -> None:
    """Its Pod ends in good order, and what was verified stays for the day on which it goes on."""
    first = download(world, hub)
    patch(world, "modelfetch", "model", {"suspend": True})
    wait_reason(world, "Suspended")
    until(lambda: not world.all("jobs,pods"), lambda: f"{first} goes")
    hub.rules.clear()
    patch(world, "modelfetch", "model", {"suspend": False})
    wait_ready(world)

    assert sent(hub) <= SIZE + 2 * SEGMENT_BYTES
    assert [] == list((world.volume / "ingest").iterdir())


@pytest.mark.short
@pytest.mark.case("process killed by a signal", "Cancelled")
def test_a_killed_process(world: World, hub: FixtureHub) -> None:
    """The container's end is the kubelet's word: the next attempt may take over what it left, and is told so."""
    first = download(world, hub)
    kill_fetcher(first)
    order = second_order(world, first)
    expect_resumed(world, hub)

    assert [first] == order["ended"]
