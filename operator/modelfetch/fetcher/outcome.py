"""How a run ended, as the last report: of an artifact, of a refusal, of a defect.

Comes in: the last progress report and what happened. Goes out: a `Report` of event `result`, and its text for the Pod's
termination message. Nothing in it can hold a secret: messages come from FetchErrors, defects tell only where they are.
"""

import traceback
from dataclasses import dataclass
from typing import Self

from modelfetch.errors import FetchError, sanitise
from modelfetch.reasons import Reason
from modelfetch.report import TERMINATION_LIMIT, Artifact, Owner, Report


def published(last: Report, artifact: Artifact) -> Report:
    """Return the report of a fetch that published `artifact`."""
    return last.model_copy(update={"event": "result", "ok": True, "artifact": artifact})


@dataclass(frozen=True)
class Told:
    """What a Job that works on the store itself has to tell: owners of files, models that are missing."""

    owners: tuple[Owner, ...] = ()
    missing: tuple[str, ...] = ()

    def three_quarters(self) -> Self:
        """Return the first of them."""
        return type(self)(self.owners[: len(self.owners) * 3 // 4], self.missing[: len(self.missing) * 3 // 4])


def tended(last: Report, told: Told) -> Report:
    """Return the report of a Job of the store that ended well, as much of `told` as a termination message holds."""
    report = last.model_copy(update={"event": "result", "ok": True, "owners": told.owners, "missing": told.missing})
    return report if len(report.line().encode()) <= TERMINATION_LIMIT else tended(last, told.three_quarters())


def failed(last: Report, error: FetchError) -> Report:
    """Return the report of a run that `error` ended; the run itself tries nothing any more."""
    row = error.reason.row
    return last.model_copy(
        update={
            "event": "result",
            "ok": False,
            "reason": error.reason,
            "message": _naming_its_file(error),
            "remedy": row.last_remedy,
            "retryable": row.retryable,
            "file": error.file,
        }
    )


def _naming_its_file(error: FetchError) -> str:
    # The engine knows which file it moved, its parts only the bytes: here the two come together.
    if error.file is None or error.file in error.message:
        return error.message
    file = error.file if len(error.file) <= 200 else f"{error.file[:150]}…{error.file[-49:]}"
    return sanitise(f"'{file}': {error.message}")


def defect(error: BaseException) -> FetchError:
    """Return what nobody foresaw as Internal: its class and its place, not its text, which may hold a secret."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "modelfetch" in frame.filename] or frames
    place = f" at {own[-1].filename.rpartition('/')[2]}:{own[-1].lineno}" if own else ""
    return FetchError(Reason.INTERNAL, f"unexpected {type(error).__name__}{place}")


def exit_code(report: Report) -> int:
    """Return 0 for a run that ended well, else the reason's code."""
    return 0 if report.ok or report.reason is None else report.reason.row.exit_code


def termination_message(report: Report) -> str:
    """Return the report as at most 4096 bytes: what is longer loses its details, never its reason."""
    line = report.line()
    if len(line.encode()) <= TERMINATION_LIMIT:
        return line
    progress = report.progress.model_copy(update={"current_file": None})
    message = (report.message or "")[:256]
    return report.model_copy(update={"progress": progress, "file": None, "message": message}).line()
