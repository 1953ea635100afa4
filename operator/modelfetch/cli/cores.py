"""How many processors this process may use: those it may run on, less where its control group has a quota.

Comes in: the scheduler's word and the files of cgroup v2 or v1. Goes out: a number of threads, at least 1.
"""

import os
from pathlib import Path

_GROUP = Path("/sys/fs/cgroup")


def usable_cores(group: Path = _GROUP) -> int:
    """Return how many threads can run at once."""
    cores = len(os.sched_getaffinity(0))
    quota = _quota(group)
    return cores if quota is None else max(1, min(cores, -int(-quota // 1)))


def _quota(group: Path) -> float | None:
    """Return the processors that the group may use, None without a limit."""
    try:
        quota, period = (group / "cpu.max").read_text().split()
    except (OSError, ValueError):
        return _old_quota(group)
    return None if quota == "max" else int(quota) / int(period)


def _old_quota(group: Path) -> float | None:
    try:
        quota = int((group / "cpu" / "cpu.cfs_quota_us").read_text())
        period = int((group / "cpu" / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return quota / period if quota > 0 else None
