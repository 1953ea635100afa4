"""Pods and Jobs as bodies: what their controllers write into them, and what can be read from them."""

from typing import Any

from modelfetch.core.job import CONTAINER
from modelfetch.kube.client import Object
from tests.simulation.process import Exit
from tests.simulation.virtual_loop import VirtualClock

OVERDUE = {"type": "FailureTarget", "status": "True", "reason": "DeadlineExceeded"}


def pod_of(job: Object, finalizer: str) -> Object:
    """Return the Pod that the Job controller makes for a Job."""
    meta, template = job["metadata"], job["spec"]["template"]
    owner = {"kind": "Job", "name": meta["name"], "uid": meta["uid"], "controller": True}
    return {
        "metadata": {
            "name": f"{meta['name']}-{meta['resourceVersion']}",
            "labels": template["metadata"]["labels"],
            "annotations": template["metadata"]["annotations"],
            "ownerReferences": [owner],
            "finalizers": [finalizer],
        },
        "spec": template["spec"],
        "status": {"phase": "Pending"},
    }


def owner_of(body: Object) -> str:
    """Return the uid of the controlling owner."""
    return str(body["metadata"]["ownerReferences"][0]["uid"])


def order_of(pod: Object) -> str:
    """Return what a Pod's fetcher is told."""
    return str(pod["spec"]["containers"][0]["env"][0]["value"])


def claim_of(pod: Object) -> str:
    """Return the name of the claim that a Pod mounts."""
    return str(pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"])


def needs_secret(pod: Object) -> bool:
    """Return whether a Pod mounts a Secret."""
    return any("secret" in volume for volume in pod["spec"]["volumes"])


def has_ended(pod: Object) -> bool:
    """Return whether nothing of the Pod runs any more, as far as the cluster knows."""
    return pod["status"]["phase"] in ("Succeeded", "Failed")


def is_finished(job: Object) -> bool:
    """Return whether the Job controller makes no more Pods for a Job."""
    return any(c["type"] in ("Complete", "Failed") for c in job["status"].get("conditions") or ())


def makes_no_more(status: Object) -> bool:
    """Return whether a Job of this status has had its Pod, or its time."""
    return bool(status.get("failed") or status.get("succeeded") or status.get("conditions"))


def job_status(job: Object, own: list[Object], clock: VirtualClock) -> dict[str, Any]:
    """Return the status of a Job whose Pods are `own`: each that has ended is counted once."""
    old = job["status"]
    counted = {name: old.get(name, 0) for name in ("succeeded", "failed")}
    for pod in own:
        if has_ended(pod) and pod["metadata"]["finalizers"]:
            counted["succeeded" if pod["status"]["phase"] == "Succeeded" else "failed"] += 1
    open_pods = [pod for pod in own if not has_ended(pod)]
    ending = sum("deletionTimestamp" in pod["metadata"] for pod in open_pods)
    status = {**old, **counted, "active": len(open_pods) - ending, "terminating": ending}
    is_overdue = OVERDUE in (old.get("conditions") or ())
    if not open_pods and (sum(counted.values()) or is_overdue) and not is_finished(job):
        status["conditions"] = [_end_of_job(counted, is_overdue, clock)]
    return status


def _end_of_job(counted: dict[str, int], is_overdue: bool, clock: VirtualClock) -> Object:
    failure = ("Failed", "DeadlineExceeded" if is_overdue else "BackoffLimitExceeded")
    kind, reason = ("Complete", "") if counted["succeeded"] else failure
    return {"type": kind, "status": "True", "reason": reason, "lastTransitionTime": clock.stamp()}


def running() -> list[Object]:
    """Return the status of a container that runs."""
    return [{"name": CONTAINER, "state": {"running": {}}}]


def waiting(reason: str, message: str) -> list[Object]:
    """Return the status of a container that cannot be made."""
    return [{"name": CONTAINER, "state": {"waiting": {"reason": reason, "message": message}}}]


def terminated(how: Exit, clock: VirtualClock) -> list[Object]:
    """Return the status of a container that has ended."""
    end = {"exitCode": how.code, "reason": how.reason, "message": how.message, "finishedAt": clock.stamp()}
    return [{"name": CONTAINER, "state": {"terminated": end}}]


def unschedulable(words: str) -> list[Object]:
    """Return the conditions of a Pod that no node takes."""
    return [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words}]


def disrupted(reason: str) -> list[Object]:
    """Return the conditions of a Pod that the cluster ends."""
    return [{"type": "DisruptionTarget", "status": "True", "reason": reason}]
