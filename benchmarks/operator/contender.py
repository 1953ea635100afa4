"""An operator as a child process: started, asked what it costs, ended.

In: a command line. Out: CPU seconds and memory from /proc while it runs (proc(5)), so that a phase can be measured
without its start. Nothing of it is left afterwards.
"""

import contextlib
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import OURS
from benchmarks.operator.bed import PEER_ACCOUNT, Bed
from modelfetch.devcluster.controlplane import free_port
from modelfetch.devcluster.parts import OPERATOR_ACCOUNT, OPERATOR_NAMESPACE

PLAIN_KOPF = "plain kopf"
_MODULES = {OURS: "modelfetch.controller", PLAIN_KOPF: "benchmarks.operator.plain_kopf"}
_ACCOUNTS = {OURS: OPERATOR_ACCOUNT, PLAIN_KOPF: PEER_ACCOUNT}
_ENDS_WITHIN_S = 30.0
_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """What a process has used so far: CPU seconds, resident memory now and at its peak in MiB."""

    cpu_s: float
    rss_mib: float
    peak_mib: float


@dataclass(frozen=True)
class Contender:
    """A running operator."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path
    port: int
    """Where modelfetch tells its metrics."""

    def usage(self) -> Usage:
        """Return its cost until now; raises RuntimeError with its last words where it has ended."""
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self.process.returncode}: {self.log.read_text()[-400:]}")
        folder = Path(f"/proc/{self.process.pid}")
        # The second field is the program's name in parentheses and may hold anything.
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        sizes = dict(line.split(":") for line in (folder / "status").read_text().splitlines() if "kB" in line)
        rss, peak = (int(sizes[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
        return Usage((int(fields[11]) + int(fields[12])) * _TICK_S, rss, peak)

    def metrics(self) -> dict[str, float]:
        """Return what it tells Prometheus, by name and labels; nothing while it does not answer yet."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5.0) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            self.usage()  # one that has ended will never answer
            return {}
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}


def user_of(name: str) -> str:
    """Return as whom the API server knows a contender."""
    return f"system:serviceaccount:{OPERATOR_NAMESPACE}:{_ACCOUNTS[name]}"


@contextlib.contextmanager
def running(name: str, bed: Bed) -> Iterator[Contender]:
    """Yield a contender that has just been started with its defaults; afterwards it has ended."""
    log, port = Path(bed.summary.logs) / f"{_ACCOUNTS[name]}.log", free_port()
    flags = ["--kubeconfig", str(bed.kubeconfigs[_ACCOUNTS[name]])]
    flags += ["--probe-port", str(port), "--identity", "bench"] if name == OURS else []
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", _MODULES[name], *flags], stdout=out, stderr=out)
    try:
        yield Contender(name, process, log, port)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
