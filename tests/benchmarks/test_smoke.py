"""The whole harness once, with tiny files: no time is judged here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.catalog import SMOKE
from tests.tree import ROOT


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Return the ended program."""
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple["subprocess.CompletedProcess[str]", Path]:
    """Return the ended smoke run and its results file."""
    folder = tmp_path_factory.mktemp("bench")
    target = folder / "results.json"
    return run("--smoke", "--home", str(folder / "home"), "--output", str(target)), target


def test_a_smoke_run_ends_well(done: tuple["subprocess.CompletedProcess[str]", Path]) -> None:
    """Every run of modelfetch is verified, and every scenario has its samples and its picture."""
    ended, target = done
    results = json.loads(target.read_text()) if target.exists() else {}

    assert (0, "") == (ended.returncode, ended.stderr), ended.stdout
    assert set(SMOKE) == set(results["scenarios"])
    assert {f"{key}.svg" for key in SMOKE} == {path.name for path in target.with_suffix("").iterdir()}


def test_a_smoke_run_counts_what_the_source_was_asked(done: tuple["subprocess.CompletedProcess[str]", Path]) -> None:
    """A second model that shares all files costs the source no byte of a file."""
    scenarios = json.loads(done[1].read_text())["scenarios"]
    counted = {key: scenarios[key]["samples"]["modelfetch"][0]["facts"]["body_bytes"] for key in ("B1", "B7")}

    assert {"B1": scenarios["B1"]["bytes"], "B7": 0} == counted


def test_an_unknown_scenario_is_refused() -> None:
    """The message names the ones there are."""
    ended = run("B99")

    assert 2 == ended.returncode
    assert "no scenario is called 'B99'; there are: B1, B2" in ended.stderr
