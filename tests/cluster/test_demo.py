"""`make demo` as a new user sees it: three acts that end as they say, and nothing left behind."""

import os
import subprocess
import sys
from pathlib import Path

from modelfetch.devcluster.state import list_names


def test_the_demo_keeps_its_promises(tmp_path: Path) -> None:
    """A model becomes Ready with live progress, a gated and a corrupted one are explained, then all is gone."""
    environ = {**os.environ, "MODELFETCH_STATE": str(tmp_path / "state")}
    argv = [sys.executable, "-m", "modelfetch.devcluster", "demo"]
    done = subprocess.run(argv, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    acts = {line.split()[0]: line.split()[1] for line in lines if "━" in line or "╌" in line}
    reasons = [line.split()[1] for line in lines if line.startswith("  reason ")]
    table = [line.split() for line in lines if "hf://" in line and "apply" not in line]

    assert (0, {"minilm": "Ready", "gated": "Failed", "corrupted": "Failed"}) == (done.returncode, acts), done.stderr
    assert ["GatedAccessRequired", "ChecksumMismatch"] == reasons
    assert [["corrupted", "False"], ["gated", "False"], ["minilm", "True"]] == [[row[0], row[-2]] for row in table[:3]]
    assert any("Downloading" in line and "MiB/s" in line for line in lines)
    assert any(line.endswith("model.safetensors") for line in lines)
    assert ([], []) == (list_names(environ), list(Path(environ["MODELFETCH_STATE"]).rglob("*")))
