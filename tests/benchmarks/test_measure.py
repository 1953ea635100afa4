"""What a run costs, with real programs."""

import sys
from pathlib import Path

from benchmarks.files import MIB
from benchmarks.measure import Call, end_group


def python(folder: Path, code: str) -> Call:
    """Return the call of a short program in Python."""
    return Call([sys.executable, "-I", "-S", "-c", code], {}, folder)


def test_memory_is_the_programs_own(tmp_path: Path) -> None:
    """A program with 64 MiB counts for them, an idle one for less than this process has."""
    idle = python(tmp_path, "pass").cost(tmp_path / "log", 60)
    large = python(tmp_path, f"b'x' * {64 * MIB}").cost(tmp_path / "log", 60)

    assert "" == idle.complaint == large.complaint
    assert idle.rss_mib < 32
    assert large.rss_mib - idle.rss_mib > 56


def test_cpu_time_counts_what_a_program_starts(tmp_path: Path) -> None:
    """A shell that waits for a busy child has the child's CPU time."""
    busy = "import time\nwhile time.process_time() < 0.2: pass"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}])"
    cost = python(tmp_path, code).cost(tmp_path / "log", 60)

    assert cost.cpu_s > 0.2


def test_a_failure_has_its_last_words(tmp_path: Path) -> None:
    """The exit code and what was printed last say why a run does not count."""
    cost = python(tmp_path, "import sys; sys.exit('first\\nno such file')").cost(tmp_path / "log", 60)

    assert "exit 1: first / no such file" == cost.complaint


def test_a_program_can_be_killed_on_the_way(tmp_path: Path) -> None:
    """The watcher gets the group's id; a killed program did not end well."""
    cost = python(tmp_path, "input() if False else __import__('time').sleep(60)").cost(tmp_path / "log", 60, end_group)

    assert "exit -9: no output" == cost.complaint


def test_a_program_that_does_not_end_is_ended(tmp_path: Path) -> None:
    """The deadline kills it."""
    cost = python(tmp_path, "__import__('time').sleep(60)").cost(tmp_path / "log", 0.1)

    assert "exit -9: no output" == cost.complaint
