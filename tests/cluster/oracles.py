"""What has to hold when a fault is over, whichever it was: nobody who writes a row has to think of it.

Comes in: a namespace, and the operator that lives in it or is to. Goes out: a failure, where something does not hold of

- right bytes (I1) and Ready: what a status says is published is there, with these bytes (I2, I3);
- quiet: all is looked at three times, and nothing is written (I4);
- nothing too much: one Job for each attempt; no private file, Job or Pod of those who are gone (I5);
- no secret: the token of the fetches stands in no status, Event, log or file (I6);
- a bounded price: the operator's writes (I7);
- nothing elsewhere: it wrote only where it was to look (I9; what it asks for is compared with its rights, too);
- explained: whoever is not Ready says why, and until when (I8), as each earlier status did that world.py has seen;
- deleted is gone: each fetch and all that it had, its policy permitting (I10).
"""

import hashlib
import json
from collections import Counter
from http.client import BAD_REQUEST
from pathlib import Path

from modelfetch.core.store import inventory
from modelfetch.devcluster.workspace import Workspace
from tests.cluster import rights
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.outcome import expect_right_bytes, holders_of, left_by, left_to, wait_settled
from tests.cluster.world import CANARY, Object, World, condition, until
from tests.kstatus import check_versions

OF_A_STORE = "mf-rm-"
"""How the names of Jobs begin that remove, survey and check."""
GONE_S = 120.0
"""Seconds within which Kubernetes' garbage collector takes what was owned; of a new kind it hears after 30."""
LOOKS = 3
"""At everybody, with full lists: the periods after which nothing is written any more (I4)."""
WRITES = 24
"""API writes for each attempt and each object, those of its store among them: twice the budget of a clean fetch."""


def expect_all_holds(world: World, operator: OperatorProcess, since: int) -> None:
    """All of the above holds; afterwards no fetch is in the namespace. `since`: where the audit log stood before it.

    In a namespace that is gone there is nothing to look at.
    """
    if not world.all("namespaces", "--field-selector", f"metadata.name={world.namespace}"):
        return
    if not operator.is_running():
        operator.start()
    operator.wait_running()
    wait_settled(world)
    expect_quiet(world, operator)
    fetches = world.all("modelfetch")
    expect_ready_means_there(world, fetches)
    expect_explained(world)
    expect_nothing_left(world, fetches, since)
    expect_bounded(world, operator, since)
    expect_no_secret(world, operator)
    expect_deletable(world, fetches)


def expect_ready_means_there(world: World, fetches: list[Object]) -> None:
    """The manifest that a Ready fetch names has its digest, and every file of it is in the tree with its bytes."""
    for body in fetches:
        status = body.get("status") or {}
        if is_here(world, body) and (condition(status, "Ready") or ("", ""))[0] == "True":
            digest, path = status["artifact"]["digest"].partition(":")[2], world.volume / status["artifact"]["path"]
            manifest = (world.volume / "manifests/sha256" / f"{digest}.json").read_bytes()
            assert hashlib.sha256(manifest).hexdigest() == digest
            files = json.loads(manifest)["files"]
            assert [] == [file["path"] for file in files if _sha256(path / file["path"]) != file["sha256"]]


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else "(absent)"


def expect_quiet(world: World, operator: OperatorProcess) -> None:
    """Once the store counts what is there, nothing is written any more, however often all is looked at."""
    until(lambda: is_counted(world), lambda: world.kubectl("get", "modelstores,modelfetches", "-o", "yaml"))
    operator.look_at_everybody()  # what was under way, an Event perhaps, has ended then
    before = rights.now(world.summary)
    for _ in range(LOOKS):
        operator.look_at_everybody()

    late = writes_in(world, before)
    assert not late, "\n".join(map(str, late))


def is_counted(world: World) -> bool:
    """Whether the store says how many there are, how many of them Ready, and that the others have ended, too."""
    phases = [(body.get("status") or {}).get("phase") for body in world.all("modelfetch")]
    there = {"total": len(phases), "ready": phases.count("Ready"), "running": 0, "queued": 0}
    return (world.get("modelstore", "default").get("status") or {}).get("fetches") == there


def expect_explained(world: World) -> None:
    """The statuses keep the rules of kstatus, and say until when they wait."""
    bodies = world.all("modelfetch,modelstore")
    assert [] == [problem for body in bodies for problem in check_versions([body])]


def expect_nothing_left(world: World, fetches: list[Object], since: int) -> None:
    """Each attempt had one Job; Jobs and Pods are of fetches that are there, private files of those not Ready."""
    there = {body["metadata"]["uid"] for body in fetches}
    unfinished = holders_of([body for body in fetches if (body.get("status") or {}).get("phase") != "Ready"])

    assert {} == {job: count for job, count in made(world, since).items() if count > 1}
    until(lambda: owners(world) <= there, lambda: f"Jobs or Pods of others than {there}: {owners(world)}", GONE_S)
    assert set() == left_to(world) - unfinished, left_by(world)
    assert [] == list((world.volume / "trash").iterdir())


def owners(world: World) -> set[str]:
    """Return the uids of the fetches that Jobs and Pods are of."""
    return {body["metadata"]["labels"].get("modelfetch.io/fetch", "") for body in world.all("jobs,pods")}


def made(world: World, since: int) -> Counter[str]:
    """Return how often each Job of an attempt was made, by the API server's word; those of a store come again."""
    calls = (call for call in writes_in(world, since) if call.right[1:] == ("jobs", "create"))
    names = (call.name or "" for call in calls if call.code < BAD_REQUEST)
    return Counter(name for name in names if not name.startswith(OF_A_STORE))


def writes_in(world: World, since: int) -> list[rights.Call]:
    """Return what operators have written in the namespace of a world."""
    return [call for call in rights.writes_of(world.summary, since) if call.namespace == world.namespace]


def expect_bounded(world: World, operator: OperatorProcess, since: int, writes: int = WRITES) -> None:
    """The operator wrote not more than its attempts are worth, and nothing at all where it was not to look."""
    own = [call for call in rights.writes_of(world.summary, since) if call.credential == operator.credential]
    elsewhere = {call.namespace for call in own} - {world.namespace}
    here = writes_in(world, since)
    worth = made(world, since).total() + len(world.all("modelfetch,modelstore"))

    assert set() == elsewhere or "--namespace" not in operator.command
    assert len(here) <= writes * worth, f"{len(here)} writes, {worth} attempts and objects"


def expect_deletable(world: World, fetches: list[Object]) -> None:
    """Deleted, each is gone at once; its Jobs and Pods, its files and its blobs follow, unless it says they stay."""
    trees = world.volume / "models" / world.namespace
    names = {body["metadata"]["name"] for body in fetches if is_here(world, body) and not is_retained(body)}
    stay = {path.name for path in trees.glob("*")} - names
    # kubectl itself asks for five objects a second at the most.
    world.kubectl("delete", "modelfetch", "--all", f"--timeout={20 + len(fetches)}s")
    wait_settled(world)
    until(lambda: not world.all("jobs,pods"), lambda: world.kubectl("get", "jobs,pods", "-o", "yaml"))

    assert inventory(()) == world.get("modelstore", "default")["status"]["inventory"]
    assert stay == {path.name for path in trees.glob("*")}
    assert stay or not list(world.volume.glob("blobs/sha256/*/*"))
    assert set() == left_by(world)
    assert [] == list((world.volume / "trash").iterdir())
    expect_right_bytes(world)


def is_here(world: World, body: Object) -> bool:
    """Whether what a fetch has published, or is to, is on the volume of the world, not on one that took its place."""
    artifact = (body.get("status") or {}).get("artifact") or {}
    own = Workspace(world.namespace, world.volume).volume_name
    return bool(artifact.get("volumeName", own) == own)


def is_retained(body: Object) -> bool:
    """Whether what it published outlives it."""
    return bool(body["spec"].get("deletionPolicy") == "Retain")


def expect_no_secret(world: World, operator: OperatorProcess) -> None:
    """The token is in nothing that was written or said."""
    # A process node that was started again has no logs of before.
    logs = [world.try_kubectl("logs", body["metadata"]["name"]).stdout for body in world.all("pods")]
    objects = world.kubectl("get", "modelfetches,modelstores,jobs,pods,events", "-o", "json")
    said = [operator.said_ever(), *logs, objects, *world.recorder.texts()]
    files = [path for path in world.volume.rglob("*") if path.is_file()]

    assert [] == [text for text in said if CANARY in text]
    assert [] == [path for path in files if CANARY.encode() in path.read_bytes()]
