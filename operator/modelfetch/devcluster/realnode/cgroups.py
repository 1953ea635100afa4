"""The control groups of one real node: one group in each hierarchy, in which everything that Pods run is found.

Comes in: a name. Goes out: groups, the processes in them ended, the groups gone. Both versions of cgroups.
"""

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from modelfetch.devcluster.failure import ClusterFailure

_POLL_S = 0.05


@dataclass(frozen=True)
class Hierarchy:
    """Where a hierarchy is mounted, and of which version it is."""

    root: Path
    version: int

    @property
    def has_memory(self) -> bool:
        """Tell whether it bounds memory."""
        return (self.root / "memory.limit_in_bytes").exists() or "memory" in self.controllers

    @property
    def controllers(self) -> list[str]:
        """Return what a hierarchy of version 2 can control."""
        listed = self.root / "cgroup.controllers"
        return listed.read_text(encoding="utf-8").split() if listed.exists() else []


def hierarchies() -> list[Hierarchy]:
    """Return all that are mounted."""
    lines = (line.split() for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines())
    versions = {"cgroup": 1, "cgroup2": 2}
    return [Hierarchy(Path(fields[1]), versions[fields[2]]) for fields in lines if fields[2] in versions]


def make_groups(name: str) -> None:
    """Afterwards each hierarchy has an empty group `name`, whose children may be bounded as the root's may."""
    for hierarchy in hierarchies():
        group = hierarchy.root / name
        group.mkdir(exist_ok=True)
        if hierarchy.version == 2:
            _delegate(hierarchy.root, hierarchy.controllers)
            _delegate(group, hierarchy.controllers)
        for file in ("cpuset.cpus", "cpuset.mems"):
            # Without them no process may enter a group of version 1.
            if (group / file).exists() and hierarchy.version == 1:
                (group / file).write_text((hierarchy.root / file).read_text())


def kill_groups(name: str, within_s: float) -> None:
    """Afterwards no process is in a group `name` or below it; raises ClusterFailure."""
    deadline = time.monotonic() + within_s
    while pids := _members(name):
        if time.monotonic() > deadline:
            raise ClusterFailure(f"processes {sorted(pids)} of Pods do not end: look at them with ps")
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_POLL_S)


def remove_groups(name: str, within_s: float = 10.0) -> None:
    """Afterwards there is no group `name`; raises ClusterFailure where something is still in one."""
    deadline = time.monotonic() + within_s
    while left := [group for group in _groups(name) if not _is_removed(group)]:
        if time.monotonic() > deadline:
            raise ClusterFailure(f"the control groups {', '.join(map(str, left))} are in use")
        time.sleep(_POLL_S)


def _delegate(group: Path, controllers: list[str]) -> None:
    for controller in controllers:
        # One that the machine's own groups forbid is missing below, and the kubelet says so.
        with contextlib.suppress(OSError):
            (group / "cgroup.subtree_control").write_text(f"+{controller}")


def _groups(name: str) -> list[Path]:
    """Return the groups of a node, those below others first."""
    tops = [hierarchy.root / name for hierarchy in hierarchies()]
    return [Path(folder) for top in tops if top.exists() for folder, _, _ in os.walk(top, topdown=False)]


def _members(name: str) -> set[int]:
    pids: set[int] = set()
    for group in _groups(name):
        with contextlib.suppress(OSError):  # gone meanwhile
            pids.update(map(int, (group / "cgroup.procs").read_text().split()))
    return pids - {0}


def _is_removed(group: Path) -> bool:
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
