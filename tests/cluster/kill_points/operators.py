"""Operators as processes of their own, started within moments and killed as the kernel kills.

Comes in: flags. Goes out: `Operators`, which fork_server.py makes, and `Operator`, one of them.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

SERVER = "tests.cluster.kill_points.fork_server"


class Operator:
    """One process; use from any thread."""

    def __init__(self, pid: int) -> None:
        self._handle = os.pidfd_open(pid)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, number)

    def kill(self) -> None:
        """Afterwards it has ended by SIGKILL, and its connections with it."""
        self.signal(signal.SIGKILL)
        assert self.has_ended(within_s=10.0), "SIGKILL ends a process"

    def has_ended(self, within_s: float = 0.0) -> bool:
        """Return whether it has ended, at the latest after so many seconds."""
        return bool(select.select([self._handle], [], [], within_s)[0])

    def close(self) -> None:
        """Kill it and let go of it."""
        self.kill()
        os.close(self._handle)


class Operators:
    """Starts operators, all with the same mistakes."""

    def __init__(self, server: "subprocess.Popen[str]", mistakes: Sequence[str] = ()) -> None:
        self._server = server
        self._mistakes = list(mistakes)
        self._turn = threading.Lock()

    def making(self, *mistakes: str) -> "Operators":
        """Return what starts operators with these mistakes, when nobody else starts any."""
        return Operators(self._server, mistakes)

    def start(self, flags: Sequence[str], log: Path) -> Operator:
        """Start one; nothing is known of it yet."""
        wanted = {"flags": list(flags), "mistakes": self._mistakes, "log": str(log)}
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        with self._turn:
            self._server.stdin.write(json.dumps(wanted) + "\n")
            self._server.stdin.flush()
            return Operator(int(self._server.stdout.readline()))


@contextmanager
def operators() -> Iterator[Operators]:
    """Yield what starts operators; afterwards none of them is left."""
    with subprocess.Popen(
        [sys.executable, "-m", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            yield Operators(server)
        finally:
            server.kill()  # and with it every operator
