"""What a container's process does is what kubectl and the Job controller see."""

import subprocess
import sys
from pathlib import Path

from tests.cluster.node.pods import (
    IMAGE,
    MOUNT,
    SLEEP,
    VOLUME,
    container,
    events,
    job,
    pod,
    python,
    wait_phase,
    wait_state,
)
from tests.cluster.world import World

PUBLISH = """\
import os, sys
volume = os.environ["VOLUME"]
with open(volume + "/sub/hello", "w") as file:
    file.write(sys.argv[1])
print("wrote", sys.argv[2:])
with open(os.environ["MESSAGE"], "w") as file:
    file.write("all done")
"""


def test_a_job_completes(world: World) -> None:
    """A Job of our image writes to its claim, and shows its log, message and exit as on any node."""
    (world.volume / "sub").mkdir()
    variables = [
        {"name": "VOLUME", "value": "/volume"},
        {"name": "MESSAGE", "value": "/dev/termination-log"},
        {"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
    ]
    more = {"env": variables, "args": ["to $(WHO)", "/volume/x", "$$(WHO)"], **MOUNT}
    world.apply(job("hello", python(PUBLISH), spec=VOLUME, **more))
    world.kubectl("wait", "--for=condition=Complete", "job/hello", "--timeout=60s")

    (found,) = world.all("pods", "-l", "job-name=hello")
    ended = found["status"]["containerStatuses"][0]["state"]["terminated"]
    assert ("Succeeded", 0, "Completed", "all done") == (
        found["status"]["phase"],
        ended["exitCode"],
        ended["reason"],
        ended["message"],
    )
    assert f"wrote ['{world.volume}/x', '$(WHO)']\n" == world.kubectl("logs", "job/hello")
    assert f"to {world.namespace}" == (world.volume / "sub" / "hello").read_text()


def test_a_job_fails(world: World) -> None:
    """A Job whose process fails is Failed, with the exit code, and the end of the log where no message was left."""
    command = ["sh", "-c", "echo first; echo last words >&2; exit 3"]
    world.apply(job("bad", command, terminationMessagePolicy="FallbackToLogsOnError"))
    world.kubectl("wait", "--for=condition=Failed", "job/bad", "--timeout=60s")

    (found,) = world.all("pods", "-l", "job-name=bad")
    ended = found["status"]["containerStatuses"][0]["state"]["terminated"]
    assert ("Failed", 3, "Error", {"first", "last words"}) == (
        found["status"]["phase"],
        ended["exitCode"],
        ended["reason"],
        set(ended["message"].splitlines()),
    )


def test_another_image(world: World) -> None:
    """A Pod of another image waits as for an image that cannot be pulled, and is told what this node runs."""
    world.apply(pod("foreign", SLEEP, image="nginx:1"))
    waiting = wait_state(world, "foreign", "waiting", "ImagePullBackOff")

    words = f'this node runs only the image "{IMAGE}", as local processes; "nginx:1" cannot be had here'
    log = world.try_kubectl("logs", "foreign")
    assert waiting["message"] == f'Back-off pulling image "nginx:1": ErrImagePull: {words}'
    assert ("Failed", f'Failed to pull image "nginx:1": {words}') in events(world, "foreign")
    assert 'container "main" in pod "foreign" is waiting to start: ImagePullBackOff' in log.stderr


def test_a_program_that_is_not_there(world: World) -> None:
    """A command that cannot be executed ends as with a container runtime."""
    world.apply(pod("absent", ["no-such-program"]))
    ended = wait_state(world, "absent", "terminated")

    assert (128, "StartError") == (ended["exitCode"], ended["reason"])
    assert 'exec: "no-such-program": executable file not found in $PATH' == ended["message"]


def test_a_deadline(world: World) -> None:
    """A Pod that is active longer than it may be is ended and says so."""
    world.apply(pod("slow", SLEEP, spec={"activeDeadlineSeconds": 1}))

    actual = wait_phase(world, "slow", "Failed")["status"]

    words = "Pod was active on the node longer than the specified deadline"
    assert ("DeadlineExceeded", words, 143) == (
        actual["reason"],
        actual["message"],
        actual["containerStatuses"][0]["state"]["terminated"]["exitCode"],
    )


def test_memory(world: World) -> None:
    """A process does not get memory beyond its limit: it is killed as OOMKilled, or its allocation fails."""
    world.apply(pod("greedy", python("bytearray(400 << 20)"), resources={"limits": {"memory": "64Mi"}}))

    actual = wait_state(world, "greedy", "terminated")

    assert (actual["reason"], actual["exitCode"]) in [("OOMKilled", 137), ("Error", 1)]


def test_restarts(world: World) -> None:
    """With OnFailure a container that failed is started again after the kubelet's delay, and its old log is kept."""
    script = 'echo run; [ -e "$0" ] || { touch "$0"; exit 1; }'
    spec = {**VOLUME, "restartPolicy": "OnFailure"}
    world.apply(pod("again", ["sh", "-c", script, "/volume/tried"], spec=spec, **MOUNT))
    waiting = wait_state(world, "again", "waiting", "CrashLoopBackOff")

    (actual,) = wait_phase(world, "again", "Succeeded")["status"]["containerStatuses"]

    assert waiting["message"].startswith("back-off 10s restarting failed container=main pod=again_")
    assert (1, 1) == (actual["restartCount"], actual["lastState"]["terminated"]["exitCode"])
    assert "run\n" == world.kubectl("logs", "again", "--previous")


def test_a_pod_that_no_process_can_be(world: World) -> None:
    """A Pod with an init container is refused at once, with the reason."""
    world.apply(pod("init", ["true"], spec={"initContainers": [container(["true"], name="first")]}))

    actual = wait_phase(world, "init", "Failed")["status"]

    assert "this process node does not support initContainers" == actual["message"]


def test_a_default_pod(world: World) -> None:
    """A Pod that takes what the API server adds by default has its ServiceAccount's token, which works."""
    script = "cat $0/token"
    spec = {"automountServiceAccountToken": True}
    world.apply(pod("own", ["sh", "-c", script, "/var/run/secrets/kubernetes.io/serviceaccount"], spec=spec))
    wait_phase(world, "own", "Succeeded")
    argv = [world.summary.kubectl, "--server", world.summary.server, "--token", world.kubectl("logs", "own")]
    argv += ["--certificate-authority", str(Path(world.summary.kubeconfig).parent / "pki" / "ca.crt")]

    # The token is bound to its Pod, so it names who it is as long as the object is there.
    actual = subprocess.run([*argv, "auth", "whoami"], capture_output=True, text=True, check=False)

    assert f"system:serviceaccount:{world.namespace}:default" in actual.stdout


def test_a_pod_finds_its_tools(world: World) -> None:
    """The environment's own scripts come first in a Pod's PATH, and temporary files go where the Pod says."""
    volumes = {"volumes": [{"name": "t", "emptyDir": {}}]}
    code = "import os, sys, tempfile; print(sys.prefix); print(tempfile.gettempdir() == os.environ['TMPDIR'])"
    world.apply(pod("tools", python(code), spec=volumes, volumeMounts=[{"name": "t", "mountPath": "/tmp"}]))
    wait_phase(world, "tools", "Succeeded", "Failed")

    assert [sys.prefix, "True"] == world.kubectl("logs", "tools").splitlines()
