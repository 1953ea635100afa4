"""Pods that are deleted: grace, force, and the last word of a Job's Pod."""

import subprocess
from pathlib import Path

from tests.cluster.node.pods import MOUNT, SLEEP, VOLUME, job, pod, python, wait_ended, wait_gone, wait_pid
from tests.cluster.world import World, until

GENTLE = """\
import os, signal, sys, time
def end(*_):
    open(os.environ["VOLUME"] + "/ended", "w").write("gently")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
while True:
    time.sleep(0.05)
"""


def test_deletion_with_grace(world: World) -> None:
    """A deleted Pod's process gets SIGTERM and time to end; then the object goes."""
    world.apply(pod("gentle", python(GENTLE), spec=VOLUME, env=[{"name": "VOLUME", "value": "/volume"}], **MOUNT))
    until(lambda: world.try_kubectl("logs", "gentle").stdout == "ready\n", lambda: "no log")
    world.kubectl("delete", "pod", "gentle")

    assert "gently" == (world.volume / "ended").read_text()


# Kubernetes makes $$ of $$$$, and the shell its process id of that.
STUBBORN = 'trap "" TERM; echo $$$$ > "$0"; while :; do sleep 0.05; done'


def test_the_grace_ends(world: World) -> None:
    """A process that ignores SIGTERM is killed when the grace is over, and the object goes all the same."""
    world.apply(pod("stubborn", ["sh", "-c", STUBBORN, "/volume/pid"], spec=VOLUME, **MOUNT))
    pid = wait_pid(world.volume / "pid")
    world.kubectl("delete", "pod", "stubborn", "--grace-period=1")

    assert not Path(f"/proc/{pid}").exists()


def test_force(world: World) -> None:
    """The process of a Pod that is deleted by force is killed at once."""
    world.apply(pod("stubborn", ["sh", "-c", STUBBORN, "/volume/pid"], spec=VOLUME, **MOUNT))
    pid = wait_pid(world.volume / "pid")
    result = world.try_kubectl("delete", "pod", "stubborn", "--force", "--grace-period=0")
    wait_ended(pid)

    assert 0 == result.returncode


def test_a_deleted_job_waits_for_the_last_word(world: World) -> None:
    """A running Pod of a deleted Job reports its terminated container before its object goes."""
    world.apply(job("cut", SLEEP))
    until(lambda: any(one["status"]["phase"] == "Running" for one in world.all("pods")), lambda: "no Pod runs")
    (found,) = world.all("pods")
    name = found["metadata"]["name"]
    argv = [world.summary.kubectl, "--kubeconfig", world.summary.kubeconfig, "-n", world.namespace, "get", "pod", name]
    shown = 'jsonpath={.status.phase}:{.status.containerStatuses[0].state.terminated.exitCode}{"\\n"}'
    watch = subprocess.Popen([*argv, "-w", "-o", shown], stdout=subprocess.PIPE, text=True)
    assert watch.stdout is not None
    watch.stdout.readline()  # it watches from now on
    world.kubectl("delete", "job", "cut")
    wait_gone(world, name)
    watch.terminate()
    seen, _ = watch.communicate()

    assert "Failed:143" in seen.split()
