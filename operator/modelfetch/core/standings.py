"""How a ModelFetch stands, in words: from one look to the `Standing` that its conditions and its phase are made of."""

from modelfetch.api.fetch_status import ArtifactStatus, Phase
from modelfetch.core.conditions import Standing, explained, failed_step_of, steps_of
from modelfetch.core.look import Look
from modelfetch.core.observed import ClaimSeen, Unknown
from modelfetch.core.outcome import Obstacle

SILENT_S = 120.0
"""Seconds without a new report after which the status says so; more than between two looks at one of a thousand."""
_STEPS: dict[str, tuple[Phase, str]] = {
    "Resolving": ("Resolving", "reads the listing of the source"),
    "Downloading": ("Downloading", "downloads the files"),
    "Verifying": ("Verifying", "compares the files with their digests"),
    "Publishing": ("Publishing", "publishes the files"),
}


def claim_problem(claim: ClaimSeen | Unknown | None, name: str) -> str:
    """Return what is wrong with a claim of that name that cannot be used."""
    return f"PersistentVolumeClaim '{name}' {'does not exist' if claim is None else 'lost its volume'}"


def published(artifact: ArtifactStatus) -> Standing:
    """It is ready, by this artifact."""
    files = "1 file" if artifact.files == 1 else f"{artifact.files} files"
    return Standing("ready", "Ready", "Available", f"{files} verified and published at '{artifact.path}'")


def still_ready(look: Look) -> Standing:
    """A background attempt, whatever becomes of it, takes nothing from what is published."""
    assert look.status.artifact is not None, "called where the fetch is ready"
    return published(look.status.artifact)


def stopped_by(look: Look, blocked: Obstacle) -> Standing:
    """Its Pod cannot start, or does not end, until somebody changes something."""
    if look.is_ready:
        return still_ready(look)
    return Standing("blocked", "Pending", blocked.reason, explained(blocked.reason, blocked.message))


def starting() -> Standing:
    """Its Job is there, or about to be, and its Pod does not run yet."""
    return _before_the_first_report("waits for its Pod to start")


def _before_the_first_report(words: str) -> Standing:
    return Standing("working", "Pending", "Progressing", words, ("StorageReady",))


def running(look: Look) -> Standing:
    """An attempt is under way, in the step that it told of last."""
    if look.report is not None:
        phase, words = _STEPS.get(look.report.step, ("Pending", "works"))
    elif look.status.phase in _STEPS and look.job is not None and look.attempt.job_name == look.job.name:
        # Not read is not gone back: the budget of reads was used up, or the node did not answer.
        phase, words = _STEPS[look.status.phase]
    elif look.pod is None or look.pod.phase == "Pending":
        return starting()
    else:
        return _before_the_first_report("starts the fetcher" + _silence(look))
    return Standing("working", phase, "Progressing", words + _silence(look), where(look)[0])


def _silence(look: Look) -> str:
    """Return what to add where the fetcher hangs, or its node does not give its log: it tells something each second."""
    if look.pod is not None and look.pod.log_refusal is not None:
        return f"; how far it is cannot be told: {look.pod.log_refusal}"
    is_silent = look.pod is not None and look.pod.silent_s >= SILENT_S
    return f"; has told nothing for {SILENT_S:.0f} s: see the log of its Pod" if is_silent else ""


def where(look: Look) -> tuple[tuple[str, ...], str | None]:
    """Return the steps that were passed, and the one that the attempt was in."""
    report = look.report
    if report is None:
        return steps_of(look.status.conditions if look.attempt.number > 0 else ())
    passed = ["StorageReady"]
    if report.resolved is not None:
        passed.append("SourceResolved")
    if report.step in ("Verifying", "Publishing"):
        passed.append("Downloaded")
    if report.step == "Publishing":
        passed.append("Verified")
    failed_step = failed_step_of(report.step)
    return tuple(passed), failed_step if failed_step not in passed else None
