"""Which process something belongs to, and whether that process has ended for certain.

Comes in: what a process wrote down of itself. Goes out: proof, or none: a process of another machine, another boot or
another container's numbers may well be alive.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_PROC = Path("/proc")
_DEAD = ("Z", "X")
"""States of a process that has closed all its files and waits for its parent to take notice."""
_STARTED_FIELD = 19
"""Index of `starttime` in /proc/<pid>/stat behind the name in brackets (proc_pid_stat(5), field 22)."""


@dataclass(frozen=True)
class Process:
    """A process beyond its number: the boot, the namespace that counts, and the start in clock ticks since boot."""

    boot: str
    namespace: str
    pid: int
    started: int

    @classmethod
    def current(cls) -> Self:
        """Return this process."""
        pid = os.getpid()
        return cls(_boot(), _namespace(), pid, _started(pid) or 0)

    @classmethod
    def of_list(cls, fields: list[object]) -> Self:
        """Return what `as_list` gave; raises ValueError for anything else."""
        match fields:
            case [str(boot), str(namespace), int(pid), int(started)] if pid > 0:
                return cls(boot, namespace, pid, started)
        raise ValueError("expected a process")

    def as_list(self) -> list[object]:
        """Return the process as JSON values."""
        return [self.boot, self.namespace, self.pid, self.started]

    def has_ended(self) -> bool:
        """Tell whether it is certain that the process runs no more, seen from this one."""
        if "" in (self.boot, self.namespace) or (self.boot, self.namespace) != (_boot(), _namespace()):
            return False
        return _started(self.pid) != self.started


def _boot() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return os.readlink(_PROC / "self/ns/pid")
    except OSError:
        return ""


def _started(pid: int) -> int | None:
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in _DEAD and not _has_other_threads(pid) else int(fields[_STARTED_FIELD])


def _has_other_threads(pid: int) -> bool:
    try:
        return len(os.listdir(_PROC / str(pid) / "task")) > 1
    except OSError:
        return False
