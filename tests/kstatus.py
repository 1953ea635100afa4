"""The rules by which kstatus (so Helm, Flux and others) read a status, as a check over a recorded history.

Ported from the six rules that kubernetes.md 1.2 names; `status_of` is what those tools conclude from one object.
"""

import re
from typing import Any, Literal

from modelfetch.core.conditions import PLAIN_REASONS
from modelfetch.reasons import Backoff, Reason

Verdict = Literal["Current", "InProgress", "Failed"]
_REASONS = {*Reason, *PLAIN_REASONS}
_TERMINAL = {reason for reason in Reason if reason.row.backoff is Backoff.NONE}
_GOES_ON = ("Nothing to do", "goes on after", "goes on in")
_NUMBER = re.compile(r"\d+")


def status_of(generation: int, status: dict[str, Any]) -> Verdict:
    """Return what kstatus concludes for a custom resource."""
    if status.get("observedGeneration", generation) != generation:
        return "InProgress"
    conditions = {c["type"]: c["status"] for c in status.get("conditions") or ()}
    for type_ in (c["type"] for c in status.get("conditions") or ()):
        if type_ == "Reconciling" and conditions[type_] == "True":
            return "InProgress"
        if type_ == "Stalled" and conditions[type_] == "True":
            return "Failed"
    return "Current" if conditions.get("Ready", "True") == "True" else "InProgress"


def check_versions(versions: list[dict[str, Any]]) -> list[str]:
    """Return what is wrong with the statuses in these versions of one object, none of which may foresee a spec."""
    problems = check_history([body.get("status") or {"observedGeneration": -1} for body in versions])
    for n, body in enumerate(versions):
        if (body.get("status") or {}).get("observedGeneration", -1) > body["metadata"]["generation"]:
            problems.append(f"status {n}: speaks of a generation that the object does not have yet")
    return problems


def check_history(history: list[dict[str, Any]], generation: int | None = None) -> list[str]:
    """Return what is wrong with the statuses that one object was given, in the order they were written."""
    problems: list[str] = []
    before: dict[str, Any] = {}
    for n, status in enumerate(history):
        if status.get("observedGeneration") == -1 and not status.get("conditions"):
            continue  # what the CRD's default puts there before the first write
        found = [*_check_one(status, generation), *_check_step(before, status)]
        problems += [f"status {n}: {problem}" for problem in found]
        before = status
    return problems


def _check_step(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    found = []
    if before.get("observedGeneration", -1) > after.get("observedGeneration", -1):
        found.append("observedGeneration goes back")
    old = {c["type"]: c for c in before.get("conditions") or ()}
    for condition in after.get("conditions") or ():
        type_, known = condition["type"], old.get(condition["type"])
        if known is None:
            continue
        since, until = known["lastTransitionTime"], condition["lastTransitionTime"]
        if known["status"] == condition["status"] and since != until:
            found.append(f"lastTransitionTime of {type_} moved without its status")
        if since > until:
            found.append(f"lastTransitionTime of {type_} goes back")
        if _is_same_but_for_numbers(known, condition) and _attempt(before) == _attempt(after):
            found.append(f"only a number changed in the message of {type_}: {condition['message']!r}")
    return found


def _is_same_but_for_numbers(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Every watcher takes such a message for news for the sake of a number that is in the status, too."""
    is_same = all(before[field] == after[field] for field in ("status", "reason", "observedGeneration"))
    words = [_NUMBER.sub("0", said["message"]) for said in (before, after)]
    return is_same and before["message"] != after["message"] and words[0] == words[1]


def _attempt(status: dict[str, Any]) -> tuple[object, ...]:
    attempt = status.get("attempt") or {}
    return attempt.get("number"), attempt.get("failures"), status.get("artifact")


def _check_one(status: dict[str, Any], generation: int | None) -> list[str]:
    conditions = status.get("conditions") or []
    by_type = {c["type"]: c for c in conditions}
    found = []
    if len(by_type) != len(conditions):
        found.append("a condition type stands twice")
    if "Ready" not in by_type:
        found.append("Ready is absent")
    for type_ in ("Reconciling", "Stalled"):
        if type_ in by_type and by_type[type_]["status"] != "True":
            found.append(f"{type_} is present without being true")
    if {"Reconciling", "Stalled"} <= by_type.keys():
        found.append("Reconciling and Stalled are both there")
    if by_type.get("Ready", {}).get("status") == "True" and {"Reconciling", "Stalled"} & by_type.keys():
        found.append("Ready is true beside Reconciling or Stalled")
    found += _check_wait(by_type, status)
    for condition in conditions:
        found += _check_condition(condition, status, generation)
    return found


def _check_wait(by_type: dict[str, Any], status: dict[str, Any]) -> list[str]:
    found = []
    waits_for = by_type.get("Reconciling", {}).get("reason")
    is_of_fetch = "phase" in status
    if is_of_fetch and waits_for in set(Reason) and "nextRetryTime" not in status and "attempt" not in status:
        found.append(f"it waits for {waits_for}, nobody knows until when")
    if is_of_fetch and waits_for in _TERMINAL:
        found.append(f"it goes on, and {waits_for} is for ever")
    if "Stalled" in by_type and any(words in by_type["Stalled"]["message"] for words in _GOES_ON):
        found.append("it is stalled, and says that it goes on")
    return found


def _check_condition(condition: dict[str, Any], status: dict[str, Any], generation: int | None) -> list[str]:
    found = []
    if condition["reason"] not in _REASONS:
        found.append(f"reason {condition['reason']!r} is in no list")
    if len(condition["message"]) > 1024:
        found.append("a message is longer than 1024 characters")
    if condition.get("observedGeneration") != status.get("observedGeneration"):
        found.append("a condition speaks of another generation than the status")
    if generation is not None and status.get("observedGeneration") != generation:
        found.append("the status speaks of another generation than the resource has")
    return found
