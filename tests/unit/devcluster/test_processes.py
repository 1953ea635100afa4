"""Real processes are started, told apart, and ended to the last child; strangers are not touched."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from modelfetch.devcluster.failure import ClusterFailure
from modelfetch.devcluster.processes import Processes, current_program, is_alive

DEADLINE_S = 20.0
SLEEPS = [sys.executable, "-c", "import time; print('started', flush=True); time.sleep(600)"]
IGNORES_SIGTERM = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('started', flush=True); time.sleep(600)",
]
LEAVES_A_CHILD = [
    sys.executable,
    "-c",
    "import subprocess, sys; subprocess.Popen(['sleep', '600'], start_new_session=True); print('started', flush=True)",
]


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """A handle to a cluster of this test, all of whose processes are ended afterwards."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "processes").mkdir()
    handle = Processes(tmp_path, f"test-{os.urandom(6).hex()}")
    yield handle
    handle.end_all(within_s=0.5)


def eventually(holds: Callable[[], bool]) -> bool:
    """Return True as soon as `holds` does, False after the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def has_started(processes: Processes, name: str) -> bool:
    """Tell whether the program of this name has come to its first line."""
    return eventually(lambda: "started" in processes.log(name).read_text())


def test_started_program_runs_and_is_recorded(processes: Processes, tmp_path: Path) -> None:
    """A program runs in the state folder, writes to its log, and is found in order of start."""
    first = processes.start(
        "first", [sys.executable, "-c", "import os, time; print(os.getcwd(), flush=True); time.sleep(600)"], os.environ
    )
    second = processes.start("second", SLEEPS, os.environ)

    assert eventually(lambda: str(tmp_path) in processes.log("first").read_text())
    assert ([first, second], True) == (processes.recorded(), processes.is_running(first))


def test_program_that_ended_does_not_run(processes: Processes) -> None:
    """A program that ended by itself is seen as ended, and its last words can be told."""
    program = processes.start("brief", [sys.executable, "-c", "print('that was all')"], os.environ)

    assert eventually(lambda: not processes.is_running(program))
    assert "that was all" in processes.last_words("brief")


def test_program_that_does_not_exist_is_named(processes: Processes) -> None:
    """A program that cannot be started is an error that names it."""
    with pytest.raises(ClusterFailure, match="'/nowhere/ghost' is no program"):
        processes.start("ghost", ["/nowhere/ghost"], os.environ)


@pytest.mark.parametrize("argv", [SLEEPS, IGNORES_SIGTERM])
def test_end_is_certain(processes: Processes, argv: list[str]) -> None:
    """A program is gone after `end`, also one that ignores SIGTERM."""
    program = processes.start("program", argv, os.environ)
    started = has_started(processes, "program")
    processes.end([program], within_s=0.5)

    assert (True, False, []) == (started, processes.is_running(program), processes.members())


def test_orphans_belong_to_the_cluster(processes: Processes) -> None:
    """A child in a session of its own, whose parent has ended, is found and ended all the same."""
    parent = processes.start("parent", LEAVES_A_CHILD, os.environ)
    ended = has_started(processes, "parent") and eventually(lambda: not processes.is_running(parent))
    orphans = processes.members()
    processes.end_all(within_s=5)

    assert (True, 1, []) == (ended, len(orphans), processes.members())


def test_another_handle_ends_them_too(processes: Processes, tmp_path: Path) -> None:
    """Whoever knows folder and id can end the processes, such as a later `down`."""
    program = processes.start("program", SLEEPS, os.environ)
    (cluster,) = _marks(program.pid)
    Processes(tmp_path, cluster).end_all(within_s=5)

    assert not processes.is_running(program)


def test_other_clusters_are_not_touched(processes: Processes, tmp_path: Path) -> None:
    """Processes of another id, even one that begins alike, are no members."""
    program = processes.start("program", SLEEPS, os.environ)
    (cluster,) = _marks(program.pid)
    Processes(tmp_path, cluster[:-1]).end_all(within_s=0.1)

    assert processes.is_running(program)


def test_later_process_with_the_same_pid_is_another(processes: Processes) -> None:
    """A record whose start time differs does not count as running, and `end` leaves the namesake alone."""
    program = processes.start("program", SLEEPS, os.environ)
    namesake = replace(program, started=program.started - 1)
    processes.end([namesake], within_s=0.1)

    assert (False, True) == (processes.is_running(namesake), processes.is_running(program))


def test_zombie_is_not_alive(tmp_path: Path) -> None:
    """A process that was killed and not yet collected by its parent counts as ended."""
    with subprocess.Popen(["sleep", "600"]) as child:
        stat = Path(f"/proc/{child.pid}/stat")
        started = int(stat.read_text().rpartition(")")[2].split()[19])
        program = replace(current_program(), pid=child.pid, started=started)
        alive = is_alive(program)
        child.send_signal(signal.SIGKILL)

        assert alive
        assert eventually(lambda: not is_alive(program))


def test_record_is_json_for_people(processes: Processes, tmp_path: Path) -> None:
    """A record names program, pid and start time."""
    program = processes.start("program", SLEEPS, os.environ)
    record = json.loads((tmp_path / "processes" / "program.json").read_text())

    assert {"name": "program", "pid": program.pid, "started": program.started} == record


def _marks(pid: int) -> list[str]:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return [pair.removeprefix("MODELFETCH_CLUSTER=") for pair in pairs if pair.startswith("MODELFETCH_CLUSTER=")]
