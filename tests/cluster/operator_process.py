"""The operator as a child process of a test, on a cluster that has none: started, killed, started again.

Comes in: a cluster `--without operator`. Goes out: `OperatorProcess`, which runs the command of `make up` with the
rights of deploy/, by way of operator_main.py. The end of its fixture leaves no process.
"""

import asyncio
import base64
import json
import os
import resource
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from modelfetch.devcluster import programs
from modelfetch.devcluster.controlplane import ControlPlane
from modelfetch.devcluster.parts import OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, write_account_kubeconfig
from modelfetch.devcluster.state import find_state
from modelfetch.devcluster.summary import Summary
from modelfetch.kube.client import Kube
from modelfetch.kube.connection import from_kubeconfig
from tests.cluster import operator_main, resyncing_operator
from tests.cluster.world import until

ACCOUNT = f"system:serviceaccount:{OPERATOR_NAMESPACE}:{OPERATOR_ACCOUNT}"
"""As whom the API server knows it."""
_RUNS = "the operator runs"
_PROGRAM = "modelfetch.controller"


def probe(port: int, within_s: float = 5.0) -> tuple[int, str]:
    """Return the status and the words of /livez, which a kubelet asks; 0 where nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=within_s) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def _credential(token: str) -> str:
    """Return how the API server names a token in its audit log: by the claim `jti`."""
    claims = token.split(".")[1]
    return f"JTI={json.loads(base64.urlsafe_b64decode(claims + '=' * (-len(claims) % 4)))['jti']}"


class OperatorProcess:
    """One operator at a time."""

    def __init__(self, summary: Summary, log: Path, identity: str = "operator", flags: Sequence[str] = ()) -> None:
        state = find_state(summary.name, os.environ)
        admin = from_kubeconfig(Path(summary.kubeconfig))
        assert state is not None
        assert admin.ca_pem is not None
        plane = ControlPlane(state, summary.server, admin.ca_pem, {})
        self.kubeconfig = log.with_suffix(".kubeconfig")
        """Of its own, with a token of its own: by which the audit log tells what this operator did."""
        self.command = programs.operator_command(state, None, identity)
        """What `start` runs; a test may add flags, of which the last of a name counts."""
        self._program = self.command.index(_PROGRAM)
        self.command[self._program] = operator_main.__name__
        self.command += ["--kubeconfig", str(self.kubeconfig), *flags]
        self.at_end: list[Callable[[], object]] = []
        """What ends a test's faults, before all that has to hold when they are over is looked at."""
        self._log = log
        self._said_before = 0
        self._process: subprocess.Popen[bytes] | None = None
        log.touch()

        async def write() -> None:
            async with Kube(admin) as kube:
                await write_account_kubeconfig(kube, plane, self.kubeconfig, OPERATOR_NAMESPACE, OPERATOR_ACCOUNT)

        asyncio.run(write())
        self.credential = _credential(from_kubeconfig(self.kubeconfig).bearer() or "")

    def list_often(self) -> None:
        """From its next start on it lists everything every few seconds."""
        self.command[self._program] = resyncing_operator.__name__

    def start(self) -> None:
        """Start it; nothing is known of it yet."""
        self._said_before = self._log.stat().st_size
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self.command, stdout=log, stderr=log)

    def start_and_wait(self) -> None:
        """Start it and return when it has listed everything and takes in events."""
        self.start()
        self.wait_running()

    def wait_running(self) -> None:
        """Return when it takes in events."""
        until(lambda: _RUNS in self.said(), self.said)

    def look_at_everybody(self) -> None:
        """Return when it has listed everything again, and looked at each object since."""
        before = self.said().count(operator_main.LOOKED)
        self.signal(signal.SIGUSR1)
        until(lambda: self.said().count(operator_main.LOOKED) > before, self.said)

    def run_for(self, seconds: float) -> None:
        """Let it work for some time; fails where it ends by itself."""
        assert self._process is not None
        try:
            code = self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return
        raise AssertionError(f"the operator ended by itself with code {code}: {self.said()}")

    def kill(self) -> None:
        """Afterwards it has ended by SIGKILL, without a chance to do anything more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def is_running(self) -> bool:
        """Whether it was started and has not ended by itself."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process that was started last."""
        assert self._process is not None
        return self._process.pid

    def rss_mib(self) -> float:
        """Return its resident memory."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def files(self) -> int:
        """Return how many file descriptors it has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def bound(self, what: int, left: int) -> None:
        """Leave the running process so much more of a resource, RLIMIT_NOFILE or RLIMIT_AS, than it has now."""
        assert self._process is not None
        folder = Path(f"/proc/{self._process.pid}")
        pages = int((folder / "statm").read_text().split()[0])
        has = self.files() if what == resource.RLIMIT_NOFILE else pages * resource.getpagesize()
        resource.prlimit(self._process.pid, what, (has + left, has + left))

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it was not killed."""
        if self._process is not None:
            self._process.send_signal(number)

    def wait_ended(self, within_s: float = 30.0) -> int:
        """Return the exit code with which it ends by itself."""
        assert self._process is not None
        return self._process.wait(timeout=within_s)

    def said(self) -> str:
        """Return the log of the last run."""
        return self._log.read_bytes()[self._said_before :].decode(errors="replace")

    def said_ever(self) -> str:
        """Return the log of all runs."""
        return self._log.read_text(errors="replace")
