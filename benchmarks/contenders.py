"""Who takes part: how each contender is called, and what must be installed for it.

In: a `Task` (what to fetch from where into which folder). Out: a `Call` for measure.py. modelfetch is called as users
call it, as a program with its defaults; every peer is a small program of peers/ that ends with its own SHA-256 check.
"""

import json
import os
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.files import Collection
from benchmarks.measure import Call

REPOSITORY = Path(__file__).parent.parent
OURS = "modelfetch"
VERIFY_OURS = "modelfetch store verify"
VERIFY_OURS_FULL = "modelfetch store verify --full"


@dataclass(frozen=True)
class Task:
    """What a contender has to do: bring `collection` from `address` into `out`; `source` is a local copy of it."""

    collection: Collection
    address: str
    out: Path
    connections: int
    ca_file: Path | None = None
    resume: bool = False
    source: Path | None = None

    @property
    def folder_url(self) -> str:
        """What the addresses of all files have in common."""
        return f"{self.address}/{self.collection.path}/"


@dataclass(frozen=True)
class Peer:
    """A contender other than modelfetch: the module of peers/, the package or program it needs."""

    name: str
    module: str
    package: str | None = None
    program: str | None = None
    needs_nginx: bool = False
    is_limit: bool = False


_ALL = (
    Peer("curl", "curl", program="curl"),
    Peer("aria2", "aria2", program="aria2c"),
    Peer("rclone", "rclone", program="rclone", needs_nginx=True),
    Peer("http_get", "http_get", package="huggingface_hub"),
    Peer("snapshot_download", "snapshot", package="huggingface_hub"),
    Peer("kserve-storage", "kserve", package="kserve-storage"),
    Peer("hf_transfer", "hf_transfer", package="hf_transfer"),
    Peer("requests", "requests", package="requests"),
    Peer("obstore", "obstore", package="obstore"),
    Peer("pycurl", "pycurl", package="pycurl"),
    Peer("cp", "copy", program="cp"),
    Peer("rclone copy", "rclone_copy", program="rclone"),
    Peer("sha256sum", "sha256sum", program="sha256sum"),
    Peer("rclone checksum", "rclone_check", program="rclone"),
    Peer("limit: hash", "limit_hash", is_limit=True),
    Peer("limit: network", "limit_network", program="curl", is_limit=True),
    Peer("limit: disk", "limit_disk", is_limit=True),
)
PEERS = {peer.name: peer for peer in _ALL}
LIMITS = tuple(peer.name for peer in _ALL if peer.is_limit)
PROGRAMS = {"nginx": "-v", "curl": "--version", "aria2c": "--version", "rclone": "version", "sha256sum": "--version"}


def missing(name: str, packages: dict[str, str | None], has_nginx: bool) -> str | None:
    """Return why a contender cannot run here, None where it can."""
    peer = PEERS.get(name)
    if peer is None:
        return None
    if peer.program is not None and shutil.which(peer.program) is None:
        return f"the program '{peer.program}' is not installed"
    if peer.package is not None and packages.get(peer.package) is None:
        return f"the package '{peer.package}' is not installed"
    if peer.needs_nginx and not has_nginx:
        return "it needs the listing of nginx, which is not installed"
    return None


def call(name: str, task: Task, python: Path) -> Call:
    """Return how to run a contender; a peer's job is written into the task's folder."""
    if name in PEERS:
        job = task.out.with_name(f"{task.out.name}.job.json")
        job.write_text(json.dumps(_job(task)))
        arguments = [str(python), "-m", f"benchmarks.peers.{PEERS[name].module}", str(job)]
        return Call(arguments, environment(task.out), REPOSITORY)
    return Call(_ours(name, task), environment(task.out), task.out)


def environment(home: Path) -> dict[str, str]:
    """Return the environment of every contender: nothing of the caller's but the path."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": ""}


def program() -> str:
    """Return the path of the program modelfetch beside this Python."""
    return str(Path(sys.executable).with_name("modelfetch"))


def store_of(task: Task) -> Path:
    """Return modelfetch's store in a task's folder."""
    return task.out / "store"


def published(task: Task) -> Path:
    """Return where modelfetch puts the files of a task."""
    return store_of(task) / "models" / "local" / task.collection.name / "current"


def _ours(name: str, task: Task) -> list[str]:
    if name == VERIFY_OURS:
        return [program(), "store", "verify", str(task.source)]
    if name == VERIFY_OURS_FULL:
        return [program(), "store", "verify", "--full", str(task.source)]
    allow = ["--allow-network", "127.0.0.0/8", "--allow-port", "any", "--allow-http"]
    trust = ["--ca-file", str(task.ca_file)] if task.ca_file else []
    files = task.collection.files
    if len(files) == 1:
        check = ["--checksum", f"{files[0].name}=sha256:{files[0].sha256}", "--name", task.collection.name]
        what = [f"{task.folder_url}{files[0].name}", str(store_of(task)), *check]
    else:
        what = [f"hf://{task.collection.repo}", str(store_of(task)), "--endpoint", task.address]
    return [program(), "pull", *what, *allow, *trust]


def _job(task: Task) -> dict[str, object]:
    files = [asdict(file) | {"url": f"{task.folder_url}{file.name}"} for file in task.collection.files]
    return {
        "files": files,
        "out": str(task.out),
        "folder_url": task.folder_url,
        "connections": task.connections,
        "ca_file": str(task.ca_file) if task.ca_file else None,
        "endpoint": task.address,
        "repo": task.collection.repo if len(files) > 1 else None,
        "resume": task.resume,
        "source": str(task.source or task.collection.folder),
    }
