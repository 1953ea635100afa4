"""What `modelfetch pull` shows: for people, for programs, or only the path.

Comes in: the reports of a run and how it ended. Goes out: progress to standard error and results to standard output;
with `json` all of it to standard output, one document a line. Only this module writes for people.
"""

import json
import os
import sys
import traceback
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO

from modelfetch.errors import FetchError, redact
from modelfetch.fetcher.lines import write_line
from modelfetch.report import Report

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LINE_INTERVAL_S = 10.0
"""Without a terminal: a line for each step, and one in ten seconds."""


@dataclass(frozen=True)
class Goal:
    """What was asked for, in the words of the command line."""

    source: str
    store: Path
    model: Path
    """Folder of the model in the store; `current` in it is the link to use."""


class Output(Protocol):
    """One way to show a run; `report` may be called from any thread, one call at a time."""

    def report(self, report: Report) -> None:
        """Show how far the run is."""

    def end(self, report: Report) -> None:
        """Show how the run ended; the last call."""


class JsonOutput:
    """Reports as lines; the last line is the result, with every key present."""

    def __init__(self, goal: Goal) -> None:
        self._goal = goal

    def report(self, report: Report) -> None:
        """Write the report as it is."""
        write_line(sys.stdout, report.line())

    def end(self, report: Report) -> None:
        """Write the result."""
        write_line(sys.stdout, json.dumps(result(report, self._goal), ensure_ascii=False))


class QuietOutput:
    """Only the path of the published files, or only the error."""

    def __init__(self, goal: Goal) -> None:
        self._goal = goal

    def report(self, report: Report) -> None:
        """Show nothing."""

    def end(self, report: Report) -> None:
        """Write the path, or what went wrong."""
        if report.artifact is not None:
            write_line(sys.stdout, str(self._goal.store / report.artifact.path))
        else:
            write_lines(sys.stderr, failure(report))


class LineOutput:
    """Text without a terminal: a line for each step, and one in ten seconds."""

    def __init__(self, goal: Goal) -> None:
        self._goal = goal
        self._step: str | None = None
        self._told_at_s = 0.0

    def report(self, report: Report) -> None:
        """Write a line when there is something new to say."""
        at_s = report.at.timestamp()
        if report.step == self._step and at_s - self._told_at_s < LINE_INTERVAL_S:
            return
        self._step, self._told_at_s = report.step, at_s
        write_line(sys.stderr, " ".join(part for part in (report.step, counters(report)) if part))

    def end(self, report: Report) -> None:
        """Write the outcome."""
        write_end(report, self._goal)


class BarOutput:
    """A bar that moves, on a terminal."""

    def __init__(self, goal: Goal) -> None:
        self._goal = goal
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def report(self, report: Report) -> None:
        """Move the bar."""
        bar, task = self._started()
        progress = report.progress
        bar.update(
            task,
            description=report.step,
            total=progress.bytes_total or None,
            completed=progress.bytes_done,
            counters=counters(report),
            file=(progress.current_file or "") if report.step == "Downloading" else "",
        )

    def end(self, report: Report) -> None:
        """Take the bar away and write the outcome."""
        if self._bar is not None:
            self._bar.stop()
        write_end(report, self._goal)

    def _started(self) -> "tuple[Progress, TaskID]":
        if self._bar is None or self._task is None:
            # Here, not above: rich takes a tenth of a second to import.
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            columns = (
                TextColumn("{task.description:<11}", markup=False),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[counters]}", markup=False),
                TextColumn("{task.fields[file]}", markup=False, style="dim"),
            )
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("Resolving", total=None, counters="", file="")
            self._bar.start()
        return self._bar, self._task


def prepare(name: str) -> None:
    """Both streams are there, and standard output takes any text, whatever the locale: paths are made of bytes."""
    # Where the caller closed one, its number would be the next file's.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - until the program ends
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115 - the same
    if not isinstance(sys.stdout, TextIOWrapper):
        return
    if name == "json":
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # which JSON reads as an escape
    elif name == "quiet":
        sys.stdout.reconfigure(encoding=sys.getfilesystemencoding(), errors="surrogateescape")
    else:
        sys.stdout.reconfigure(errors="backslashreplace")


def choose(name: str, goal: Goal) -> Output:
    """Return the output of this name; `human` is a bar on a terminal and lines elsewhere."""
    if name == "json":
        return JsonOutput(goal)
    if name == "quiet":
        return QuietOutput(goal)
    return BarOutput(goal) if sys.stderr.isatty() else LineOutput(goal)


def result(report: Report, goal: Goal) -> dict[str, object]:
    """Return the last line of `--output json` as a document; `path` is absolute."""
    artifact = report.artifact
    return {
        "event": "result",
        "ok": bool(report.ok),
        "reason": report.reason.value if report.reason else None,
        "message": report.message,
        "remedy": report.remedy,
        "retryable": report.retryable,
        "artifact": artifact
        and {
            "digest": artifact.digest,
            "path": str(goal.store / artifact.path),
            "commit": artifact.commit,
            "files": artifact.files,
            "bytes": artifact.bytes,
        },
    }


def write_end(report: Report, goal: Goal) -> None:
    """Write how a run ended, for people."""
    if report.artifact is not None:
        write_lines(sys.stdout, success(report, goal))
    else:
        write_lines(sys.stderr, failure(report))


def success(report: Report, goal: Goal) -> list[str]:
    """Return what is published, where it is and how to use it."""
    artifact, progress = report.artifact, report.progress
    assert artifact is not None
    license_ = report.resolved.license if report.resolved else None
    reused = f", {size(progress.bytes_reused)} of them from the store" if progress.bytes_reused else ""
    compared = artifact.files - artifact.self_asserted
    return [
        f"Ready     {goal.source}",
        f"files     {artifact.files} with {size(artifact.bytes)}{reused}",
        f"verified  {compared} compared with a digest"
        + (f", {artifact.self_asserted} self-asserted: nothing to compare with" if artifact.self_asserted else ""),
        *([f"licence   {license_}"] if license_ else []),
        f"digest    {artifact.digest}",
        f"path      {goal.store / artifact.path}",
        f"use       {goal.model / 'current'}",
    ]


def failure(report: Report) -> list[str]:
    """Return what went wrong, what to do, and what is kept."""
    lines = [f"error: {report.reason}: {report.message}"]
    lines += [f"  to do: {report.remedy}"] if report.remedy else []
    kept = report.progress.files_done
    lines += [f"  kept:  {kept} verified files; the same command goes on from there"] if kept else []
    return lines


def counters(report: Report) -> str:
    """Return bytes, files, rate and time left as text."""
    progress = report.progress
    if not progress.files_total:
        return ""
    percent = 100 * progress.bytes_done // progress.bytes_total if progress.bytes_total else 0
    parts = [
        f"{percent:>3}%",
        f"{size(progress.bytes_done)} of {size(progress.bytes_total)}",
        f"{progress.files_done}/{progress.files_total} files",
    ]
    parts += [f"{size(progress.bytes_per_second)}/s"] if progress.bytes_per_second else []
    parts += [f"{duration(progress.eta_seconds)} left"] if progress.eta_seconds is not None else []
    return "  ".join(parts)


def size(count: int) -> str:
    """Return bytes for people: `86.7 MiB`."""
    value, units = float(count), ("B", "KiB", "MiB", "GiB", "TiB")
    for unit in units:
        if value < 1024 or unit == units[-1]:
            break
        value /= 1024
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"


def duration(seconds: int) -> str:
    """Return seconds for people: `1h05m`, `4m07s`, `9s`."""
    minutes, hours = seconds // 60, seconds // 3600
    if hours:
        return f"{hours}h{minutes % 60:02}m"
    return f"{minutes}m{seconds % 60:02}s" if minutes else f"{seconds}s"


def write_lines(stream: TextIO, lines: list[str]) -> None:
    """Write several lines."""
    for line in lines:
        write_line(stream, line)


def trace(error: BaseException) -> None:
    """Write where a defect happened, for its report: places of the program, secrets taken out."""
    for line in "".join(traceback.format_exception(error)).splitlines():
        write_line(sys.stderr, redact(line))


def refuse(error: FetchError, name: str) -> None:
    """Write an error that came before the run, in the same form as one that ended it."""
    row = error.reason.row
    if name == "json":
        document = {
            "event": "result", "ok": False, "reason": error.reason.value, "message": error.message,
            "remedy": row.last_remedy, "retryable": row.retryable, "artifact": None,
        }  # fmt: skip
        write_line(sys.stdout, json.dumps(document, ensure_ascii=False))
    else:
        write_lines(sys.stderr, [f"error: {error}", f"  to do: {row.last_remedy}"])
