"""An attempt after a killed one: what its order says about the one before, and what it goes on from."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelfetch.devcluster.hub.content import Weights
from modelfetch.devcluster.hub.hub import FixtureHub
from modelfetch.devcluster.hub.repository import RepoSpec
from tests.cluster.world import Object, World, repo, slow, until

MIB = 1 << 20
SIZE = 24 * MIB
SOON = {"initialDelay": "1s", "maxDelay": "2s"}


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    """A hub of its own, with one file of several segments."""
    with FixtureHub([RepoSpec("acme/model", {"model.safetensors": Weights(SIZE, seed=3)})]) as made:
        yield made


def download(world: World, hub: FixtureHub) -> str:
    """Return the Job of a first attempt that has received more than a third of the file, over one slow connection."""
    slow(hub, 2 * MIB)
    world.fetch("model", repo(hub), retry=SOON, transfer={"parallelFiles": 1, "connectionsPerFile": 1})
    job = world.wait_phase("model", "Downloading")["attempt"]["jobName"]
    until(lambda: sent(hub) > SIZE // 3, lambda: f"{sent(hub)} bytes were sent")
    return str(job)


def sent(hub: FixtureHub) -> int:
    """Return how many bytes of content have crossed the network."""
    return sum(record.bytes_sent for record in hub.requests if record.port == "cdn")


def kill_fetcher(attempt: str) -> None:
    """Kill the process of an attempt, as the kernel does when memory is short."""
    (pid,) = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if carries_out(pid, attempt)]
    os.kill(pid, signal.SIGKILL)


def carries_out(pid: int, attempt: str) -> bool:
    """Tell whether a process is the fetcher of this attempt."""
    try:
        environ = (Path("/proc") / str(pid) / "environ").read_bytes().decode(errors="replace")
    except OSError:
        return False  # somebody else's, or gone
    return any(v.startswith("MODELFETCH_ORDER=") and f'"attempt":"{attempt}"' in v for v in environ.split("\0"))


def second_order(world: World, first: str) -> Object:
    """Return the order of the Job that follows `first`."""
    found: list[Object] = []

    def another() -> bool:
        found[:] = [job for job in world.all("jobs") if job["metadata"]["name"] != first]
        return bool(found)

    until(another, lambda: f"no Job follows {first}: {world.status('model')}")
    (container,) = found[0]["spec"]["template"]["spec"]["containers"]
    return dict(json.loads(next(v["value"] for v in container["env"] if v["name"] == "MODELFETCH_ORDER")))


def test_an_attempt_whose_process_was_killed_is_named(world: World, hub: FixtureHub) -> None:
    """The kubelet saw the process end: the next attempt may take over what it left, and so says its Job."""
    first = download(world, hub)
    kill_fetcher(first)
    hub.rules.clear()
    order = second_order(world, first)
    (job,) = [job for job in world.all("jobs") if job["metadata"]["name"] == order["attempt"]]

    assert [first] == order["ended"]
    assert first == job["metadata"]["annotations"]["modelfetch.io/ended"]
    assert 0 == world.wait_phase("model", "Ready")["attempt"].get("failures", 0)


def test_an_attempt_whose_pod_was_deleted_by_force_is_not_named(world: World, hub: FixtureHub) -> None:
    """Nobody knows when its process ends: the next attempt trusts nothing of it, and is Ready all the same."""
    first = download(world, hub)
    world.kubectl("delete", "pod", "-l", f"job-name={first}", "--force", "--grace-period=0")
    hub.rules.clear()
    order = second_order(world, first)

    assert [] == order["ended"]
    assert 2 == world.wait_phase("model", "Ready")["attempt"]["number"]
