"""What happens while no operator runs is found by the next one: fetches that ended, fetches that were deleted."""

import json
from collections.abc import Iterator
from itertools import groupby

import pytest

from modelfetch.devcluster.hub.content import Weights
from modelfetch.devcluster.hub.hub import FixtureHub
from modelfetch.devcluster.hub.repository import RepoSpec
from modelfetch.devcluster.workspace import Workspace
from tests.cluster.outcome import wait_settled
from tests.cluster.world import Object, World, repo, slow, until

MIB = 1 << 20
WEIGHTS = "model.safetensors"


@pytest.fixture
def world(unmanned: World) -> World:
    """A namespace of a cluster whose operator the test starts and kills."""
    return unmanned


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    """A hub of its own, whose models share no file."""
    specs = [RepoSpec(f"acme/{name}", {WEIGHTS: Weights(MIB, seed=n)}) for n, name in enumerate(("a", "b", "c"))]
    with FixtureHub(specs) as made:
        yield made


def tree_of(world: World, name: str) -> str:
    """Return what is published under a name: nothing, or its only file."""
    found = list((world.volume / "models" / world.namespace / name).glob(f"*/{WEIGHTS}"))
    return found[0].name if found else ""


def first_versions(world: World, kind: str) -> list[Object]:
    """Return the objects of a kind that ever were, as they were created."""
    return [versions[0] for versions in world.recorder.by_uid(kind).values()]


def task_of(job: Object) -> str:
    """Return what a Job is for. Where there was no Lease, in the first test of a cluster, what is Ready is checked."""
    return str(job["metadata"]["labels"]["modelfetch.io/task"])


def delete(world: World, *names: str) -> None:
    """Delete ModelFetches; no finalizer holds them up, whether an operator runs or not."""
    world.kubectl("delete", "modelfetch", *names, "--wait=true", "--timeout=20s")


def test_a_fetch_that_ends_meanwhile_is_found_ready(world, operator, hub):
    """The Job needs no operator; the next one reads how it ended and starts nothing anew."""
    slow(hub)
    operator.start_and_wait()
    world.fetch("model", repo(hub, "acme/a"))
    job = world.wait_phase("model", "Downloading")["attempt"]["jobName"]
    operator.kill()
    hub.rules.clear()
    world.kubectl("wait", "--for=condition=Complete", f"job/{job}", "--timeout=120s")
    before = world.status("model")
    operator.start_and_wait()
    world.wait_phase("model", "Ready")

    assert "Downloading" == before["phase"]
    assert {job} == {body["metadata"]["name"] for body in world.recorder.versions("Job") if task_of(body) != "check"}


def test_a_fetch_deleted_meanwhile_is_found_by_its_tree(world, operator, hub):
    """A survey names the owner that is gone, a removal takes its tree; who lives or is to be retained stays."""
    operator.start_and_wait()
    for name, policy in (("a", "Delete"), ("b", "Retain"), ("c", "Delete")):
        world.fetch(name, repo(hub, f"acme/{name}"), deletionPolicy=policy)
    for name in ("a", "b", "c"):
        world.wait_phase(name, "Ready")
    operator.kill()
    delete(world, "a", "b")
    operator.start_and_wait()
    until(lambda: not tree_of(world, "a"), lambda: "the tree of a deleted fetch stays")
    wait_settled(world)
    tasks = [task for task in map(task_of, first_versions(world, "Job")) if task != "check"]

    assert (WEIGHTS, WEIGHTS) == (tree_of(world, "b"), tree_of(world, "c"))
    assert 2 == len(list(world.volume.glob("blobs/sha256/*/*")))
    assert ["fetch", "fetch", "fetch", "survey", "remove", "survey"] == tasks


def test_a_fetch_started_just_before_the_end_and_deleted_meanwhile_is_found(world, operator, hub):
    """No operator has ever written down that this fetch had files, because it was killed as soon as it started one."""
    operator.start_and_wait()
    world.fetch("a", repo(hub, "acme/a"))
    until(lambda: bool(world.recorder.versions("Job")), lambda: "no Job is created")
    operator.kill()
    until(lambda: world.published("a").is_dir(), lambda: "the Job does not publish")
    world.kubectl("wait", "--for=condition=Complete", "job", "--all", "--timeout=60s")
    delete(world, "a")
    operator.start_and_wait()

    until(
        lambda: not tree_of(world, "a"), lambda: f"the tree stays; the store says {world.get('modelstore', 'default')}"
    )


def test_a_store_that_is_new_takes_nothing_away(world, operator, hub):
    """On a volume that another cluster has filled, trees of unknown owners stay: their bytes are there to be reused."""
    operator.start_and_wait()
    world.fetch("a", repo(hub, "acme/a"))
    world.wait_phase("a", "Ready")
    operator.kill()
    delete(world, "a")
    store = world.get("modelstore", "default")
    world.kubectl("delete", "modelstore", "default")
    world.apply({key: store[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": "default"}})
    operator.start_and_wait()
    world.kubectl("wait", "--for=condition=Ready", "modelstore/default", "--timeout=60s")
    asked = len(hub.requests)
    world.fetch("again", repo(hub, "acme/a"))
    status = world.wait_phase("again", "Ready")

    assert WEIGHTS == tree_of(world, "a")
    assert MIB == status["progress"]["bytesReused"], json.dumps(status)
    assert [] == [request.path for request in hub.requests[asked:] if request.port == "cdn"]


class OtherWorkspace(Workspace):
    """The same claim, bound to another volume."""

    @property
    def volume_name(self) -> str:
        """Name of the volume."""
        return f"{self.namespace}-other"


def test_a_claim_made_anew_takes_ready_back_until_the_files_are_there_again(world, operator, hub, tmp_path):
    """Behind the same name is an empty volume now; another attempt fills it, and the status tells which one it is."""
    operator.start_and_wait()
    world.fetch("a", repo(hub, "acme/a"))
    first = world.wait_phase("a", "Ready")["artifact"]
    operator.kill()
    other = OtherWorkspace(world.namespace, tmp_path / "other")
    other.folder.mkdir()
    world.kubectl("delete", "jobs", "--all", "--cascade=foreground", "--timeout=60s")  # their Pods hold the claim
    world.kubectl("delete", "pvc", "models", "--timeout=60s")
    world.apply(*other.objects()[1:3])
    try:
        operator.start_and_wait()
        status = world.wait("a", lambda s: (s.get("artifact") or {}).get("volumeName") == other.volume_name)
    finally:
        world.kubectl("delete", "pv", other.volume_name, "--wait=false")
    is_ready = [(version.get("status") or {}).get("phase") == "Ready" for version in world.versions("a")]

    assert (f"{world.namespace}-models", "Ready", 2) == (
        first["volumeName"],
        status["phase"],
        status["attempt"]["number"],
    )
    assert (other.folder / first["path"] / WEIGHTS).exists()
    assert [False, True, False, True] == [truth for truth, _ in groupby(is_ready)]
