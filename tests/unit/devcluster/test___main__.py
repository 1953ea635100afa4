"""The program's exit codes and words, without starting a cluster."""

import subprocess
import sys
from pathlib import Path

import pytest


def run(tmp_path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the program with folders of this test."""
    environ = {"MODELFETCH_STATE": str(tmp_path / "state"), "MODELFETCH_CACHE": str(tmp_path / "cache"), "PATH": ""}
    argv = [sys.executable, "-m", "modelfetch.devcluster", *arguments]
    return subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["status"], 0, "no cluster"),
        (["down"], 0, "there is no cluster 'default'"),
        (["down", "--name", "two"], 0, "there is no cluster 'two'"),
        (["down", "--all"], 0, ""),
        (["up", "--name", "../x"], 1, "a cluster's name has 1 to 40"),
        (["up", "--without", "etcd"], 2, "invalid choice"),
        ([], 2, "required"),
    ],
)
def test_exit_code_and_words(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    """Nothing to do is success, a failure is 1, a wrong command line is 2; no traceback, no folder."""
    result = run(tmp_path, *arguments)

    assert (code, True) == (result.returncode, said in result.stdout + result.stderr)
    assert (False, []) == ("Traceback" in result.stderr, list(tmp_path.iterdir()))
