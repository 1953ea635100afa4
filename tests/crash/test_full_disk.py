"""A volume that is really full: a small one in memory, mounted in a namespace of its own, which needs no root."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
MOUNT = 'mount -t tmpfs -o size={size},nr_inodes={inodes} none "$0"'


def in_small_volume(folder: Path, size: str, inodes: int) -> dict[str, object]:
    """Run the program on a fresh volume; skip where the machine gives no mounts to ordinary users."""
    unshare = shutil.which("unshare")
    mount = MOUNT.format(size=size, inodes=inodes)
    probe = [unshare or "unshare", "-rm", "sh", "-c", mount, str(folder)]
    if unshare is None or subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs `unshare -rm` to mount a small volume without root")
    run = f'{mount} && exec "$1" -m tests.crash.full_disk "$0"'
    command = [unshare, "-rm", "sh", "-c", run, str(folder), sys.executable]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr

    told: dict[str, object] = json.loads(ended.stdout)
    return told


def test_a_full_volume(tmp_path: Path) -> None:
    """The model that does not fit is refused as InsufficientStorage, its room is given back, the other one stays."""
    told = in_small_volume(tmp_path, "8m", 1000)
    second = told.pop("second")

    assert isinstance(second, dict)
    assert "InsufficientStorage" == second["reason"]
    assert "bytes free" in second["message"]
    assert {"room_is_back": True, "violations": [], "leftovers": []} == {
        key: told[key] for key in ("room_is_back", "violations", "leftovers")
    }
    assert "path" in str(told["first"])


def test_a_volume_without_inodes(tmp_path: Path) -> None:
    """A volume that takes no more files is refused as InsufficientStorage, which counts the free inodes."""
    told = in_small_volume(tmp_path, "8m", 28)
    first = told["first"]

    assert isinstance(first, dict)
    assert "InsufficientStorage" == first["reason"]
    assert "inodes free" in first["message"]
