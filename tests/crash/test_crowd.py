"""Many processes that open and publish at once, without any lock."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.crowd import MODELS
from tests.unit.store import samples

REPOSITORY = Path(__file__).parents[2]
CROWD = 12


@pytest.mark.parametrize("links", ["hard", "symbolic"])
def test_many_publishers_at_once(links: str, tmp_path: Path) -> None:
    """They agree on one store id, each content ends as one file, and every model is whole."""
    root = tmp_path / "store"
    command = [sys.executable, "-m", "tests.crash.crowd", str(CROWD), links, str(root)]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=300)
    told = json.loads(ended.stdout or "{}")
    in_file = json.loads((root / "store.json").read_bytes())["id"]
    files = {path.stat().st_ino for path in root.glob("models/*/*/*/shared.bin")}

    assert {"failed": 0, "ids": [in_file], "opened": CROWD} == told, ended.stderr
    assert [] == samples.violations(root) + samples.leftovers(root)
    assert 1 == len(files)
    for name, content in MODELS.items():
        assert content == samples.tree_content(root / "models" / "ml" / name / "current")
