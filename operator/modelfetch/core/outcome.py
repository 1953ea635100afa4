"""What became of an attempt: the Job, its Pod and the last report turned into one of three facts.

A report is believed because observe.py read it from a Pod of a Job that is ours (owner uid and hash). The truth is the
published manifest's digest, not the exit code: a Pod that died after it published has published.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from modelfetch.core.ended import is_proven
from modelfetch.core.observed import ClaimSeen, JobSeen, PodSeen, Unknown
from modelfetch.errors import sanitise
from modelfetch.reasons import TABLE, Reason
from modelfetch.report import Artifact, Report

_EXIT_CODES = {row.exit_code: reason for reason, row in TABLE.items()}
LATE_S = 15.0
"""Seconds over a Pod's grace after which its node is taken for lost: with the 30 of that grace it is told within a
minute of the order to end."""
PODS_FOLLOW_S = 5.0
"""Seconds that the Pods of a finished Job have to be seen ended: they come over a watch of their own, which may be
behind the one of Jobs. Bounded, as some never are (deleted by force, node lost); on a busy machine about a second.
"""
OLD_VIEW_S = 120.0
"""The same where a Job is complete, which it is by a Pod that succeeded, and its Pod is seen at work: that view is old
for certain, and a watch that stays so silent has the operator started again before (controller/vigil.py)."""
UNBOUND_S = 30.0
"""Seconds that a Pod may have no node, and the scheduler not say why, until its claim is looked at: it may bind that
for ten minutes before it gives up, and does so within seconds where all is well."""
_STORAGE_WORDS = ("persistentvolumeclaim", "persistent volumes to bind", "binding volumes")
"""What the scheduler says of a claim that is missing, goes, has no volume or gets none; in lower case, 1.31 to 1.35."""
_OF_NODES = re.compile(r"0/\d+ nodes are available: (?P<why>.*?)(?=\. |\.?$)", re.DOTALL)
_COUNT = re.compile(r"^\d+ ")
_NOT_MADE = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
_IMAGE_WORDS = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError")


@dataclass(frozen=True)
class Published:
    """The attempt published this artifact at that time."""

    artifact: Artifact
    at: datetime


@dataclass(frozen=True)
class Failure:
    """The attempt ended without publishing."""

    reason: Reason
    message: str
    at: datetime
    file: str | None = None


@dataclass(frozen=True)
class Obstacle:
    """The Pod cannot start until something changes; it starts by itself then."""

    reason: Reason
    message: str


def ended(job: JobSeen, pod: PodSeen | None, report: Report | None, now: datetime) -> Published | Failure | None:
    """Return what a Job came to, or None while it may still run."""
    final = report if report is not None and report.event == "result" else None
    if final is not None and final.ok and final.artifact is not None:
        return Published(final.artifact, final.at)
    if job.result == "Running":
        return None
    at = job.finished_at or now
    if final is not None and final.reason is not None:
        told = Failure(final.reason, sanitise(final.message or ""), at, final.file)
        # The fetcher knows that it was told to end, not by whom.
        return (_ended_by_cluster(job, pod, at) or told) if final.reason is Reason.CANCELLED else told
    if _is_ahead_of_its_pods(job, pod):
        return None
    return _unreported(job, pod, at)


def _is_ahead_of_its_pods(job: JobSeen, pod: PodSeen | None) -> bool:
    """True when it says that its Pods have ended and they are not seen so yet, nor what they report."""
    is_at_work = pod is not None and pod.exit_code is None and pod.phase in ("Pending", "Running")
    bound_s = OLD_VIEW_S if is_at_work and job.result == "Complete" else PODS_FOLLOW_S
    return job.finished_s < bound_s and not is_proven(job)


def _ended_by_cluster(job: JobSeen, pod: PodSeen | None, at: datetime) -> Failure | None:
    if "DeadlineExceeded" in (job.failure_reason, pod.reason if pod else ""):
        return Failure(Reason.DEADLINE_EXCEEDED, "the Job's deadline passed before the fetcher ended", at)
    if pod is not None and pod.given_up:
        return Failure(Reason.NODE_LOST, f"node '{pod.node}' stopped answering", at)
    if pod is not None and (pod.reason == "Evicted" or pod.disrupted):
        words = "the cluster ended the Pod to use its node for something else"
        return Failure(Reason.EVICTED, words + (f": {sanitise(pod.message)}" if pod.message else ""), at)
    return None


def _unreported(job: JobSeen, pod: PodSeen | None, at: datetime) -> Failure:
    if pod is not None and pod.exit_reason == "OOMKilled":
        return Failure(Reason.OOM_KILLED, "the fetcher was killed at its memory limit", at)
    by_cluster = _ended_by_cluster(job, pod, at)
    if by_cluster is not None:
        return by_cluster
    if pod is None:
        return Failure(Reason.CANCELLED, "the Pod was removed before it told how it ended", at)
    if pod.exit_code is None and pod.reason and pod.phase == "Failed":
        return Failure(Reason.UNSCHEDULABLE, f"node '{pod.node}' refused the Pod: '{pod.reason}'", at)
    if pod.phase == "Unknown":
        return Failure(Reason.NODE_LOST, f"node '{pod.node}' stopped answering", at)
    if pod.exit_code in (130, 137, 143) or pod.deleting:
        return Failure(Reason.CANCELLED, "the fetcher was killed before it told how it ended", at)
    reason = _EXIT_CODES.get(pod.exit_code or 0, Reason.INTERNAL)
    return Failure(reason, f"the fetcher ended with exit code {pod.exit_code} and no report", at)


def obstacle(job: JobSeen, pod: PodSeen | None) -> Obstacle | None:
    """Return what keeps the Job's Pod from starting or from ending, or None."""
    if pod is None:
        return None if job.refusal is None else Obstacle(Reason.POD_REJECTED, sanitise(job.refusal))
    return overdue(pod) or _cut_off(pod) or (_not_started(pod) if pod.phase == "Pending" else None)


def overdue(pod: PodSeen) -> Obstacle | None:
    """Return that a Pod was told to end and should have, or None."""
    if pod.ending_s <= pod.grace_s + LATE_S:
        return None
    return Obstacle(Reason.NODE_LOST, f"node '{pod.node}' does not say that the Pod has ended")


def _cut_off(pod: PodSeen) -> Obstacle | None:
    words = f"the cluster does not hear of node '{pod.node}', where the Pod runs; it goes on once the node is back"
    return Obstacle(Reason.NODE_LOST, words) if pod.is_cut_off and not pod.deleting else None


def unbound(pod: PodSeen | None, claim: ClaimSeen | Unknown, name: str) -> Obstacle | None:
    """Return that a Pod has no node because the claim of that name, which waits for it, gets no volume; or None."""
    if pod is None or pod.unplaced_s < UNBOUND_S or not isinstance(claim, ClaimSeen) or claim.volume:
        return None
    words = f"PersistentVolumeClaim '{name}' has no volume yet: its Events and its storage class tell why"
    return Obstacle(Reason.STORAGE_NOT_READY, words)


def _not_started(pod: PodSeen) -> Obstacle | None:
    if pod.unschedulable is not None:
        is_storage = any(words in pod.unschedulable.lower() for words in _STORAGE_WORDS)
        reason = Reason.STORAGE_NOT_READY if is_storage else Reason.UNSCHEDULABLE
        return Obstacle(reason, sanitise(_without_counts(pod.unschedulable)))
    if pod.waiting_reason in _IMAGE_WORDS:
        return Obstacle(Reason.IMAGE_PULL_FAILED, sanitise(pod.waiting_message or pod.waiting_reason))
    if pod.complaint is not None:
        of_node = Reason.POD_REJECTED if "sandbox" in pod.complaint.lower() else Reason.STORAGE_NOT_READY
        return Obstacle(_secret_problem(pod.complaint) or of_node, sanitise(pod.complaint))
    if pod.waiting_reason in _NOT_MADE:
        words = pod.waiting_message or pod.waiting_reason
        return Obstacle(_secret_problem(words) or Reason.POD_REJECTED, sanitise(words))
    return None


def _without_counts(words: str) -> str:
    """Return what the scheduler says without its numbers of nodes, and in an order that does not follow from them.

    A cluster that grows or shrinks changes them every minute, and would each message with them.
    """

    def kinds(match: re.Match[str]) -> str:
        parts = re.split(r", (?=\d+ )", match["why"])
        return "no node is available: " + ", ".join(sorted(_COUNT.sub("", part) for part in parts))

    return _OF_NODES.sub(kinds, words)


def _secret_problem(words: str) -> Reason | None:
    lower = words.lower()
    if "non-existent secret key" in lower or "couldn't find key" in lower:
        return Reason.SECRET_KEY_MISSING
    return Reason.SECRET_NOT_FOUND if "secret" in lower and "not found" in lower else None
