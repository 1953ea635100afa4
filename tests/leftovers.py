"""Fails a test, or the whole run, that leaves a thread or a child process behind.

Comes in: nothing. Goes out: two fixtures that conftest.py hands to every test. Fixtures of a higher scope (a cluster,
a hub) are set up before the one for a test looks, and torn down before the one for the session looks again.
"""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

GRACE_S = 10.0
"""How long something that is ending may take; a passing test waits only as long as it needs to."""


def children() -> set[int]:
    """Return the ids of this process's children, dead ones that nobody waited for included."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        # A thread may end while we look.
        with contextlib.suppress(OSError):
            found.update(map(int, (task / "children").read_text().split()))
    return found


def threads() -> set[threading.Thread]:
    """Return the living threads, without the one that progress bars of a library keep for the whole process."""
    return {thread for thread in threading.enumerate() if type(thread).__name__ != "TMonitor"}


def describe(pid: int) -> str:
    """Return `pid` with its command, as far as it can still be read."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        command = ""
    return f"process {pid} ({command or 'ended, never waited for'})"


@contextlib.contextmanager
def nothing_new() -> Iterator[None]:
    """Fail the test around which this runs where it left threads or child processes."""
    threads_before, children_before = threads(), children()
    yield
    deadline = time.monotonic() + GRACE_S
    while (left := (threads() - threads_before, children() - children_before)) != (set(), set()):
        if time.monotonic() > deadline:
            names = sorted(f"thread {thread.name}" for thread in left[0]) + sorted(map(describe, left[1]))
            pytest.fail(f"left behind by {os.environ.get('PYTEST_CURRENT_TEST', 'the run')}: {', '.join(names)}")
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def _test_leaves_nothing_behind() -> Iterator[None]:
    with nothing_new():
        yield


@pytest.fixture(autouse=True, scope="session")
def _run_leaves_nothing_behind() -> Iterator[None]:
    with nothing_new():
        yield
