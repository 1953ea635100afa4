"""The header of a run: what machine this is, how fast it hashes, which versions take part.

In: the Python of the peers. Out: plain facts as results files hold them.
"""

import json
import os
import platform
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.contenders import PROGRAMS, REPOSITORY, program

_NUMBER = re.compile(r"\d\.\d")
_V1_CPU = Path("/sys/fs/cgroup/cpu")


def header(python: Path) -> dict[str, Any]:
    """Return the facts; hashing is measured for about a second."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    facts = json.loads(_said([str(python), "-m", "benchmarks.peers.facts"]))
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cpu": _field(cpuinfo, "model name"),
        "sha_ni": "sha_ni" in _field(cpuinfo, "flags").split(),
        "cpus": _cpus(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)),
        "kernel": platform.release(),
        **facts["rates"],
        "versions": {
            "modelfetch": _said([program(), "--version"]).split()[-1],
            "commit": _said(["git", "rev-parse", "--short", "HEAD"]) or None,
            "python": facts["python"],
            **facts["packages"],
            **{name: _version(name, flag) for name, flag in PROGRAMS.items()},
        },
    }


def _said(command: list[str]) -> str:
    done = subprocess.run(command, cwd=REPOSITORY, check=False, capture_output=True, text=True)
    return (done.stdout or done.stderr).strip() if done.returncode == 0 else ""


def _version(name: str, flag: str) -> str | None:
    if shutil.which(name) is None:
        return None
    first = _said([name, flag]).partition("\n")[0]
    return next((word.rpartition("/")[2].lstrip("v") for word in first.split() if _NUMBER.search(word)), first)


def _field(cpuinfo: str, name: str) -> str:
    lines = (line.partition(":") for line in cpuinfo.splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == name), "unknown")


def _cpus() -> float:
    """Return how many CPUs this process may use: its affinity, or less where a cgroup's quota says so."""
    allowed = float(len(os.sched_getaffinity(0)))
    for quota, period in [_quota_v2(), _quota_v1()]:
        if quota > 0 and period > 0:
            allowed = min(allowed, quota / period)
    return allowed


def _quota_v2() -> tuple[int, int]:
    words = _text(Path("/sys/fs/cgroup/cpu.max")).split()
    return (int(words[0]), int(words[1])) if len(words) == 2 and words[0] != "max" else (0, 0)


def _quota_v1() -> tuple[int, int]:
    quota, period = (_text(_V1_CPU / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
    return (int(quota), int(period)) if quota and period else (0, 0)


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
