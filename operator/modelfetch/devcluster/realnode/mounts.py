"""Mounts below folders, and their end: a folder cannot be removed while something is mounted in it."""

import subprocess
from pathlib import Path


def unmount_below(*folders: Path) -> None:
    """Afterwards nothing is mounted below any of `folders`, whoever still uses it."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    # proc(5): the fifth field, in which a blank is \040. Later mounts may be inside earlier ones.
    points = [Path(line.split()[4].replace("\\040", " ")) for line in lines]
    for point in reversed([point for point in points if any(map(point.is_relative_to, folders))]):
        subprocess.run(["umount", "--lazy", str(point)], check=True)
