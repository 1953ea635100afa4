"""An operator that cannot go on by itself: no file descriptor or memory is left, or its event loop stands still.

Each time it shows, the process is started again as a kubelet would, and what was asked for comes true once.
"""

import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from modelfetch.devcluster.controlplane import free_port
from modelfetch.devcluster.hub.hub import FixtureHub
from modelfetch.devcluster.hub.repository import RepoSpec
from tests.cluster.operator_process import OperatorProcess, probe
from tests.cluster.outcome import expect_one_attempt_each
from tests.cluster.world import World, repo, until

MODEL = {"config.json": "{}", "model.safetensors": "weights" * 1000}
ANSWERS_WITHIN_S = 2.0
LIMITS = {"file descriptors": (resource.RLIMIT_NOFILE, 0), "memory": (resource.RLIMIT_AS, 0)}
"""What is bounded, and how much more than it has now the process is left."""


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    """A hub with one model."""
    with FixtureHub([RepoSpec("acme/model", MODEL)]) as made:
        yield made


def start_again(world: World, operator: OperatorProcess) -> None:
    """The process goes, another one comes, and the model is there after one attempt."""
    operator.kill()
    operator.start_and_wait()
    world.wait_phase("model", "Ready")

    expect_one_attempt_each(world, "model")


@pytest.mark.parametrize("what", LIMITS)
def test_f12_nothing_is_left(what: str, unmanned: World, operator: OperatorProcess, hub: FixtureHub) -> None:
    """It says so in its log, or ends, or can do with what it has; the next one, which has more, goes on from there."""
    operator.start_and_wait()
    said = operator.said()
    operator.bound(*LIMITS[what])
    unmanned.fetch("model", repo(hub))

    def shows() -> bool:
        return operator.said() != said or not operator.is_running() or unmanned.status("model").get("phase") == "Ready"

    until(shows, operator.said)
    start_again(unmanned, operator)


BREAKING = (
    b"",
    b"GET /livez HTTP/1.1\r\n",
    b"\x16\x03\x01 no HTTP\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nContent-Length: 9\r\n\r\n",
)
"""What clients of its own server send that leave it waiting, or are none."""


def test_f11_clients_that_hold_and_break_its_own_server(
    unmanned: World, operator: OperatorProcess, hub: FixtureHub
) -> None:
    """Two hundred connections to its probes that send nothing, half of a request, or garbage: all else goes on."""
    port = free_port()
    operator.command += ["--probe-port", str(port)]
    operator.start_and_wait()
    with ExitStack() as stack:
        for number in range(200):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            client.sendall(BREAKING[number % len(BREAKING)])
        unmanned.fetch("model", repo(hub))
        unmanned.wait_phase("model", "Ready")

        assert is_alive(port)
    expect_one_attempt_each(unmanned, "model")


def test_f10_a_process_that_stands_still(unmanned: World, operator: OperatorProcess, hub: FixtureHub) -> None:
    """Nobody answers its probe, so that a kubelet ends it; nothing is lost by that."""
    port = free_port()
    operator.command += ["--probe-port", str(port)]
    operator.start_and_wait()
    assert is_alive(port)
    unmanned.fetch("model", repo(hub))
    operator.signal(signal.SIGSTOP)

    assert not is_alive(port)
    start_again(unmanned, operator)


def is_alive(port: int) -> bool:
    """Whether the probe that a kubelet asks answers well, and soon."""
    return probe(port, ANSWERS_WITHIN_S)[0] == 200
