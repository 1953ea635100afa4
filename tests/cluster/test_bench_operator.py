"""The benchmark of the operator, with tiny sizes: every question has an answer; no time is judged here."""

import json
import subprocess
import sys
from pathlib import Path

from tests.tree import ROOT

ASKED = ("B9", "B9b", "B9c", "B9d")


def test_a_smoke_run_ends_well(tmp_path: Path) -> None:
    """Both operators made a Job for each fetch; ours had all Ready, then wrote nothing, nor started anew."""
    target = tmp_path / "results.json"
    command = [sys.executable, "-m", "benchmarks.operator", "--smoke", "--rounds", "1", "--output", str(target), *ASKED]
    ended = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=300)
    assert 0 == ended.returncode, ended.stdout + ended.stderr

    samples = {key: row["samples"] for key, row in json.loads(target.read_text())["scenarios"].items()}
    facts = {key: samples[key]["modelfetch"][0]["facts"] for key in ASKED}
    assert [] == [row for rows in samples.values() for runs in rows.values() for row in runs if row["complaint"]]
    assert {"modelfetch", "plain kopf"} == set(samples["B9"])
    assert (0, 0) == (facts["B9b"]["idle_writes"], facts["B9c"]["writes"])
    assert 0 < facts["B9b"]["writes_per_object"] <= 12
