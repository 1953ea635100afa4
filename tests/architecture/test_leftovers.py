"""The check that nothing is left behind finds what it is there to find."""

import subprocess
import sys
import threading

import pytest

from tests import leftovers


def test_a_thread_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that goes on after its test fails the test and is named."""
    monkeypatch.setattr(leftovers, "GRACE_S", 0.0)
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="left-behind", daemon=True)

    with pytest.raises(pytest.fail.Exception, match="thread left-behind"), leftovers.nothing_new():
        thread.start()
    stop.set()
    thread.join()


def test_a_process_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child process that nobody ended fails the test and is named with its command."""
    monkeypatch.setattr(leftovers, "GRACE_S", 0.0)
    started: list[subprocess.Popen[bytes]] = []

    with pytest.raises(pytest.fail.Exception, match=r"process \d+ .*stdin"), leftovers.nothing_new():
        started.append(subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE))
    started[0].communicate()
