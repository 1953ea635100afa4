"""Pod status in the kubelet's words, from the states of its containers: pure.

In: what the containers do (`ContainerView`) and what happened to the Pod as a whole (`Verdict`). Out: the `status` that
pods.py writes. The rules follow the kubelet's getPhase and generate-condition functions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

LOOPBACK = "127.0.0.1"
MESSAGE_LIMIT_BYTES = 4096
"""What Kubernetes keeps of a termination message."""


@dataclass(frozen=True)
class Waiting:
    """A container that does not run yet, or not now."""

    reason: str
    message: str = ""


@dataclass(frozen=True)
class Running:
    """A container whose process lives."""

    started_at: datetime


@dataclass(frozen=True)
class Terminated:
    """A container whose process ended, with what it left in its termination message."""

    exit_code: int
    reason: str
    container_id: str = ""
    message: str = ""
    signal: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None


State = Waiting | Running | Terminated

LOST = Terminated(
    exit_code=137,
    reason="ContainerStatusUnknown",
    message="The container could not be located when the pod was terminated",
)
"""What a kubelet says of a container that it cannot account for."""


@dataclass(frozen=True)
class ContainerView:
    """One container as its status shows it."""

    name: str
    image: str
    state: State
    last: Terminated | None = None
    restarts: int = 0
    container_id: str = ""


@dataclass(frozen=True)
class Verdict:
    """What ends a Pod as a whole, whatever its containers say: a deadline, a refusal, the node's own end."""

    reason: str
    message: str


def timestamp(moment: datetime) -> str:
    """Return a moment as Kubernetes writes it: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod_phase(views: Sequence[ContainerView], restart_policy: str, *, final: bool = False) -> str:
    """Return the phase that a kubelet derives from the containers' states; `final` when nothing will start again."""
    states = [view.state for view in views]
    if any(isinstance(view.state, Waiting) and view.last is None for view in views):
        return "Pending"
    if any(isinstance(state, Running | Waiting) for state in states):
        return "Running"
    failed = any(isinstance(state, Terminated) and state.exit_code != 0 for state in states)
    restarts = restart_policy == "Always" or (restart_policy == "OnFailure" and failed)
    if restarts and not final:
        return "Running"
    return "Failed" if failed else "Succeeded"


@dataclass(frozen=True)
class PodFacts:
    """What a status is made from besides the Pod: its containers, when it started here, whether and how it ended."""

    views: Sequence[ContainerView]
    started_at: datetime
    final: bool = False
    verdict: Verdict | None = None


def pod_status(pod: Json, facts: PodFacts, now: datetime) -> Json:
    """Return the whole status of a Pod on this node; a condition keeps its transition time while it does not change."""
    policy = pod["spec"].get("restartPolicy", "Always")
    phase = "Failed" if facts.verdict else pod_phase(facts.views, policy, final=facts.final)
    status: Json = {
        "phase": phase,
        "conditions": _conditions(pod, facts.views, phase, now),
        "hostIP": LOOPBACK,
        "hostIPs": [{"ip": LOOPBACK}],
        "podIP": LOOPBACK,
        "podIPs": [{"ip": LOOPBACK}],
        "startTime": timestamp(facts.started_at),
        "containerStatuses": [_container_status(view) for view in facts.views],
    }
    if facts.verdict:
        status |= {"reason": facts.verdict.reason, "message": facts.verdict.message}
    return status


def _conditions(pod: Json, views: Sequence[ContainerView], phase: str, now: datetime) -> list[Json]:
    unready = [view.name for view in views if not isinstance(view.state, Running)]
    ready = _readiness(unready, phase)
    sandbox = phase == "Running" or any(view.container_id for view in views)
    initialized = {"status": "True"} | ({"reason": "PodCompleted"} if phase == "Succeeded" else {})
    wanted = {
        "PodReadyToStartContainers": {"status": str(sandbox and phase not in ("Succeeded", "Failed"))},
        "Initialized": initialized,
        "Ready": ready,
        "ContainersReady": ready,
        "PodScheduled": {"status": "True"},
    }
    known = {condition["type"]: condition for condition in pod.get("status", {}).get("conditions", [])}
    return [{"type": name} | _with_transition(known.get(name), body, now) for name, body in wanted.items()]


def _readiness(unready: list[str], phase: str) -> Json:
    if phase == "Succeeded":
        return {"status": "False", "reason": "PodCompleted"}
    if phase == "Failed":
        return {"status": "False", "reason": "PodFailed"}
    if unready:
        message = f"containers with unready status: [{' '.join(unready)}]"
        return {"status": "False", "reason": "ContainersNotReady", "message": message}
    return {"status": "True"}


def _with_transition(before: Json | None, body: Json, now: datetime) -> Json:
    unchanged = before is not None and before.get("status") == body["status"] and "lastTransitionTime" in before
    since = before["lastTransitionTime"] if before is not None and unchanged else timestamp(now)
    return body | {"lastTransitionTime": since}


def _container_status(view: ContainerView) -> Json:
    running = isinstance(view.state, Running)
    status: Json = {
        "name": view.name,
        "image": view.image,
        "imageID": view.image if view.container_id else "",
        "ready": running,
        "started": running,
        "restartCount": view.restarts,
        "state": _state(view.state),
        "lastState": _state(view.last) if view.last else {},
    }
    return status | ({"containerID": view.container_id} if view.container_id else {})


def _state(state: State) -> Json:
    if isinstance(state, Waiting):
        return {"waiting": _filled(reason=state.reason, message=state.message)}
    if isinstance(state, Running):
        return {"running": {"startedAt": timestamp(state.started_at)}}
    return {
        "terminated": {"exitCode": state.exit_code}
        | _filled(
            signal=state.signal,
            reason=state.reason,
            message=state.message,
            containerID=state.container_id,
            startedAt=timestamp(state.started_at) if state.started_at else None,
            finishedAt=timestamp(state.finished_at) if state.finished_at else None,
        )
    }


def _filled(**values: Any) -> Json:
    return {name: value for name, value in values.items() if value}


def termination_message(raw: bytes) -> str:
    """Return the end of what a container left, at most 4096 bytes of UTF-8; what is not UTF-8 is left out."""
    return raw[-MESSAGE_LIMIT_BYTES:].decode("utf-8", errors="ignore")
