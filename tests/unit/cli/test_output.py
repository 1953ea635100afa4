"""What people see: bars on a terminal, lines elsewhere, numbers they can read."""

import os
import pty
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from modelfetch.cli import output
from modelfetch.devcluster.hub import FixtureHub, RepoSpec
from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.report import Progress, Report, Step

START = datetime(2026, 1, 1, tzinfo=UTC)
GOAL = output.Goal("hf://org/name", Path("/store"), Path("/store/models/local/name"))


def at(seconds: float, step: Step = "Downloading") -> Report:
    progress = Progress(
        bytes_total=3 << 20, bytes_done=1 << 20, files_total=3, files_done=1, bytes_per_second=500, eta_seconds=65
    )
    return Report(event="progress", at=START + timedelta(seconds=seconds), step=step, progress=progress)


def test_lines_come_with_a_step_and_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    """A log of a long download stays short."""
    lines = output.LineOutput(GOAL)
    for second in range(25):
        lines.report(at(second))
    lines.report(at(25, "Publishing"))
    told = capsys.readouterr()

    assert ["Downloading"] * 3 + ["Publishing"] == [line.split()[0] for line in told.err.splitlines()]
    assert "" == told.out


def test_counters_are_readable() -> None:
    """Percent, sizes, files, rate and the time that is left."""

    assert " 33%  1.0 MiB of 3.0 MiB  1/3 files  500 B/s  1m05s left" == output.counters(at(0))


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (90 << 20, "90.0 MiB"), (1 << 50, "1024.0 TiB")],
)
def test_sizes(count: int, text: str) -> None:
    """Binary units with one digit."""

    assert text == output.size(count)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59, "59s"), (61, "1m01s"), (3600, "1h00m"), (90061, "25h01m")]
)
def test_durations(seconds: int, text: str) -> None:
    """Two units at most."""

    assert text == output.duration(seconds)


def test_a_defect_is_traced_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    """--verbose shows places, and takes out what looks like a token."""
    output.trace(RuntimeError("https://host.example/?signature=canary hf_canarycanary"))

    assert ("RuntimeError: https://host.example/ [redacted]", False) == (
        (told := capsys.readouterr().err).splitlines()[-1],
        "canary" in told,
    )


@pytest.mark.parametrize("name", ["human", "quiet", "json"])
def test_an_error_before_the_run(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A refused option is shown in the same form as a failed run."""
    output.refuse(FetchError(Reason.SPEC_INVALID, "--x: expected y"), name)
    told = capsys.readouterr()

    assert name == "json" or "error: SpecInvalid: --x: expected y" in told.err
    assert (name == "json") == ('"reason": "SpecInvalid"' in told.out)


def test_a_terminal_gets_a_bar(tmp_path: Path) -> None:
    """On a terminal the run moves a bar and takes it away at the end; the result is the same text."""
    with FixtureHub([RepoSpec("org/name", {"a.bin": b"1" * 50_000})]) as hub:
        ports = [f"--allow-port={address.rpartition(':')[2]}" for address in (hub.endpoint, hub.cdn)]
        command = [
            sys.executable,
            "-m",
            "modelfetch",
            "pull",
            "hf://org/name",
            str(tmp_path),
            "--endpoint",
            hub.endpoint,
        ]
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [*command, "--allow-http", "--allow-network=127.0.0.0/8", *ports],
            stdout=subprocess.PIPE,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "160"},
            text=True,
        )
        os.close(theirs)
        shown = read_all(ours)
        result, _ = process.communicate(timeout=60)

    assert (0, True) == (process.returncode, result.startswith("Ready     hf://org/name"))
    assert "Resolving" in shown
    assert "\x1b[?25h" in shown


def read_all(fd: int) -> str:
    """Return everything until the other side of a terminal is closed."""
    parts = []
    try:
        while data := os.read(fd, 4096):
            parts.append(data)
    except OSError:
        pass  # Linux says EIO at the end
    finally:
        os.close(fd)
    return b"".join(parts).decode(errors="replace")
