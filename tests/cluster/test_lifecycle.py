"""Clusters come and go without a trace, side by side, whatever was killed meanwhile."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from modelfetch.devcluster.binaries import find_binaries
from modelfetch.devcluster.cluster import down, up
from modelfetch.devcluster.failure import ClusterFailure
from modelfetch.devcluster.parts import ONLY_CONTROL_PLANE
from modelfetch.devcluster.processes import Processes
from modelfetch.devcluster.state import find_state, list_names
from modelfetch.devcluster.summary import Summary, statuses

DEADLINE_S = 60.0
Environ = dict[str, str]


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[Environ]:
    """An environment whose clusters are in a folder of this test; what is left of them goes afterwards."""
    chosen = {**os.environ, "MODELFETCH_STATE": str(tmp_path / "state")}
    yield chosen
    for name in list_names(chosen):
        down(name, chosen, lambda _: None)


def start(name: str, environ: Environ, said: list[str] | None = None) -> Summary:
    """Start a control plane alone."""
    return up(name, ONLY_CONTROL_PLANE, environ, datetime.now(UTC), (said if said is not None else []).append)


def processes_of(name: str, environ: Environ) -> Processes:
    """Return the handle to the processes of a cluster that exists."""
    state = find_state(name, environ)
    assert state is not None
    return state.processes()


def eventually(holds: Callable[[], bool]) -> bool:
    """Return True as soon as `holds` does, False after the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def left(environ: Environ) -> list[Path]:
    """Return every file and folder that clusters of `environ` left behind."""
    return list(Path(environ["MODELFETCH_STATE"]).rglob("*"))


def test_two_clusters_run_side_by_side(environ: Environ) -> None:
    """Two clusters have ports and processes of their own; the end of one leaves the other and its files alone."""
    one, two = start("one", environ), start("two", environ)
    ours, others = processes_of("one", environ), processes_of("two", environ)
    apart = one.server != two.server and not set(ours.members()) & set(others.members())
    down("one", environ, lambda _: None)

    assert (True, [], 3, ["two"]) == (apart, ours.members(), len(others.members()), list_names(environ))


def test_down_leaves_no_process_and_no_file(environ: Environ) -> None:
    """After `down` nothing is left, and a second one finds nothing to do."""
    start("one", environ)
    processes = processes_of("one", environ)
    first = down("one", environ, lambda _: None)
    second = down("one", environ, lambda _: None)

    assert (True, False, [], []) == (first, second, processes.members(), left(environ))


def test_second_up_changes_nothing(environ: Environ) -> None:
    """`up` on a cluster that runs returns the same summary and starts no process."""
    summary = start("one", environ)
    before = processes_of("one", environ).members()
    said: list[str] = []

    assert (summary, ["cluster 'one' is already there"]) == (start("one", environ, said), said)
    assert before == processes_of("one", environ).members()


def test_broken_cluster_is_told_and_started_anew(environ: Environ) -> None:
    """When a program was killed, `status` says which one, and `up` clears the rest away and starts a whole cluster."""
    start("one", environ)
    processes = processes_of("one", environ)
    etcd = processes.recorded()[0]
    os.kill(etcd.pid, signal.SIGKILL)
    gone = eventually(lambda: not processes.is_running(etcd))
    told = statuses(environ)
    said: list[str] = []
    start("one", environ, said)

    assert (True, True, True) == (gone, f"etcd{' ' * 22}ended by itself" in told, "'one': broken" in told)
    assert "removing what is left of cluster 'one'" == said[0]
    assert ([], 3) == (processes.members(), len(processes_of("one", environ).members()))


@pytest.mark.parametrize("program", ["etcd", "kube-apiserver", "kube-controller-manager"])
def test_program_that_ends_is_told_with_its_last_words(environ: Environ, tmp_path: Path, program: str) -> None:
    """A start that cannot succeed says which program, shows the end of its log, and leaves nothing behind."""
    broken = tmp_path / "assets" / program
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho cannot work like this\nexit 3\n")
    broken.chmod(0o755)
    with pytest.raises(ClusterFailure, match=rf"(?s)'{program}' ended by itself.*cannot work like this.*next: "):
        start("one", environ | {"KUBEBUILDER_ASSETS": str(broken.parent)})

    assert [] == left(environ)


def test_killed_start_is_cleaned_by_down(environ: Environ) -> None:
    """A starter that was killed in the middle leaves processes; `down` finds and ends all of them."""
    argv = [sys.executable, "-m", "modelfetch.devcluster", "up", "--name", "one", "--only-control-plane"]
    with subprocess.Popen(argv, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as starter:
        # Two, since the first that is seen may be the launcher of the other, which ends.
        begun = eventually(lambda: "one" in list_names(environ) and len(processes_of("one", environ).members()) >= 2)
        starter.kill()
    processes = processes_of("one", environ)
    orphans = processes.members()
    told = statuses(environ)
    down("one", environ, lambda _: None)

    assert (True, True, True) == (begun, orphans != [], "unfinished" in told)
    assert ([], []) == (processes.members(), left(environ))


def heed_interrupts() -> None:
    """Undo what a shell does to programs in the background: they would never hear of Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_start_cleans_up_itself(environ: Environ, number: signal.Signals) -> None:
    """Ctrl-C or kill during `up` ends with exit code 130, no process and no file."""
    argv = [sys.executable, "-m", "modelfetch.devcluster", "up", "--name", "one", "--only-control-plane"]
    with subprocess.Popen(
        argv, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts
    ) as starter:
        # Two, since the first that is seen may be the launcher of the other, which ends.
        begun = eventually(lambda: "one" in list_names(environ) and len(processes_of("one", environ).members()) >= 2)
        processes = processes_of("one", environ)
        starter.send_signal(number)
        _, said = starter.communicate(timeout=DEADLINE_S)

    assert (True, 130, [], []) == (begun, starter.returncode, processes.members(), left(environ))
    assert "nothing is left behind" in said


def test_start_waits_for_no_other_port(environ: Environ, tmp_path: Path) -> None:
    """An API server whose port was taken meanwhile is started again with another one."""
    real = find_binaries(lambda _: None, environ)["kube-apiserver"]
    wrapper = tmp_path / "assets" / "kube-apiserver"
    wrapper.parent.mkdir()
    once = tmp_path / "once"
    # The first start meets a port that another socket holds: the very message of the real server.
    wrapper.write_text(
        f"#!{sys.executable}\n"
        "import os, pathlib, socket, sys\n"
        f"once = pathlib.Path({str(once)!r})\n"
        "if not once.exists():\n"
        "    once.touch()\n"
        "    port = int(next(a for a in sys.argv if a.startswith('--secure-port=')).partition('=')[2])\n"
        "    holder = socket.create_server(('127.0.0.1', port))\n"
        "    os.set_inheritable(holder.fileno(), True)\n"
        f"os.execv({str(real)!r}, [{str(real)!r}, *sys.argv[1:]])\n"
    )
    wrapper.chmod(0o755)
    summary = start("one", environ | {"KUBEBUILDER_ASSETS": str(wrapper.parent)})

    assert (True, True) == (once.exists(), "https://127.0.0.1:" in summary.server)
