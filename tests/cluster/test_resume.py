"""An attempt after a killed one: what its order says about the one before, and what it goes on from."""

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelfetch.devcluster.hub.content import Weights
from modelfetch.devcluster.hub.hub import FixtureHub
from modelfetch.devcluster.hub.repository import RepoSpec
from modelfetch.devcluster.hub.rules import Match, Rate, Rule
from modelfetch.devcluster.hub.weights import weights_pieces
from modelfetch.store.attempts import neighbours
from modelfetch.store.fs import Filesystem
from modelfetch.store.store import look
from modelfetch.transfer.segments import SEGMENT_BYTES
from tests.cluster.world import Object, World, repo, until

MIB = 1 << 20
SIZE, MOST = 32 * MIB, 21 * MIB
WEIGHTS = Weights(SIZE, seed=3)
SOON = {"initialDelay": "1s", "maxDelay": "2s"}
ONE_CONNECTION = {"parallelFiles": 1, "connectionsPerFile": 1}


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    """A hub of its own, with one file of several segments."""
    with FixtureHub([RepoSpec("acme/model", {"model.safetensors": WEIGHTS})]) as made:
        yield made


def download(world: World, hub: FixtureHub) -> str:
    """Return the Job of a first attempt that has most of the file and gets the rest so slowly that it never ends."""
    let_the_rest_trickle(hub)
    world.fetch("model", repo(hub), retry=SOON, transfer=ONE_CONNECTION)
    job = world.wait_phase("model", "Downloading")["attempt"]["jobName"]
    until(lambda: verified(world) >= MOST // SEGMENT_BYTES, lambda: f"{sent(hub)} bytes were sent")
    return str(job)


def let_the_rest_trickle(hub: FixtureHub) -> None:
    """Most of a file comes as fast as it can."""
    hub.rules.add(Rule(match=Match(port="cdn"), actions=(Rate(bytes_per_s=10_000, after=MOST),)))


def verified(world: World) -> int:
    """Return how many segments the attempts at work have written down."""
    with contextlib.closing(look(str(world.volume), Filesystem())) as volume:
        logs = [one.log for one in neighbours(volume, (), 0.0)]
    return sum(len(file.segments) for log in logs for file in log.files.values())


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


def errors(world: World) -> list[Object]:
    """Return why attempts failed, as any version of the status told it."""
    told = (version.get("status", {}).get("lastError") for version in world.versions("model"))
    return [error for error in told if error]


def test_an_attempt_whose_process_was_killed_is_named(world: World, hub: FixtureHub) -> None:
    """The kubelet saw the process end: the next attempt may take over what it left, and so says its Job."""
    first = download(world, hub)
    kill_fetcher(first)
    hub.rules.clear()
    order = second_order(world, first)
    (job,) = [job for job in world.all("jobs") if job["metadata"]["name"] == order["attempt"]]

    assert [first] == order["ended"]
    assert first == job["metadata"]["annotations"]["modelfetch.io/ended"]
    world.wait_phase("model", "Ready")
    assert {"Cancelled"} == {error["reason"] for error in errors(world)}, errors(world)


def test_an_attempt_whose_pod_was_deleted_by_force_is_not_named(world: World, hub: FixtureHub) -> None:
    """Nobody knows when its process ends: the next attempt trusts nothing of it, and is Ready all the same."""
    first = download(world, hub)
    world.kubectl("delete", "pod", "-l", f"job-name={first}", "--force", "--grace-period=0")
    hub.rules.clear()
    order = second_order(world, first)

    assert [] == order["ended"]
    assert 2 == world.wait_phase("model", "Ready")["attempt"]["number"]
    assert sent(hub) <= SIZE + 2 * SEGMENT_BYTES


def test_a_suspended_attempt_goes_on_when_it_is_resumed(world: World, hub: FixtureHub) -> None:
    """A day later or at once: what was verified is there, and nothing of it crosses the network again."""
    first = download(world, hub)
    world.fetch("model", repo(hub), suspend=True)
    until(lambda: not world.all("jobs"), lambda: f"{first} goes")
    hub.rules.clear()
    world.fetch("model", repo(hub), suspend=False)
    status = world.wait_phase("model", "Ready")

    assert first != status["attempt"]["jobName"]
    assert sent(hub) <= SIZE + 2 * SEGMENT_BYTES
    assert [] == list((world.volume / "ingest").iterdir())


def test_f41_an_attempt_goes_on_once_its_deadline_is_raised(world: World, hub: FixtureHub) -> None:
    """It made progress until its end; nothing is tried again until somebody gives it more time, and nothing is lost."""
    let_the_rest_trickle(hub)
    world.fetch("model", repo(hub), transfer=ONE_CONNECTION | {"deadline": "10s"})
    failed = world.wait_phase("model", "Failed")
    hub.rules.clear()
    world.fetch("model", repo(hub), transfer=ONE_CONNECTION | {"deadline": "10m"})
    status = world.wait_phase("model", "Ready")

    assert ("DeadlineExceeded", False) == (failed["lastError"]["reason"], failed["lastError"]["retryable"])
    assert failed["attempt"]["jobName"] != status["attempt"]["jobName"]
    assert sent(hub) <= SIZE + 2 * SEGMENT_BYTES


def test_a_killed_attempt_costs_only_what_was_in_flight(world: World, hub: FixtureHub) -> None:
    """What the first attempt had verified does not cross the network again, and the file is right."""
    first = download(world, hub)
    kill_fetcher(first)
    hub.rules.clear()
    world.wait_phase("model", "Ready")
    content = (world.published("model") / "model.safetensors").read_bytes()

    assert b"".join(weights_pieces(WEIGHTS)) == content
    assert sent(hub) <= SIZE + 2 * SEGMENT_BYTES
    assert [] == list((world.volume / "ingest").iterdir())
