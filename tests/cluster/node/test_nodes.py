"""Nodes of a test's own: how one shows itself, stops, is killed, and shares a folder."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.node.pods import (
    MEET,
    MOUNT,
    VOLUME,
    pod,
    python,
    wait_ended,
    wait_phase,
    wait_pid,
    wait_state,
)
from tests.cluster.world import World, until


@dataclass(frozen=True)
class OwnNode:
    """A node of a test."""

    name: str
    process: "subprocess.Popen[bytes]"
    work_dir: Path
    log: Path

    def end(self, number: signal.Signals) -> int:
        """Return the exit code after that signal."""
        self.process.send_signal(number)
        return self.process.wait()


@contextlib.contextmanager
def own_node(world: World, name: str) -> Iterator[OwnNode]:
    """Yield a node that is ready, or has ended already; it and its Node object are gone afterwards."""
    state_dir, work_dir = Path(world.summary.kubeconfig).parent, world.volume.parent / "nodes"
    ready, pki = world.volume.parent / f"{name}.ready", state_dir / "pki"
    flags = {
        "--kubeconfig": state_dir / "kubeconfigs" / "node",
        "--name": name,
        "--work-dir": work_dir,
        "--tls-cert": pki / "node.crt",
        "--tls-key": pki / "node.key",
        "--client-ca": pki / "ca.crt",
        "--ready-file": ready,
        "--heartbeat-interval": 2,
    }
    argv = [sys.executable, "-m", "modelfetch.devcluster.node", *(str(word) for pair in flags.items() for word in pair)]
    ready.unlink(missing_ok=True)
    log = world.volume.parent / f"{name}.log"
    with log.open("ab") as errors, subprocess.Popen(argv, stderr=errors) as process:
        try:
            until(lambda: ready.exists() or process.poll() is not None, log.read_text)
            yield OwnNode(name, process, work_dir / name, log)
        finally:
            process.terminate()
    world.kubectl("delete", "node", name, "--ignore-not-found")


def node_name(world: World, letter: str) -> str:
    """Return a node's name that no other test uses."""
    return f"{letter}-{world.namespace}"


def test_a_node_of_the_cluster(world: World) -> None:
    """The node shows itself as a kubelet does: labels, capacity, address, readiness and a Lease that it renews."""
    with own_node(world, node_name(world, "n")) as node:
        assert node.process.poll() is None, node.log.read_text()
        found = world.get("node", node.name)
        first = world.kubectl("get", "lease", node.name, "-n", "kube-node-lease", "-o", "jsonpath={.spec.renewTime}")

        def renewed() -> bool:
            now = world.kubectl("get", "lease", node.name, "-n", "kube-node-lease", "-o", "jsonpath={.spec.renewTime}")
            return now > first

        until(renewed, lambda: "the Lease is not renewed")

    labels, status = found["metadata"]["labels"], found["status"]
    assert (node.name, "linux") == (labels["kubernetes.io/hostname"], labels["kubernetes.io/os"])
    assert {"cpu", "memory", "pods"} == set(status["allocatable"])
    assert {"type": "InternalIP", "address": "127.0.0.1"} in status["addresses"]
    assert ("Ready", "True") == (status["conditions"][0]["type"], status["conditions"][0]["status"])


def test_two_nodes_over_one_folder(world: World) -> None:
    """Pods on two nodes share what is written to one claim."""
    variables = [{"name": "VOLUME", "value": "/volume"}]
    one, two = node_name(world, "one"), node_name(world, "two")
    with own_node(world, one) as first, own_node(world, two) as second:
        assert (None, None) == (first.process.poll(), second.process.poll()), first.log.read_text()
        for node, mine, other in ((one, "a", "b"), (two, "b", "a")):
            world.apply(pod(mine, python(MEET), node=node, args=[mine, other], spec=VOLUME, env=variables, **MOUNT))

        actual = [wait_phase(world, name, "Succeeded", "Failed") for name in "ab"]

    assert [("Succeeded", one), ("Succeeded", two)] == [
        (found["status"]["phase"], found["spec"]["nodeName"]) for found in actual
    ]


def test_a_node_stops(world: World) -> None:
    """A node that is asked to end ends its Pods first, tells the API server, and leaves no process and no file."""
    script = 'echo $$$$ > "$0"; sleep 1000'
    with own_node(world, node_name(world, "n")) as node:
        world.apply(pod("held", ["sh", "-c", script, "/volume/pid"], node=node.name, spec=VOLUME, **MOUNT))
        pid = wait_pid(world.volume / "pid")
        code = node.end(signal.SIGTERM)
        ready = world.get("node", node.name)["status"]["conditions"][0]

    status = world.get("pod", "held")["status"]
    assert (0, False, False) == (code, Path(f"/proc/{pid}").exists(), node.work_dir.exists())
    assert ("Ready", "False", "process node has stopped") == (ready["type"], ready["status"], ready["message"])
    assert ("Failed", "Terminated", 143) == (
        status["phase"],
        status["reason"],
        status["containerStatuses"][0]["state"]["terminated"]["exitCode"],
    )


def test_a_node_is_killed(world: World) -> None:
    """A killed node takes its processes with it, and its successor adopts nothing: what ran is reported as lost."""
    script = 'sh -c "echo \\$\\$\\$\\$ > $0; sleep 1000" & wait'
    name = node_name(world, "n")
    with own_node(world, name) as node:
        world.apply(pod("lost", ["sh", "-c", script, "/volume/pid"], node=name, spec=VOLUME, **MOUNT))
        pid = wait_pid(world.volume / "pid")
        wait_state(world, "lost", "running")
        node.end(signal.SIGKILL)
        wait_ended(pid)
        until(lambda: not node.work_dir.exists(), lambda: "the node's folder is still there")
        with own_node(world, name):
            actual = wait_phase(world, "lost", "Failed")["status"]

    assert ("NodeRestarted", "ContainerStatusUnknown", 137) == (
        actual["reason"],
        actual["containerStatuses"][0]["state"]["terminated"]["reason"],
        actual["containerStatuses"][0]["state"]["terminated"]["exitCode"],
    )


def test_one_folder_one_node(world: World) -> None:
    """A second node of the same name and folder refuses to start and disturbs nothing."""
    name = node_name(world, "n")
    with own_node(world, name) as node, own_node(world, name) as second:
        actual = second.process.wait(), node.process.poll(), node.work_dir.exists()
        said = second.log.read_text()

    assert (1, None, True) == actual
    assert f"another process node works in '{node.work_dir}': choose another --name or --work-dir" in said
