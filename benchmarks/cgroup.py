"""A cgroup with little memory, made by hand: version 2 where it governs memory, else version 1. Needs root.

In: a limit in bytes. Out: `Group`, whose kills by the kernel are counted. The group is removed with the block.
"""

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_V1, _V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Group:
    """A cgroup's folder."""

    path: Path
    version: int

    def entered_by(self, command: Sequence[str]) -> list[str]:
        """Return the command that moves itself into the group and then becomes `command`."""
        return ["/bin/sh", "-c", f'echo $$ >"{self.path}/cgroup.procs" && exec "$@"', "sh", *command]

    def oom_kills(self) -> int:
        """Return how many processes the kernel has killed here for want of memory."""
        events = self.path / ("memory.events" if self.version == 2 else "memory.oom_control")
        counts = dict(line.split() for line in events.read_text().splitlines())
        return int(counts.get("oom_kill", 0))


def missing() -> str | None:
    """Return why no group can be made here, None where one can."""
    return None if _parent() else "no cgroup for memory can be made here (it takes root)"


def _parent() -> tuple[Path, int] | None:
    if os.access(_V1, os.W_OK) and (_V1 / "memory.limit_in_bytes").exists():
        return _V1, 1
    controllers = _V2 / "cgroup.subtree_control"
    if os.access(controllers, os.W_OK) and "memory" in controllers.read_text().split():
        return _V2, 2
    return None


@contextlib.contextmanager
def limited(limit_bytes: int) -> Iterator[Group]:
    """Hold a group that may use `limit_bytes` of memory, page cache included."""
    found = _parent()
    if found is None:
        raise RuntimeError("expected a cgroup for memory, found none")
    path, version = found[0] / f"modelfetch-bench-{os.getpid()}", found[1]
    path.mkdir()
    try:
        limit = "memory.limit_in_bytes" if version == 1 else "memory.max"
        (path / limit).write_text(str(limit_bytes))
        yield Group(path, version)
    finally:
        _remove(path)


def _remove(path: Path) -> None:
    """Remove the group; the kernel needs a moment after its last process has ended."""
    deadline = time.monotonic() + 10
    while (path / "cgroup.procs").read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    path.rmdir()
