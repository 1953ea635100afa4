"""As many threads as processors may be used, not as many as the machine has."""

import os
from pathlib import Path

import pytest

from modelfetch.cli.cores import usable_cores

ALL = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, ALL),
        ({"cpu.max": "max 100000\n"}, ALL),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "100000 100000\n"}, 1),
        ({"cpu.max": "150000 100000\n"}, min(ALL, 2)),
        ({"cpu.max": "999900000 100000\n"}, ALL),
        ({"cpu.max": "strange"}, ALL),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, ALL),
        ({"cpu/cpu.cfs_quota_us": "20000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
    ],
)
def test_usable_cores(files: dict[str, str], expected: int, tmp_path: Path) -> None:
    """A quota is rounded up and at least one; without one, every processor that the process may run on counts."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    assert expected == usable_cores(tmp_path)
