"""`make setup` repeated changes nothing, and a machine without a fitting Python is told so."""

import os
import subprocess
from pathlib import Path

from tests.tree import ROOT


def run(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one script of scripts/ with `environment` added."""
    command = [str(ROOT / "scripts" / script)]
    return subprocess.run(command, env=os.environ | environment, check=False, capture_output=True, text=True)


def test_python_is_one_that_runs() -> None:
    """The printed path is a Python of a supported version."""
    found = run("find-python.sh", PYTHON="").stdout.strip()
    code = "import sys; print((3, 11) <= sys.version_info[:2] <= (3, 14))"
    answer = subprocess.run([found, "-c", code], check=True, capture_output=True, text=True).stdout

    assert "True" == answer.strip()


def test_without_python_there_is_a_remedy(tmp_path: Path) -> None:
    """A name that does not run, or that is no supported Python, ends with one sentence that says what to do."""
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = run("find-python.sh", PYTHON=str(old))

    assert 1 == done.returncode
    assert "make setup PYTHON=/path/to/python3" in done.stderr


def test_uv_is_the_one_that_was_named() -> None:
    """UV=... wins over any search, so a machine without a network can bring its own."""

    assert "/somewhere/uv\n" == run("find-uv.sh", UV="/somewhere/uv").stdout
