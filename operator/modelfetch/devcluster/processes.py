"""The processes of one cluster: started in groups of their own, written down, found again and ended, no others.

Each process carries the cluster's id in its environment (MODELFETCH_CLUSTER), as do its children. So what belongs to
the cluster can be told for certain, whoever started it and however that one ended. Records are for people and `status`.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from modelfetch.devcluster.failure import ClusterFailure

MARK = "MODELFETCH_CLUSTER"
_POLL_S = 0.02
_LAUNCHER = """
import os, sys
pid = os.fork()
if pid:
    os.write(1, str(pid).encode())
    os._exit(0)
os.setsid()
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
os.dup2(log, 1)
os.dup2(log, 2)
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Makes the program nobody's child here: whoever starts a cluster may end before it, and need not wait for it."""


@dataclass(frozen=True)
class Program:
    """A started process: `started`, in clock ticks since boot, tells it from a later one with that pid."""

    name: str
    pid: int
    started: int


class Processes:
    """Starts, finds and ends what belongs to the cluster of id `cluster` in the state folder `folder`."""

    def __init__(self, folder: Path, cluster: str) -> None:
        self._folder, self._cluster = folder, cluster

    def start(self, name: str, argv: Sequence[str | Path], environ: Mapping[str, str]) -> Program:
        """Return the started program; it runs in the state folder and writes to its log; raises ClusterFailure."""
        if not os.access(argv[0], os.X_OK):
            raise ClusterFailure(f"'{name}' cannot be started: '{argv[0]}' is no program")
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, self.log(name), *argv]
        marked = {**environ, MARK: self._cluster}
        launched = subprocess.run(launcher, cwd=self._folder, env=marked, stdout=subprocess.PIPE, check=True)
        pid = int(launched.stdout)
        program = Program(name, pid, _stat(pid).started)
        record = self._folder / "processes" / f"{name}.json"
        record.write_text(json.dumps(asdict(program)), encoding="utf-8")
        return program

    def recorded(self) -> list[Program]:
        """Return every program that was started, in order of start; some may have ended."""
        # By the records' times: a clock tick is 10 ms long, and two programs may start in one.
        records = sorted((self._folder / "processes").glob("*.json"), key=lambda record: record.stat().st_mtime_ns)
        return [Program(**json.loads(record.read_text(encoding="utf-8"))) for record in records]

    def is_running(self, program: Program) -> bool:
        """Tell whether the program runs; one that ended and that its parent has not asked for yet does not."""
        return is_alive(program)

    def log(self, name: str) -> Path:
        """Return the path of a program's log."""
        return self._folder / "logs" / f"{name}.log"

    def last_words(self, name: str, lines: int = 8) -> str:
        """Return the last lines of a program's log, for an error."""
        text = self.log(name).read_text(encoding="utf-8", errors="replace")
        return "\n".join(f"    {line[:300]}" for line in text.splitlines()[-lines:])

    def end(self, programs: Sequence[Program], within_s: float) -> None:
        """Afterwards these have ended: SIGTERM to all at once, SIGKILL to the groups after `within_s` seconds."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for program in filter(self.is_running, programs):
                _signal(program.pid, number, whole_group=number == signal.SIGKILL)
            _until(lambda: not any(map(self.is_running, programs)), within_s)

    def end_all(self, within_s: float) -> None:
        """Afterwards no process of the cluster is left; raises ClusterFailure for one that cannot be killed."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.members():
                _signal(pid, number)
            _until(lambda: not self.members(), within_s)
        if left := self.members():
            raise ClusterFailure(f"processes {left} do not end: they may hang in a system call; look at them with ps")

    def members(self) -> list[int]:
        """Return the pids of all living processes that carry the cluster's mark."""
        mark = f"{MARK}={self._cluster}".encode()
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return [pid for pid in pids if pid != os.getpid() and mark in _environ(pid) and _stat(pid).is_alive]


def current_program() -> Program:
    """Return the process that asks."""
    return Program("current", os.getpid(), _stat(os.getpid()).started)


def is_alive(program: Program) -> bool:
    """Tell whether this very process lives."""
    stat = _stat(program.pid)
    return stat.is_alive and stat.started == program.started


@dataclass(frozen=True)
class _Stat:
    is_alive: bool
    started: int


def _stat(pid: int) -> _Stat:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return _Stat(is_alive=False, started=0)
    # proc(5): the second field is the name in parentheses and may hold anything, also ")".
    fields = text[text.rindex(")") + 2 :].split()
    return _Stat(is_alive=fields[0] not in {"Z", "X"}, started=int(fields[19]))


def _environ(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        # Ended meanwhile, or another user's, which we could not have started.
        return []


def _signal(pid: int, number: signal.Signals, *, whole_group: bool = False) -> None:
    send = os.killpg if whole_group else os.kill
    try:
        send(pid, number)
    except ProcessLookupError:
        # It has ended between the look and the signal.
        return


def _until(holds: Callable[[], bool], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not holds() and time.monotonic() < deadline:
        time.sleep(_POLL_S)
