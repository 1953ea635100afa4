"""What a ModelFetch told on its way, and what a test changes to make it tell something."""

import json
from typing import Any

from modelfetch.devcluster.hub.hub import FixtureHub
from modelfetch.kube.objects import MODELFETCHES
from tests.cluster.test_resume import ONE_CONNECTION
from tests.cluster.world import Object, World, condition, repo, slow, until


def told(world: World) -> set[str]:
    """Return every reason that a status of any ModelFetch gave, in its condition Ready or as its last error."""
    world.recorder.catch_up(world.all("modelfetch"))
    versions = [body for versions in world.recorder.by_uid(MODELFETCHES.kind).values() for body in versions]
    statuses = [body.get("status") or {} for body in versions]
    errors = {status["lastError"]["reason"] for status in statuses if status.get("lastError")}
    return errors | {ready[1] for status in statuses if (ready := condition(status, "Ready"))}


def wait_reason(world: World, reason: str, words: str = "", within_s: float = 60.0) -> None:
    """Return once the ModelFetch `model` is not Ready for this reason, in a message that has these words.

    Both at once: a reason may be told in other words before (the claim is unbound; then its volume cannot be mounted).
    """

    def is_told(status: Object) -> bool:
        ready = next((item for item in status.get("conditions") or () if item["type"] == "Ready"), None)
        return (
            ready is not None and (ready["status"], ready["reason"]) == ("False", reason) and words in ready["message"]
        )

    world.wait("model", is_told, within_s)


def wait_ready(world: World, name: str = "model") -> Object:
    """Return the status once it is Ready."""
    return world.wait_phase(name, "Ready")


def download_steadily(world: World, hub: FixtureHub) -> None:
    """Return while an attempt downloads, with about eight seconds to go."""
    slow(hub, 4_000_000)
    world.fetch("model", repo(hub), transfer=ONE_CONNECTION)
    world.wait_phase("model", "Downloading")


def patch(world: World, kind: str, name: str, spec: Object) -> None:
    """Change fields of an object's spec."""
    world.kubectl("patch", kind, name, "--type=merge", "-p", json.dumps({"spec": spec}))


def set_job_template(world: World, template: Object | None) -> None:
    """Afterwards the operator knows what the administrator wants of the fetch Pods of the default store."""
    patch(world, "modelstore", "default", {"jobTemplate": template})
    generation = world.get("modelstore", "default")["metadata"]["generation"]
    world.kubectl(
        "wait", f"--for=jsonpath={{.status.observedGeneration}}={generation}", "modelstore/default", "--timeout=60s"
    )


def pod_of(world: World, job: str) -> Object:
    """Return the only Pod of a Job."""
    (pod,) = world.all("pods", "-l", f"job-name={job}")
    return pod


def wait_pods_gone(world: World, job: str) -> None:
    """Return when no Pod of a Job is there."""
    until(lambda: not world.all("pods", "-l", f"job-name={job}"), lambda: f"a Pod of {job} stays")


def restricted_pod(name: str, command: list[str], **spec: Any) -> Object:
    """Return a Pod of the project's image that the restricted level accepts; `spec` goes over the Pod's own."""
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "main", "image": spec.pop("image"), "command": command, "securityContext": security}
    container |= spec.pop("container", {})
    pod_security = {"runAsNonRoot": True, "runAsUser": 1001, "seccompProfile": {"type": "RuntimeDefault"}}
    rest = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "securityContext": pod_security, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container], **rest}}
