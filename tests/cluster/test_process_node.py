"""The process node against the real control plane: kubectl and the Job controller see a kubelet."""

import contextlib
import json
import re
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modelfetch import __version__
from modelfetch.devcluster.programs import NODE_NAME
from modelfetch.devcluster.summary import Summary
from tests.cluster import shared
from tests.cluster.world import World, new_world, until

Object = dict[str, Any]
IMAGE = f"ghcr.io/modelfetch/modelfetch:{__version__}"
SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}
VOLUME: Object = {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "models"}}]}
MOUNT: Object = {"volumeMounts": [{"name": "v", "mountPath": "/volume"}]}
SLEEP = ["sleep", "1000"]


@pytest.fixture(scope="session")
def summary() -> Iterator[Summary]:
    """A cluster with a node, for this file alone: its nodes would take the Pods of other tests."""
    without = ["--without", "hub", "--without", "operator"]
    with shared.shared_cluster("node", without, Path(__file__)) as found:
        yield found


@pytest.fixture
def world(summary: Summary, tmp_path: Path) -> Iterator[World]:
    """A namespace under the restricted level, with the claim `models`."""
    with new_world(summary, tmp_path / "volume") as found:
        yield found


def container(command: list[str], **more: Any) -> Object:
    """Return a container that the restricted level accepts."""
    return {"name": "main", "image": IMAGE, "command": command, "securityContext": SECURITY} | more


def pod_spec(*containers: Object, node: str = NODE_NAME, **more: Any) -> Object:
    """Return the spec of a Pod for one node."""
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "nodeSelector": {"kubernetes.io/hostname": node},
        "containers": list(containers),
        **more,
    }


def pod(name: str, command: list[str], *, node: str = NODE_NAME, spec: Object | None = None, **more: Any) -> Object:
    """Return a Pod with one container."""
    body = pod_spec(container(command, **more), node=node, **(spec or {}))
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": body}


def job(name: str, command: list[str], *, spec: Object | None = None, **more: Any) -> Object:
    """Return a Job with one attempt."""
    template = {"spec": pod_spec(container(command, **more), **(spec or {}))}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": template},
    }


def python(code: str) -> list[str]:
    """Return a command that runs Python."""
    return ["python", "-c", code]


def state(world: World, name: str) -> Object:
    """Return {"waiting" | "running" | "terminated": ...} of a Pod's container, empty before the node has written it."""
    statuses = world.get("pod", name)["status"].get("containerStatuses") or [{}]
    return dict(statuses[0].get("state") or {})


def wait_state(world: World, name: str, kind: str, reason: str | None = None) -> Object:
    """Return the state of a Pod's container once it is of that kind, and for that reason if one is given."""
    seen: Object = {}

    def reached() -> bool:
        seen.clear()
        seen.update(state(world, name))
        return kind in seen and reason in (None, seen[kind].get("reason"))

    until(reached, lambda: f"{name}: {seen}")
    return dict(seen[kind])


def wait_phase(world: World, name: str, *phases: str) -> Object:
    """Return the Pod once it is in one of these phases."""
    until(lambda: world.get("pod", name)["status"]["phase"] in phases, lambda: f"{name}: {world.get('pod', name)}")
    return world.get("pod", name)


def wait_gone(world: World, name: str) -> None:
    """Return once there is no such Pod."""
    until(lambda: world.try_kubectl("get", "pod", name).returncode != 0, lambda: f"{name} is still there")


def wait_pid(file: Path) -> int:
    """Return the process id that a container wrote."""
    until(lambda: file.exists() and file.read_text().strip() != "", lambda: f"{file} is not written")
    return int(file.read_text())


def wait_ended(pid: int) -> None:
    """Return once the process has ended."""
    until(lambda: not Path(f"/proc/{pid}").exists(), lambda: f"process {pid} lives")


def events(world: World, name: str) -> set[tuple[str, str]]:
    """Return (reason, message) of the events about a Pod."""
    found = world.all("events", f"--field-selector=involvedObject.name={name}")
    return {(event["reason"], event["message"]) for event in found}


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


def test_a_secret_volume_appears(world: World) -> None:
    """A Pod whose Secret is missing waits, says so in an event, and runs once the Secret is there."""
    volumes = {"volumes": [{"name": "token", "secret": {"secretName": "hf"}}]}
    mounts = [{"name": "token", "mountPath": "/secrets", "readOnly": True}]
    world.apply(pod("later", ["cat", "/secrets/token"], spec=volumes, volumeMounts=mounts))
    wanted = ("FailedMount", 'MountVolume.SetUp failed for volume "token" : secret "hf" not found')
    until(lambda: wanted in events(world, "later"), lambda: f"{events(world, 'later')}")
    before = state(world, "later")
    world.kubectl("create", "secret", "generic", "hf", "--from-literal=token=s3cret")
    wait_phase(world, "later", "Succeeded")

    assert ({"waiting": {"reason": "ContainerCreating"}}, "s3cret") == (before, world.kubectl("logs", "later"))


def test_a_secret_variable_appears(world: World) -> None:
    """A variable from a Secret or a key that is missing is a configuration error until it is there."""
    source = {"secretKeyRef": {"name": "hf", "key": "token"}}
    world.apply(pod("env", ["printenv", "TOKEN"], env=[{"name": "TOKEN", "valueFrom": source}]))
    first = wait_state(world, "env", "waiting", "CreateContainerConfigError")
    world.kubectl("create", "secret", "generic", "hf", "--from-literal=other=x")
    words = f"couldn't find key token in Secret {world.namespace}/hf"
    until(lambda: state(world, "env").get("waiting", {}).get("message") == words, lambda: str(state(world, "env")))
    world.kubectl("patch", "secret", "hf", "-p", '{"stringData": {"token": "t0ken"}}')
    wait_phase(world, "env", "Succeeded")

    assert ('secret "hf" not found', "t0ken\n") == (first["message"], world.kubectl("logs", "env"))


def scheduled(world: World, name: str) -> Object:
    """Return the condition PodScheduled."""
    conditions = world.get("pod", name)["status"].get("conditions") or []
    return next((entry for entry in conditions if entry["type"] == "PodScheduled"), {})


def test_a_claim_appears(world: World) -> None:
    """A Pod whose claim is missing is Unschedulable in the scheduler's words, and runs once the claim is bound."""
    volumes = {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "late"}}]}
    world.apply(pod("early", ["true"], spec=volumes, **MOUNT))
    until(lambda: scheduled(world, "early").get("reason") == "Unschedulable", lambda: str(scheduled(world, "early")))
    message = scheduled(world, "early")["message"]
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "late"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "",
            "resources": {"requests": {"storage": "1Gi"}},
            "selector": {"matchLabels": {"for": world.namespace}},
        },
    }
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{world.namespace}-late", "labels": {"for": world.namespace}},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": str(world.volume / "late"), "type": "DirectoryOrCreate"},
        },
    }
    with temporary(world, volume):
        world.apply(claim)
        wait_phase(world, "early", "Succeeded")

    assert re.fullmatch(r'0/\d nodes are available: persistentvolumeclaim "late" not found\.', message)
    assert (world.volume / "late").is_dir()


@contextlib.contextmanager
def temporary(world: World, *objects: Object) -> Iterator[None]:
    """Have cluster-scoped objects for the time of a block."""
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    world.kubectl("apply", "-f", "-", stdin=listed)
    try:
        yield
    finally:
        world.kubectl("delete", "--wait=false", "-f", "-", stdin=listed)


def test_a_claim_that_waits_for_its_consumer(world: World) -> None:
    """A claim of a late-binding class is given a local volume when its first Pod comes."""
    name, local = f"{world.namespace}-local", world.volume / "local"
    local.mkdir()
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE_NAME]}
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": name,
            "persistentVolumeReclaimPolicy": "Retain",
            "local": {"path": str(local)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "late"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": name,
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    volumes = {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "late"}}]}
    with temporary(world, storage_class, volume):
        world.apply(claim, pod("first", ["touch", "/volume/here"], spec=volumes, **MOUNT))
        wait_phase(world, "first", "Succeeded")

    assert (local / "here").exists()


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
    world.kubectl("delete", "job", "cut")
    wait_gone(world, name)
    watch.terminate()
    seen, _ = watch.communicate()

    assert "Failed:143" in seen.split()


MEET = """\
import os, sys, time
here = os.environ["VOLUME"]
open(f"{here}/{sys.argv[1]}", "w").close()
while not os.path.exists(f"{here}/{sys.argv[2]}"):
    time.sleep(0.02)
"""


def test_two_at_once(world: World) -> None:
    """Two Pods run at the same time over one claim."""
    variables = [{"name": "VOLUME", "value": "/volume"}]
    for mine, other in (("a", "b"), ("b", "a")):
        world.apply(pod(mine, python(MEET), args=[mine, other], spec=VOLUME, env=variables, **MOUNT))

    actual = [wait_phase(world, name, "Succeeded", "Failed")["status"]["phase"] for name in "ab"]

    assert ["Succeeded", "Succeeded"] == actual


def test_logs(world: World) -> None:
    """kubectl reads from the end, with times, in parts, and follows to the last line."""
    script = "for i in 1 2 3; do echo line $i; done; while [ ! -e $0 ]; do sleep 0.05; done; echo last"
    world.apply(pod("talk", ["sh", "-c", script, "/volume/go"], spec=VOLUME, **MOUNT))
    until(lambda: "line 3" in world.try_kubectl("logs", "talk").stdout, lambda: "no log")
    argv = [world.summary.kubectl, "--kubeconfig", world.summary.kubeconfig, "-n", world.namespace]
    with subprocess.Popen([*argv, "logs", "-f", "talk"], stdout=subprocess.PIPE, text=True) as follower:
        parts = [world.kubectl("logs", "talk", flag) for flag in ("--tail=1", "--limit-bytes=6", "--since=1h")]
        stamped = world.kubectl("logs", "talk", "--tail=1", "--timestamps")
        (world.volume / "go").touch()
        followed, _ = follower.communicate()

    previous = world.try_kubectl("logs", "talk", "--previous")
    assert ["line 3\n", "line 1", "line 1\nline 2\nline 3\n"] == parts
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z line 3\n", stamped)
    assert "line 1\nline 2\nline 3\nlast\n" == followed
    assert 'previous terminated container "main" in pod "talk" not found' in previous.stderr


def test_only_the_api_server_reads_logs(world: World) -> None:
    """Without a certificate or with a token that has no rights, the kubelet API says nothing; it is alive to all."""
    port = world.get("node", NODE_NAME)["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    token = world.kubectl("create", "token", "default").strip()

    def status(path: str, **headers: str) -> int:
        context = ssl.create_default_context(cafile=str(Path(world.summary.kubeconfig).parent / "pki" / "ca.crt"))
        request = urllib.request.Request(f"https://127.0.0.1:{port}{path}", headers=headers)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        try:
            with opener.open(request) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    actual = [
        status("/pods"),
        status("/pods", Authorization="Bearer nonsense"),
        status("/pods", Authorization=f"Bearer {token}"),
        status("/containerLogs/a/b/c"),
        status("/healthz"),
    ]

    assert [401, 401, 403, 401, 200] == actual


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


def test_a_pod_finds_its_tools(world: World) -> None:
    """The environment's own scripts come first in a Pod's PATH, and temporary files go where the Pod says."""
    volumes = {"volumes": [{"name": "t", "emptyDir": {}}]}
    code = "import os, sys, tempfile; print(sys.prefix); print(tempfile.gettempdir() == os.environ['TMPDIR'])"
    world.apply(pod("tools", python(code), spec=volumes, volumeMounts=[{"name": "t", "mountPath": "/tmp"}]))
    wait_phase(world, "tools", "Succeeded", "Failed")

    assert [sys.prefix, "True"] == world.kubectl("logs", "tools").splitlines()
