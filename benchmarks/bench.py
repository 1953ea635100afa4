"""The workshop of a run: files, servers, folders for outputs. Everything ends with the block.

In: a folder and the scale. Out: `Bench`, which plays.py uses. Servers start when a scenario first asks for them.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import trustme

from benchmarks import files
from benchmarks.contenders import OURS, REPOSITORY, Task, call
from benchmarks.files import MIB, Collection
from benchmarks.scenario import Scenario, Turn
from benchmarks.servers import nginx
from benchmarks.servers.traffic import AccessLog

PACES = {
    "http": (),
    "paced": ("--per-connection", str(40 * MIB)),
    "shared": ("--shared", str(80_000_000)),
}
"""The flags of our own server; `http` is what stands in for nginx where it is missing."""


LATER_BYTES = 256 * MIB
"""Outputs that take no more on disk are kept to the end of a run."""


@dataclass(frozen=True)
class Server:
    """A running server: where it answers and what it has answered."""

    address: str
    log: AccessLog


@dataclass
class Bench:
    """What the plays need; `python` runs the peers."""

    home: Path
    python: Path
    scale: float
    deadline_s: float
    stack: contextlib.ExitStack
    collections: dict[str, Collection] = field(default_factory=dict)
    _servers: dict[str, Server] = field(default_factory=dict)
    _stores: dict[str, Task] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """What the servers serve."""
        return self.home / "root"

    @property
    def ca_file(self) -> Path:
        """The authority to trust for the server `tls`."""
        return self.home / "ca.crt"

    def prepare(self, scenario: Scenario) -> None:
        """Make the files of a scenario."""
        wanted = {scenario.collection, *scenario.also} - set(self.collections)
        self.collections.update(files.prepare(self.root, self.scale, wanted))

    def address(self, kind: str) -> str:
        """Return the address of a server."""
        return self._server(kind).address

    def log(self, kind: str) -> AccessLog:
        """Return the access log of a server."""
        return self._server(kind).log

    def output(self, turn: Turn) -> Path:
        """Return where a contender's words go."""
        name = "-".join(turn.contender.replace(":", "").split())
        return self.home / "logs" / f"{turn.scenario.key}-{name}.log"

    @contextlib.contextmanager
    def folder(self, turn: Turn) -> Iterator[Path]:
        """Hold an empty folder; afterwards it is gone."""
        out = self.home / "out" / turn.scenario.key
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        try:
            yield out
        finally:
            self._discard(out)

    def _discard(self, out: Path) -> None:
        """Remove what takes much space; what takes little is removed at the end of the run.

        Thousands of small files that are deleted now slow down whoever makes the next ones: ext4 looks at each inode
        that was deleted within the last minutes before it gives one out.
        """
        if files.bytes_on_disk(out) > LATER_BYTES:
            shutil.rmtree(out, ignore_errors=True)
            return
        later = _discarded(self.home)
        later.mkdir(exist_ok=True)
        out.rename(tempfile.mkdtemp(dir=later))

    def settle(self, read: Path) -> None:
        """No turn pays for the last one: what that wrote is on disk or gone, and `read` is in the page cache again.

        Deleted files are discarded by the disk only when the journal is written, up to five seconds later; and machines
        that give idle memory back to a host drop what a server has not read for a while.
        """
        os.sync()
        files.read(read)

    def store(self, turn: Turn) -> Task:
        """Return the task that has filled the scenario's store; filled once a run."""
        key = turn.scenario.key
        if key not in self._stores:
            out = self.home / "stores" / key
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            self.stack.callback(shutil.rmtree, out, ignore_errors=True)
            task = turn.task(self, out)
            cost = call(OURS, task, self.python).cost(self.home / "logs" / f"{key}-store.log", self.deadline_s)
            if cost.complaint:
                raise RuntimeError(f"expected a store for {key}, got {cost.complaint}")
            self._stores[key] = task
        return replace(self._stores[key])

    def _server(self, kind: str) -> Server:
        if kind not in self._servers:
            if kind in ("http", "tls", "delay") and nginx.available():
                self._start_nginx()
            else:
                self._servers[kind] = self._start_own(kind)
        return self._servers[kind]

    def _start_nginx(self) -> None:
        folder = self._fresh("nginx")
        running = self.stack.enter_context(nginx.serving(self.root, folder, *self._certificate()))
        self._servers.update({kind: Server(address, running.log) for kind, address in running.addresses.items()})

    def _start_own(self, kind: str) -> Server:
        log, [port] = self._fresh(kind) / "access.log", nginx.free_ports(1)
        place = ["--root", str(self.root), "--log", str(log), "--port", str(port)]
        command = [sys.executable, "-m", "benchmarks.servers.paced", *place, *PACES[kind]]
        process = subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.DEVNULL)
        self.stack.callback(_end, process)
        nginx.wait_for_port(port, process)
        return Server(f"http://127.0.0.1:{port}", AccessLog(log))

    def _fresh(self, name: str) -> Path:
        folder = self.home / "servers" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def _certificate(self) -> tuple[Path, Path]:
        authority = trustme.CA()
        issued = authority.issue_cert("127.0.0.1")
        certificate, key = self.home / "server.crt", self.home / "server.key"
        authority.cert_pem.write_to_path(self.ca_file)
        issued.private_key_pem.write_to_path(key)
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        return certificate, key


def _discarded(home: Path) -> Path:
    return home / "discarded"


def can_serve(kind: str) -> str | None:
    """Return why a kind of server cannot run here, None where it can."""
    if kind == "tls" and not nginx.available():
        return "nginx is not installed"
    if kind == "delay" and not nginx.can_delay():
        return "nginx with its Lua module is not installed"
    return None


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait(30)


@contextlib.contextmanager
def opened(home: Path, python: Path, scale: float, deadline_s: float) -> Iterator[Bench]:
    """Hold a bench below `home`; the served files stay for the next run, everything else goes."""
    for name in ("root", "logs"):
        (home / name).mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, _discarded(home), ignore_errors=True)
        yield Bench(home, python, scale, deadline_s, stack)
