"""Which way memory is limited, on file trees like the kernel's and on this machine's own kernel."""

import asyncio
import os
from pathlib import Path

import pytest

from modelfetch.devcluster.node.memory import CgroupLimiter, DataLimit, DataLimiter, find_limiter
from tests.unit.devcluster.node.samples import run


@pytest.mark.parametrize(
    ("cgroup", "mounts"),
    [
        ("", ""),
        ("0::/user.slice/x", "none {root} cgroup2 rw 0 0"),
        ("4:memory:/absent", "none {root} cgroup rw,memory 0 0"),
        ("4:cpu:/", "none {root} cgroup rw,cpu 0 0"),
    ],
)
def test_without_a_writable_cgroup(tmp_path: Path, cgroup: str, mounts: str) -> None:
    """Where no memory cgroup can be made, the limit is set on the process."""
    actual = find_limiter(cgroup, mounts.format(root=tmp_path))

    assert isinstance(actual, DataLimiter)
    assert {"cgroup_files": [], "data_limit": 5} == actual.enclose("x", 5).launch_steps()


def test_version_1(tmp_path: Path) -> None:
    """In version 1 the cgroup's files take the limit, also for memory and swap together where it exists."""
    folder = tmp_path / "x"
    limiter = CgroupLimiter(tmp_path, 1)
    folder.with_name("probe").mkdir()

    enclosure = limiter.enclose("x", 4096)

    (folder / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
    expected = {"cgroup_files": [str(folder / "cgroup.procs")], "data_limit": None}
    assert (expected, "4096", True) == (
        enclosure.launch_steps(),
        (folder / "memory.limit_in_bytes").read_text(),
        enclosure.was_oom_killed(),
    )


@pytest.mark.parametrize(("events", "killed"), [("oom 0\noom_kill 0\n", False), ("oom 2\noom_kill 12\n", True)])
def test_version_2(tmp_path: Path, events: str, killed: bool) -> None:
    """In version 2 the kernel's counter of kills says whether memory was the cause."""
    enclosure = CgroupLimiter(tmp_path, 2).enclose("x", 4096)
    (tmp_path / "x" / "memory.events").write_text(events)

    actual = enclosure.was_oom_killed(), (tmp_path / "x" / "memory.max").read_text()

    assert (killed, "4096") == actual


def test_no_limit(tmp_path: Path) -> None:
    """A container without a limit has a cgroup too, so that all its processes can be found."""
    CgroupLimiter(tmp_path, 2).enclose("x", None)

    actual = list((tmp_path / "x").iterdir())

    assert [] == actual


def test_on_this_machine() -> None:
    """What is found here can be made and removed without a trace."""
    limiter = find_limiter(Path("/proc/self/cgroup").read_text(), Path("/proc/self/mounts").read_text())
    enclosure = limiter.enclose(f"modelfetch-test-{os.getpid()}", 1 << 26)

    asyncio.run(enclosure.remove())

    left = list(limiter.parent.glob(f"modelfetch-*-{os.getpid()}")) if isinstance(limiter, CgroupLimiter) else []
    assert [] == left


def test_a_data_limit_counts_no_kills() -> None:
    """A limit on the process kills nothing and has nothing to remove."""
    limit = DataLimit(5)

    actual = limit.was_oom_killed(), limit.members(), run(limit.remove())

    assert (False, [], None) == actual
