"""Whether a process has ended is told only where it is certain."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from modelfetch.store.processes import Process

TELL = (
    "from modelfetch.store.processes import Process; import json, sys;"
    "print(json.dumps(Process.current().as_list()), flush=True); sys.stdin.read()"
)


@pytest.fixture
def child() -> Iterator[subprocess.Popen[str]]:
    """A process that waits for the end of its input."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def of(pid: int) -> Process:
    """Return the process with this number as it is now."""
    with open(f"/proc/{pid}/stat") as stat:
        started = int(stat.read().rpartition(")")[2].split()[19])
    return replace(Process.current(), pid=pid, started=started)


def test_this_process_runs() -> None:
    """A process has not ended for itself, nor for its threads."""
    told: list[bool] = []
    process = Process.current()
    thread = threading.Thread(target=lambda: told.append(process.has_ended() or Process.current() != process))
    thread.start()
    thread.join()

    assert [False, False] == [*told, process.has_ended()]


def test_a_killed_process_has_ended(child: subprocess.Popen[str]) -> None:
    """Alive before, ended after; also while its parent has not taken notice: its files are closed."""
    process = of(child.pid)
    before = process.has_ended()
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    unnoticed = process.has_ended()
    child.wait()

    assert (False, True, True) == (before, unnoticed, process.has_ended())


def test_what_it_wrote_down_is_what_another_process_sees() -> None:
    """The list in a journal names the process for everybody on the same machine."""
    with subprocess.Popen(
        [sys.executable, "-c", TELL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        told = Process.of_list(json.loads(other.stdout.readline()))
        running = told.has_ended()
        seen = of(other.pid)
        other.communicate()

    assert (seen, False, True) == (told, running, told.has_ended())


@pytest.mark.parametrize(
    "change",
    [{"boot": "another"}, {"boot": ""}, {"namespace": "pid:[1]"}, {"namespace": ""}],
    ids=["another boot", "no boot", "another namespace", "no namespace"],
)
def test_of_another_machine_or_container_nothing_is_certain(change: dict[str, Any]) -> None:
    """Numbers of another boot or namespace say nothing here, whoever has them now."""
    gone = replace(Process.current(), pid=2**22 + 1)

    assert (True, False) == (gone.has_ended(), replace(gone, **change).has_ended())


def test_without_namespaces_nothing_is_certain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the machine tells no namespace, two containers with the same numbers cannot be told apart."""
    gone = replace(Process.current(), pid=2**22 + 1, namespace="")
    monkeypatch.setattr("modelfetch.store.processes._namespace", lambda: "")

    assert not gone.has_ended()


def test_a_number_that_came_again_is_another_process() -> None:
    """The start time tells a process from a later one of the same number."""
    process = Process.current()

    assert replace(process, started=process.started - 1).has_ended()


@pytest.mark.parametrize(
    "fields", [[], ["b", "n", 1], ["b", "n", 0, 1], ["b", "n", -7, 1], ["b", "n", "1", 1], ["b", None, 1, 1]]
)
def test_nonsense_is_no_process(fields: list[object]) -> None:
    """A number that no process has would always have ended: it is refused."""
    with pytest.raises(ValueError, match="expected a process"):
        Process.of_list(fields)


def test_a_process_comes_back_from_its_list() -> None:
    """What is written down is the whole of it."""
    process = Process.current()

    assert process == Process.of_list(process.as_list())
