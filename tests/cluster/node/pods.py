"""Pods and Jobs for the process node, and what the API server says of them."""

from pathlib import Path
from typing import Any

from modelfetch import __version__
from modelfetch.devcluster.programs import NODE_NAME
from tests.cluster.world import World, until

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


MEET = """\
import os, sys, time
here = os.environ["VOLUME"]
open(f"{here}/{sys.argv[1]}", "w").close()
while not os.path.exists(f"{here}/{sys.argv[2]}"):
    time.sleep(0.02)
"""
