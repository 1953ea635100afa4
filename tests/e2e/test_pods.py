"""What only a kernel and a kubelet can show of an ordinary fetch: users, mounts, groups, logs, the last message."""

import hashlib
from pathlib import Path

import pytest

from modelfetch.devcluster.hub.hub import FixtureHub
from modelfetch.devcluster.hub.weights import weights_pieces
from modelfetch.devcluster.realnode.images import PROJECT_IMAGE
from modelfetch.devcluster.realnode.kubelet import NODE_NAME
from modelfetch.reasons import Reason
from modelfetch.report import parse
from tests.cluster.test_resume import SIZE, WEIGHTS
from tests.cluster.world import World, repo, slow, until
from tests.e2e.kernel import USER, mounts_of, process_of, weaknesses
from tests.e2e.telling import download_steadily, pod_of, restricted_pod, wait_ready, wait_reason
from tests.e2e.volumes import resize, second_store, small_disk

SHA256 = hashlib.sha256(b"".join(weights_pieces(WEIGHTS))).hexdigest()


@pytest.mark.short
@pytest.mark.case("fetch in a namespace at the restricted level", "published")
def test_a_fetch_is_published(world: World, hub: FixtureHub) -> None:
    """From apply to Ready on a real node: the scheduler's choice is told, the bytes are right, one attempt did it."""
    world.fetch("model", repo(hub))
    attempt = wait_ready(world)["attempt"]
    content = (world.published("model") / "model.safetensors").read_bytes()

    assert (1, NODE_NAME) == (attempt["number"], attempt["node"])
    assert SHA256 == hashlib.sha256(content).hexdigest()


@pytest.mark.short
@pytest.mark.case("process of the fetcher, as the kernel holds it", "published")
def test_the_kernel_holds_the_fetcher(world: World, hub: FixtureHub) -> None:
    """No root, no capability, no new privileges, filtered system calls; it may write to its volume and to /tmp."""
    download_steadily(world, hub)
    process = process_of(world.status("model")["attempt"]["jobName"])
    mounts, weak = mounts_of(process), weaknesses(process)
    wait_ready(world)

    assert [] == weak
    assert {"rw"} == {word for place in ("/volume", "/tmp") for word in mounts[place] & {"ro", "rw"}}
    assert not [place for place in mounts if "serviceaccount" in place]


@pytest.mark.short
@pytest.mark.case("fsGroup on a volume that belongs to root", "published")
def test_the_volume_is_given_to_the_group(world: World, hub: FixtureHub) -> None:
    """The kubelet gives the root of the volume to the Pod's group; the files are the fetcher's."""
    before = world.volume.stat()
    world.fetch("model", repo(hub, "acme/small"))
    wait_ready(world)
    after, file = world.volume.stat(), (world.published("model") / "config.json").stat()

    assert (0, 0) == (before.st_uid, before.st_gid)
    assert (0, USER, 0o2070) == (after.st_uid, after.st_gid, after.st_mode & 0o2070)
    assert (USER, USER) == (file.st_uid, file.st_gid)


@pytest.mark.short
@pytest.mark.case("termination message, log and progress", "published")
def test_the_pod_tells(world: World, hub: FixtureHub) -> None:
    """Progress is read from the log while it runs; its last line and the kubelet's message name what was published."""
    slow(hub, 2_000_000)
    world.fetch("model", repo(hub), transfer={"connectionsPerFile": 1})
    status = wait_ready(world)
    pod = pod_of(world, status["attempt"]["jobName"])
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    message, log = parse(ended["message"]), parse(world.kubectl("logs", pod["metadata"]["name"]))
    percents = [((v.get("status") or {}).get("progress") or {}).get("percent", 0) for v in world.versions("model")]

    assert message == log
    assert message is not None
    assert message.artifact is not None
    assert (0, status["artifact"]["digest"]) == (ended["exitCode"], message.artifact.digest)
    assert [percent for percent in percents if 0 < percent < 100]


@pytest.mark.short
@pytest.mark.case("consumer of another user, mounted read-only", "published")
def test_a_consumer_reads_and_cannot_write(world: World, hub: FixtureHub) -> None:
    """Another Pod mounts the path of the status as subPath: the same bytes, and no way to change them."""
    world.fetch("model", repo(hub))
    path = wait_ready(world)["artifact"]["path"]
    script = "sha256sum /model/model.safetensors; touch /model/x; true"
    mount = {"name": "models", "mountPath": "/model", "subPath": path, "readOnly": True}
    volume = {"name": "models", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}}
    pod = restricted_pod(
        "reader", ["sh", "-c", script], image=PROJECT_IMAGE, volumes=[volume], container={"volumeMounts": [mount]}
    )
    world.apply(pod)
    until(
        lambda: world.get("pod", "reader")["status"]["phase"] == "Succeeded",
        lambda: world.kubectl("describe", "pod", "reader"),
    )
    said = world.kubectl("logs", "reader")

    assert said.startswith(SHA256)
    assert "Read-only file system" in said


@pytest.mark.case("ModelFetch deleted: a Job removes its files", "published")
def test_a_deleted_fetch_takes_its_files_along(world: World, hub: FixtureHub) -> None:
    """The removal runs in a Pod of the same user, on a volume that only its group may write."""
    world.fetch("model", repo(hub, "acme/small"))
    wait_ready(world)
    world.kubectl("delete", "modelfetch", "model")
    until(lambda: not list(world.volume.glob("blobs/sha256/*/*")), lambda: world.kubectl("get", "jobs,pods"))

    assert not (world.volume / "models" / world.namespace / "model").exists()


@pytest.mark.short
@pytest.mark.case("bytes that are not what the hub lists", "ChecksumMismatch")
def test_wrong_bytes_end_with_their_exit_code(world: World, hub: FixtureHub) -> None:
    """The kubelet reports the exit code of the reason, the message tells the rest; nothing is published."""
    world.fetch("model", repo(hub, "acme/damaged"))
    wait_reason(world, "ChecksumMismatch", within_s=120.0)
    status = world.wait_phase("model", "Failed")
    ended = pod_of(world, status["attempt"]["jobName"])["status"]["containerStatuses"][0]["state"]["terminated"]

    assert Reason.CHECKSUM_MISMATCH.row.exit_code == ended["exitCode"]
    assert "model.safetensors" == status["lastError"]["file"]
    assert not world.published("model").exists()


@pytest.mark.case("volume with less room than the model", "InsufficientStorage")
def test_a_full_volume_is_told_and_filled_when_it_grows(world: World, hub: FixtureHub, tmp_path: Path) -> None:
    """What the file system has room for is told in bytes before anything moves; a larger one is enough."""
    with small_disk(tmp_path / "disk", "16m") as disk, second_store(world, disk) as second:
        world.apply(second.claim(), second.volume(), second.store())
        world.fetch("model", repo(hub), storeRef={"name": "second"}, retry={"initialDelay": "5s", "maxDelay": "5s"})
        wait_reason(world, "InsufficientStorage", str(SIZE))
        resize(disk, "128m")
        wait_ready(world)
