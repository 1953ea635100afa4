"""Memory limits of containers: a cgroup where this user may make one, else RLIMIT_DATA.

In: a limit in bytes. Out: what the launcher has to do, and afterwards whether the kernel killed for memory. A cgroup
counts the whole container and page cache that cannot be dropped, and its kill is reported as OOMKilled. RLIMIT_DATA
counts the private writable memory of each process and makes allocations fail; an address-space limit would break
programs that map large files.
"""

import asyncio
import logging
import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_LIMIT_FILES = {1: ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"), 2: ("memory.max", "memory.swap.max")}
_COUNTER_FILE = {1: "memory.oom_control", 2: "memory.events"}
_REMOVE_ATTEMPTS, _REMOVE_PAUSE_S = 100, 0.02
_log = logging.getLogger(__name__)


class Enclosure(Protocol):
    """What encloses one container's processes."""

    def launch_steps(self) -> dict[str, object]:
        """Return what launch.py does before exec."""

    def was_oom_killed(self) -> bool:
        """True when the kernel killed one of its processes for memory."""

    def members(self) -> list[int]:
        """Return the processes inside, as far as they can be told."""

    async def remove(self) -> None:
        """Afterwards nothing of it is left; its processes must have been killed."""


class Limiter(Protocol):
    """How this machine limits memory."""

    @property
    def description(self) -> str:
        """Say it for the node's log."""

    def enclose(self, name: str, limit_bytes: int | None) -> Enclosure:
        """Return a new enclosure; raises OSError."""


@dataclass(frozen=True)
class DataLimit:
    """RLIMIT_DATA on each process."""

    limit_bytes: int | None

    def launch_steps(self) -> dict[str, object]:
        """Return the limit for the launcher to set."""
        return {"cgroup_files": [], "data_limit": self.limit_bytes}

    def was_oom_killed(self) -> bool:
        """Return False: a failed allocation kills nothing."""
        return False

    def members(self) -> list[int]:
        """Return nothing: a limit has no list of members."""
        return []

    async def remove(self) -> None:
        """Do nothing: the limit ends with the process."""


class DataLimiter:
    """Limits without any privilege."""

    description = "RLIMIT_DATA (no writable memory cgroup): allocations fail at the limit, nothing is OOMKilled"

    def enclose(self, name: str, limit_bytes: int | None) -> Enclosure:  # noqa: ARG002 - the limit needs no name
        """Return a limit for each process."""
        return DataLimit(limit_bytes)


@dataclass(frozen=True)
class Cgroup:
    """A cgroup of its own; the two versions differ in file names only."""

    folder: Path
    counter_file: str

    def launch_steps(self) -> dict[str, object]:
        """Return the file that takes the process in."""
        return {"cgroup_files": [str(self.folder / "cgroup.procs")], "data_limit": None}

    def was_oom_killed(self) -> bool:
        """True when the kernel's counter for this cgroup is not zero."""
        counted = re.search(r"^oom_kill (\d+)$", (self.folder / self.counter_file).read_text(), re.MULTILINE)
        return counted is not None and int(counted[1]) > 0

    def members(self) -> list[int]:
        """Return the processes inside, also those that left the process group."""
        return [int(number) for number in (self.folder / "cgroup.procs").read_text().split()]

    async def remove(self) -> None:
        """Afterwards the folder is gone; killed processes leave it a moment after their end."""
        for _ in range(_REMOVE_ATTEMPTS):
            try:
                self.folder.rmdir()
            except FileNotFoundError:
                return
            except OSError:
                for member in self.members():
                    os.kill(member, signal.SIGKILL)
                await asyncio.sleep(_REMOVE_PAUSE_S)
            else:
                return
        _log.warning("cgroup %s is still busy and stays", self.folder)


@dataclass(frozen=True)
class CgroupLimiter:
    """Makes cgroups below `parent`, which this user may write."""

    parent: Path
    version: int

    @property
    def description(self) -> str:
        """Say it for the node's log."""
        return f"memory cgroups (v{self.version}) below {self.parent}"

    def enclose(self, name: str, limit_bytes: int | None) -> Enclosure:
        """Return a new cgroup with that limit; swap is not allowed beyond it where the kernel counts swap."""
        folder = self.parent / name
        folder.mkdir()
        memory, swap = (folder / file for file in _LIMIT_FILES[self.version])
        if limit_bytes is not None:
            memory.write_text(str(limit_bytes))
            if swap.exists():
                swap.write_text(str(limit_bytes if self.version == 1 else 0))
        return Cgroup(folder, _COUNTER_FILE[self.version])


def find_limiter(proc_cgroup: str, mounts: str) -> Limiter:
    """Return the best limiter; the arguments are the texts of /proc/self/cgroup and /proc/self/mounts."""
    for candidate in _candidates(proc_cgroup, mounts):
        if _is_usable(candidate):
            return candidate
    return DataLimiter()


def _candidates(proc_cgroup: str, mounts: str) -> list[CgroupLimiter]:
    own = {controllers: path for _, controllers, path in (line.split(":", 2) for line in proc_cgroup.splitlines())}
    found = []
    for line in mounts.splitlines():
        _, point, kind, options = line.split()[:4]
        if kind == "cgroup" and "memory" in options.split(",") and "memory" in own:
            found.append(CgroupLimiter(Path(point + own["memory"]), 1))
        elif kind == "cgroup2" and "" in own:
            here = Path(point + own[""])
            # A cgroup with processes of its own gives no controllers to children; a sibling may.
            found += [CgroupLimiter(folder, 2) for folder in (here, here.parent) if _gives_memory(folder)]
    return found


def _gives_memory(folder: Path) -> bool:
    try:
        return "memory" in (folder / "cgroup.subtree_control").read_text().split()
    except OSError:
        return False


def _is_usable(limiter: CgroupLimiter) -> bool:
    """True when a cgroup can be made and limited here; nothing of the trial is left."""
    folder = limiter.parent / f"modelfetch-trial-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError:
        return False
    try:
        (folder / _LIMIT_FILES[limiter.version][0]).write_text(str(1 << 30))
        return os.access(folder / "cgroup.procs", os.W_OK) and os.access(limiter.parent / "cgroup.procs", os.W_OK)
    except OSError:
        return False
    finally:
        folder.rmdir()
