"""The programs of a control plane as a test treats them: killed, started again, on data of another day.

Comes in: the summary of a cluster that is nobody else's, with a process node. Goes out: `Plane`. What is started again
has its command line, and so its address.
"""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

from modelfetch.devcluster.processes import Program
from modelfetch.devcluster.programs import NODE
from modelfetch.devcluster.state import find_state
from modelfetch.devcluster.summary import Summary
from tests.cluster.world import until

SERVER, ETCD, CONTROLLERS = "kube-apiserver", "etcd", "kube-controller-manager"
_FOLLOWERS = (CONTROLLERS, NODE)
_ANSWER_WITHIN_S = 10.0


class Plane:
    """etcd, the API server, and those who follow it: the controllers and the node."""

    def __init__(self, summary: Summary) -> None:
        state = find_state(summary.name, os.environ)
        assert state is not None
        self._kubectl = [summary.kubectl, "--kubeconfig", summary.kubeconfig]
        self._folder, self._processes = state.folder, state.processes()
        self._programs = {program.name: program for program in self._processes.recorded()}
        self._commands = {name: _command(self._programs[name]) for name in (SERVER, ETCD, *_FOLLOWERS)}

    def kill(self, *names: str) -> None:
        """Afterwards these have ended by SIGKILL."""
        for name in names:
            os.kill(self._programs[name].pid, signal.SIGKILL)
        until(
            lambda: not any(self._processes.is_running(self._programs[name]) for name in names), lambda: f"{names} run"
        )

    def start(self, *names: str, flags: tuple[str, ...] = ()) -> None:
        """Start these, with `flags` besides; where the API server is one of them, it is ready afterwards."""
        for name in names:
            self._programs[name] = self._processes.start(name, [*self._commands[name], *flags], os.environ)
        until(lambda: SERVER not in names or self._is_ready(), lambda: self._processes.last_words(names[-1]))

    def back_up(self, to: Path) -> None:
        """Copy what etcd holds; nothing runs meanwhile."""
        self.kill(SERVER, ETCD)
        shutil.copytree(self._folder / "etcd", to)
        self.start(ETCD, SERVER)

    def restore(self, backup: Path) -> None:
        """Afterwards the cluster is what it was at `back_up`.

        As etcd's manual for a restore says, what keeps a memory of its own is started again: all but the operator, to
        whom nobody has told anything.
        """
        self.kill(*_FOLLOWERS, SERVER, ETCD)
        shutil.rmtree(self._folder / "etcd")
        shutil.copytree(backup, self._folder / "etcd")
        self.start(ETCD, SERVER)
        self.start(*_FOLLOWERS)

    def etcd(self, path: str, **request: Any) -> dict[str, Any]:
        """Return what etcd's gateway for JSON answers (etcd.io/docs, "gRPC gateway")."""
        with contextlib.closing(_UnixClient("localhost", self._folder / "etcd.sock")) as client:
            client.request("POST", f"/v3/{path}", json.dumps(request))
            with client.getresponse() as answer:
                said = answer.read()
        assert answer.status == 200, said
        return dict(json.loads(said))

    def _is_ready(self) -> bool:
        ask = ["get", "--raw", "/readyz", f"--request-timeout={_ANSWER_WITHIN_S:g}s"]
        return subprocess.run([*self._kubectl, *ask], capture_output=True, check=False).returncode == 0


class _UnixClient(http.client.HTTPConnection):
    def __init__(self, host: str, path: Path) -> None:
        super().__init__(host, timeout=_ANSWER_WITHIN_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_ANSWER_WITHIN_S)
        # A socket's path has 107 characters at most, and the state folder may be deep.
        folder = os.open(self._path.parent, os.O_PATH)
        try:
            self.sock.connect(f"/proc/self/fd/{folder}/{self._path.name}")
        finally:
            os.close(folder)


def _command(program: Program) -> list[str | Path]:
    words = Path(f"/proc/{program.pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    return [word.decode() for word in words]
