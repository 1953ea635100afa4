"""The ground goes: the API server, its etcd, what etcd knew, definitions, a namespace. By the rows of docs/faults.md.

Each test has a cluster of its own, which nobody else uses; etcd and the API server are killed and started again under a
running operator, process node and fetcher. So no watch of the test's own tells what was: what is left is looked at.
"""

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from modelfetch.devcluster.cluster import cluster
from modelfetch.devcluster.hub.content import Weights
from modelfetch.devcluster.hub.hub import FixtureHub
from modelfetch.devcluster.hub.repository import RepoSpec
from modelfetch.devcluster.parts import OPERATOR_NAMESPACE, Parts
from modelfetch.devcluster.workspace import Workspace
from modelfetch.kube.objects import MODELFETCHES, MODELSTORES
from tests.cluster import rights
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.oracles import expect_all_holds
from tests.cluster.outcome import left_by, wait_settled
from tests.cluster.plane import CONTROLLERS, ETCD, SERVER, Plane
from tests.cluster.recorder import Recorder
from tests.cluster.shared import cluster_name
from tests.cluster.world import Object, World, make_world, repo, slow, until, with_token

CRDS = Path(__file__).parents[2] / "crds"
MIB = 1 << 20
QUOTA = 24 * MIB
"""Of etcd; an empty cluster with its definitions has a few."""
FULL = "database space exceeded"


@dataclass(frozen=True)
class Ground:
    """A cluster of its own, in it a namespace with a store; the operator has not started yet."""

    world: World
    operator: OperatorProcess
    plane: Plane
    hub: FixtureHub

    def fetch(self, *names: str) -> None:
        """Apply a ModelFetch for each, of the model of that name."""
        for name in names:
            self.world.fetch(name, repo(self.hub, f"acme/{name}"))

    def download(self, name: str) -> None:
        """Start the operator, and return while a fetch of the model of that name trickles in."""
        slow(self.hub)
        self.operator.start_and_wait()
        self.fetch(name)
        self.world.wait_phase(name, "Downloading")

    def keep_up(self) -> None:
        """Start the operator again where it has ended by itself, as its Deployment would."""
        if not self.operator.is_running():
            self.operator.start()

    def restore(self, backup: Path) -> None:
        """Take etcd back to a backup that whoever leads has renewed the Lease since, as it does every few seconds."""
        before = _lease(self.world)["resourceVersion"]

        def is_renewed() -> bool:
            self.keep_up()
            return bool(_lease(self.world)["resourceVersion"] != before)

        until(is_renewed, self.operator.said)
        self.plane.restore(backup)

    def until_said(self, words: str) -> None:
        """Return when the operator, or the one after it, has said this."""

        def has_said() -> bool:
            self.keep_up()
            return words in self.operator.said()

        until(has_said, self.operator.said)

    def wait_ended(self, *names: str) -> dict[str, Object]:
        """Return the statuses of these once all are Ready or Failed."""
        found: dict[str, Object] = {}

        def have_ended() -> bool:
            self.keep_up()
            found.update({name: self.world.status(name) for name in names})
            return all(status.get("phase") in ("Ready", "Failed") for status in found.values())

        until(have_ended, lambda: f"{found}\n{self.operator.said()}")
        return found

    def expect_published_once(self, *names: str) -> None:
        """Each becomes Ready by its first attempt, its bytes are there, and no private file is left."""
        found = self.wait_ended(*names)
        assert dict.fromkeys(names, ("Ready", 1)) == {n: (s["phase"], s["attempt"]["number"]) for n, s in found.items()}
        assert sorted(names) == sorted(map(_fetch_of, self.world.all("jobs", "-l", "modelfetch.io/task=fetch")))
        assert [] == [name for name in names if not (self.world.published(name) / "model.safetensors").exists()]
        until(lambda: not left_by(self.world), lambda: f"private files stay: {left_by(self.world)}")
        wait_settled(self.world)
        assert [] == list((self.world.volume / "trash").iterdir())


def _fetch_of(job: Object) -> str:
    return str(job["metadata"]["annotations"]["modelfetch.io/fetch-name"])


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    """A hub of its own, whose models share no file."""
    specs = [RepoSpec(f"acme/{name}", {"model.safetensors": Weights(MIB, seed=n)}) for n, name in enumerate("abc")]
    with FixtureHub(specs) as made:
        yield made


@pytest.fixture
def unmanned(tmp_path: Path) -> Iterator[World]:
    """A namespace of a cluster of its own, of which nothing is left afterwards."""
    parts = Parts(hub=False, operator=False, audit=True)
    with cluster(cluster_name("outage"), parts, os.environ, datetime.now(UTC), print) as summary:
        yield with_token(make_world(summary, Workspace("outage", tmp_path / "volume"), Recorder()))


@pytest.fixture
def ground(unmanned: World, operator: OperatorProcess, hub: FixtureHub) -> Ground:
    """The operator has not started yet."""
    return Ground(unmanned, operator, Plane(unmanned.summary), hub)


@pytest.fixture
def waiting(ground: Ground, tmp_path: Path) -> Iterator[OperatorProcess]:
    """Another replica, which has not started yet."""
    made = OperatorProcess(ground.world.summary, tmp_path / "waiting.log", "waiting")
    yield made
    made.kill()


def test_f13_the_server_is_down_at_the_start(ground):
    """The operator waits for it, and says so; then everything goes as ever."""
    ground.plane.kill(SERVER)
    ground.operator.start()
    until(lambda: "waits to lead" in ground.operator.said(), ground.operator.said)
    ground.plane.start(SERVER)
    ground.operator.wait_running()
    ground.fetch("a")

    ground.expect_published_once("a")


def test_f13_the_server_is_down_for_a_moment(ground):
    """A fetch goes on meanwhile, and nothing is made anew, whether the operator still leads by then or not."""
    ground.download("a")
    ground.plane.kill(SERVER)
    until(lambda: "cannot renew the Lease" in ground.operator.said(), ground.operator.said)
    ground.plane.start(SERVER)
    ground.hub.rules.clear()
    ground.fetch("b")

    ground.expect_published_once("a", "b")


def test_f13_the_server_is_down_for_longer_than_a_leader_may_write(ground):
    """The fetch ends meanwhile and the operator does, too; the next one finds what was published."""
    ground.download("a")
    ground.plane.kill(SERVER)
    ground.hub.rules.clear()
    ended = ground.operator.wait_ended(within_s=60.0)
    ground.plane.start(SERVER)
    ground.operator.start()

    assert 1 == ended
    ground.expect_published_once("a")


def test_f25_a_full_etcd(ground):
    """What cannot be written is written when there is room again; a fetch that ran meanwhile is not made anew."""
    ground.download("a")
    ground.plane.kill(SERVER, ETCD)
    ground.plane.start(ETCD, flags=(f"--quota-backend-bytes={QUOTA}",))
    ground.plane.start(SERVER)
    _fill(ground.world)
    ground.until_said(FULL)
    ground.hub.rules.clear()
    _make_room(ground.world, ground.plane)
    ground.fetch("b")

    ground.expect_published_once("a", "b")


def test_f26_an_etcd_from_a_backup(ground, tmp_path):
    """It knows nothing of what came since: that is fetched anew when somebody asks; what it knows stays as it was."""
    ground.operator.start_and_wait()
    ground.fetch("a")
    ground.world.wait_phase("a", "Ready")
    ground.plane.back_up(tmp_path / "backup")
    ground.fetch("b")
    ground.wait_ended("b")
    ground.restore(tmp_path / "backup")
    ground.fetch("b", "c")

    ground.expect_published_once("a", "b", "c")


def test_f26_a_fetch_that_was_deleted_since_the_backup(ground, waiting, tmp_path):
    """It is there again, and says Ready; who leads finds that its files have gone, says so, and fetches them."""
    ground.operator.start_and_wait()
    ground.fetch("a", "b")
    before = ground.wait_ended("a", "b")
    ground.plane.back_up(tmp_path / "backup")
    tree = ground.world.published("b")
    ground.world.kubectl("delete", "modelfetch", "b")

    def is_removed():
        ground.keep_up()
        return not tree.exists()

    until(is_removed, ground.operator.said)
    waiting.start()
    until(lambda: "waits to lead" in waiting.said(), waiting.said)
    ground.restore(tmp_path / "backup")

    def is_fetched_again():
        ground.keep_up()
        status = ground.world.status("b")
        return status["attempt"]["number"] == 2 and status["phase"] == "Ready"

    until(is_fetched_again, lambda: f"{ground.world.status('b')}\n{ground.operator.said()}\n{waiting.said()}")
    assert before["a"] == ground.world.status("a")
    assert (ground.world.published("b") / "model.safetensors").exists()

    def asks_no_more():
        return "modelfetch.io/check-published" not in (_lease(ground.world).get("annotations") or {})

    until(asks_no_more, lambda: str(_lease(ground.world)))
    for replica in (waiting, ground.operator):
        if replica.is_running():
            replica.signal(signal.SIGTERM)
            replica.wait_ended()


def test_f34_a_job_controller_that_is_slow(ground):
    """It makes no Pod for the Job while it is away: the fetch says what it waits for, and no second Job is made."""
    ground.plane.kill(CONTROLLERS)
    ground.operator.start_and_wait()
    ground.fetch("a")
    waits = ground.world.wait("a", lambda status: (status.get("attempt") or {}).get("number"))
    for _ in range(3):
        ground.operator.look_at_everybody()
    still = ground.world.status("a")
    ground.plane.start(CONTROLLERS)

    assert waits == still
    assert "waits for its Pod to start" == next(c["message"] for c in still["conditions"] if c["type"] == "Ready")
    ground.expect_published_once("a")


def test_f96_the_namespace_goes_in_mid_download(ground, tmp_path):
    """It is gone with all that was in it: nothing of ours holds it, and other namespaces see nothing of that."""
    since = rights.now(ground.world.summary)
    ground.download("a")
    pid = ground.operator.pid
    ground.world.kubectl("delete", "namespace", ground.world.namespace, "--timeout=60s")
    ground.hub.rules.clear()
    elsewhere = replace(
        ground, world=with_token(make_world(ground.world.summary, Workspace("f96", tmp_path / "other"), Recorder()))
    )
    elsewhere.fetch("a")

    elsewhere.expect_published_once("a")
    assert pid == ground.operator.pid
    expect_all_holds(elsewhere.world, ground.operator, since)


def test_f96_the_definitions_go_in_mid_download(ground):
    """With them go all fetches; once they are there again, what is applied anew is fetched, and the old Jobs go."""
    ground.download("a")
    before, pid = ground.world.all("jobs,pods"), ground.operator.pid
    kinds = [f"{kind.plural}.{kind.group}" for kind in (MODELFETCHES, MODELSTORES)]
    stores = ground.world.kubectl("get", "modelstores", "-o", "json")
    ground.world.kubectl("delete", "crd", *kinds, "--timeout=60s")
    ground.hub.rules.clear()
    ground.world.kubectl("apply", "-f", str(CRDS))
    ground.world.kubectl("wait", "--for=condition=Established", "crd", *kinds)
    for body in json.loads(stores)["items"]:
        meta = {"name": body["metadata"]["name"]}
        ground.world.apply({key: body[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": meta})
    ground.fetch("a")

    assert ("Ready", pid) == (ground.wait_ended("a")["a"]["phase"], ground.operator.pid)
    assert (ground.world.published("a") / "model.safetensors").exists()
    old = {body["metadata"]["uid"] for body in before}
    # By Kubernetes' garbage collector, which knows no owners of a kind that is not defined.
    until(lambda: old.isdisjoint(body["metadata"]["uid"] for body in ground.world.all("jobs,pods")), lambda: str(old))


def _lease(world: World) -> Object:
    """Return the metadata of the operator's Lease."""
    body = json.loads(world.kubectl("get", "lease", "-n", OPERATOR_NAMESPACE, "modelfetch-operator", "-o", "json"))
    return dict(body["metadata"])


def _fill(world: World) -> None:
    """Afterwards etcd takes nothing more."""
    for number in range(2 * QUOTA // MIB):
        meta = {"name": f"ballast-{number}", "labels": {"is": "ballast"}}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"it": "x" * (MIB - 4096)}}
        done = world.try_kubectl("create", "-f", "-", stdin=json.dumps(body))
        if FULL in done.stderr:
            return
    raise AssertionError(f"etcd still has room: {done}")


def _make_room(world: World, plane: Plane) -> None:
    """Do what etcd's manual says: delete, compact, defragment, and take the alarm back."""
    world.kubectl("delete", "configmap", "-l", "is=ballast")
    revision = plane.etcd("maintenance/status")["header"]["revision"]
    plane.etcd("kv/compaction", revision=revision, physical=True)
    plane.etcd("maintenance/defragment")
    for alarm in plane.etcd("maintenance/alarm", action="GET")["alarms"]:
        plane.etcd("maintenance/alarm", action="DEACTIVATE", **alarm)
