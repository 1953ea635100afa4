"""The check that nothing is left behind finds what it is there to find."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from subprocess import PIPE

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


@pytest.fixture
def child() -> Iterator[subprocess.Popen[str]]:
    """Yield a process that has said that it runs, and end it after the test."""
    code = "import sys; print('here', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        yield process
        process.communicate()


def test_a_process_is_found(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A child process that nobody ended fails the test and is named with its command."""
    monkeypatch.setattr(leftovers, "GRACE_S", 0.0)

    with pytest.raises(pytest.fail.Exception, match=r"process \d+ .*stdin"), leftovers.nothing_new():
        request.getfixturevalue("child")
