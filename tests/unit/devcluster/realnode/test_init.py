"""The first process of an enclosure hands on the exit code of its command and buries whoever is left to it."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("true", 0), ("kill -9 $$", 247)])
def test_the_exit_code_is_the_commands(script: str, code: int) -> None:
    """Of a command that a signal ended it is one that no command has."""
    argv = [sys.executable, "-m", "modelfetch.devcluster.realnode.init", "sh", "-c", script]

    assert code == subprocess.run(argv, check=False).returncode
