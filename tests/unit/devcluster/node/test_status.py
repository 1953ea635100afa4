"""Pod status in the kubelet's words."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.devcluster.node.status import (
    LOST,
    ContainerView,
    PodFacts,
    Running,
    State,
    Terminated,
    Verdict,
    Waiting,
    pod_phase,
    pod_status,
    termination_message,
)
from tests.unit.devcluster.node.samples import NOW, Json, pod

OK, BAD = Terminated(0, "Completed"), Terminated(3, "Error")
WAITING, RUNNING = Waiting("ContainerCreating"), Running(NOW)


def view(state: State, last: Terminated | None = None, **more: Any) -> ContainerView:
    """Return a container in that state."""
    return ContainerView("main", "image", state, last, **more)


@pytest.mark.parametrize(
    ("views", "policy", "final", "phase"),
    [
        ([view(WAITING)], "Never", False, "Pending"),
        ([view(RUNNING), view(WAITING)], "Never", False, "Pending"),
        ([view(RUNNING)], "Never", False, "Running"),
        ([view(RUNNING), view(OK)], "Never", False, "Running"),
        ([view(OK)], "Never", False, "Succeeded"),
        ([view(OK), view(BAD)], "Never", False, "Failed"),
        ([view(OK)], "OnFailure", False, "Succeeded"),
        ([view(BAD)], "OnFailure", False, "Running"),
        ([view(BAD)], "OnFailure", True, "Failed"),
        ([view(Waiting("CrashLoopBackOff"), BAD)], "OnFailure", False, "Running"),
        ([view(OK)], "Always", False, "Running"),
        ([view(OK)], "Always", True, "Succeeded"),
        ([view(LOST)], "Never", True, "Failed"),
    ],
)
def test_phase(views: list[ContainerView], policy: str, final: bool, phase: str) -> None:
    """The phase follows from the containers and the restart policy."""
    actual = pod_phase(views, policy, final=final)

    assert phase == actual


def conditions(status: Json) -> dict[str, tuple[str, str]]:
    """Return (status, reason) by type."""
    return {entry["type"]: (entry["status"], entry.get("reason", "")) for entry in status["conditions"]}


@pytest.mark.parametrize(
    ("state", "ready"),
    [
        (WAITING, ("False", "ContainersNotReady")),
        (RUNNING, ("True", "")),
        (OK, ("False", "PodCompleted")),
        (BAD, ("False", "PodFailed")),
    ],
)
def test_readiness(state: State, ready: tuple[str, str]) -> None:
    """A Pod is Ready while its containers run, and otherwise says why not."""
    status = pod_status(pod(restartPolicy="Never"), PodFacts([view(state)], NOW), NOW)

    actual = conditions(status)

    assert {"Ready": ready, "ContainersReady": ready} == {name: actual[name] for name in ("Ready", "ContainersReady")}


def test_a_condition_keeps_its_time() -> None:
    """The transition time moves only with the condition's status."""
    later = NOW + timedelta(hours=1)
    first = pod_status(pod(), PodFacts([view(WAITING)], NOW), NOW)

    second = pod_status({**pod(), "status": first}, PodFacts([view(RUNNING)], NOW), later)

    since = {entry["type"]: entry["lastTransitionTime"] for entry in second["conditions"]}
    assert ("2030-01-02T03:04:05Z", "2030-01-02T04:04:05Z") == (since["Initialized"], since["Ready"])


def test_a_verdict_fails_the_pod() -> None:
    """What ends the Pod as a whole is its reason, whatever the exit codes were."""
    facts = PodFacts([view(OK)], NOW, final=True, verdict=Verdict("DeadlineExceeded", "too long"))

    actual = pod_status(pod(restartPolicy="Never"), facts, NOW)

    assert ("Failed", "DeadlineExceeded", "too long") == (actual["phase"], actual["reason"], actual["message"])


def test_a_terminated_container() -> None:
    """The state shows code, signal, reason, message and both times."""
    state = Terminated(137, "OOMKilled", "process://x", "last words", 9, NOW, NOW + timedelta(seconds=2))

    status = pod_status(pod(), PodFacts([view(state, restarts=2, container_id="process://x")], NOW), NOW)

    (actual,) = status["containerStatuses"]
    expected = {
        "exitCode": 137,
        "signal": 9,
        "reason": "OOMKilled",
        "message": "last words",
        "containerID": "process://x",
        "startedAt": "2030-01-02T03:04:05Z",
        "finishedAt": "2030-01-02T03:04:07Z",
    }
    assert (expected, 2, False) == (actual["state"]["terminated"], actual["restartCount"], actual["ready"])


@given(st.binary(max_size=5000))
def test_a_message_is_bounded(raw: bytes) -> None:
    """A termination message has at most 4096 bytes of UTF-8, whatever the container wrote."""
    actual = termination_message(raw)

    assert len(actual.encode()) <= 4096


def test_a_message_keeps_its_end() -> None:
    """Of a long message the end is kept, and no character is cut in two."""
    actual = termination_message(("x" + "é" * 2100).encode())

    assert "é" * 2048 == actual
