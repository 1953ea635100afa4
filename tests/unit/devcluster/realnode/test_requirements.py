"""A machine that can have no real node is told in one sentence what it lacks, and nothing is tried there."""

import os
import sys

import pytest

from modelfetch.devcluster.realnode import __main__ as command
from modelfetch.devcluster.realnode.requirements import missing


def test_without_root_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else is looked at."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert "it needs root" == missing({"PATH": ""})


def test_missing_programs_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """All at once, with the script that installs them."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    words = missing({"PATH": ""})

    assert words is not None
    assert "containerd" in words
    assert "scripts/node-tools.sh" in words


def test_without_a_real_node_the_command_runs_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says why; what the command leaves out it says itself."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert 3 == command.main([sys.executable, "-c", "raise SystemExit(3)"])
    assert "e2e: no real node here: it needs root\n" == capsys.readouterr().err
