"""The state folder of one cluster: it appears whole, it says whether the cluster is complete, it goes whole.

    <clusters>/<name>/cluster.json     the id that marks the processes, and who started the cluster
    <clusters>/<name>/ready.json       there once everything runs: what `up` printed, for `status`
    <clusters>/<name>/kubeconfig       the administrator's; kubeconfigs/ holds those of programs
    <clusters>/<name>/pki, etcd, logs, processes, volume

Neighbours: controlplane.py and cluster.py write into it, processes.py keeps its records there.
"""

import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelfetch.devcluster.failure import ClusterFailure
from modelfetch.devcluster.folders import clusters_folder
from modelfetch.devcluster.processes import Processes, Program, current_program

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
_FOLDERS = ("pki", "kubeconfigs", "logs", "processes", "volume")


@dataclass(frozen=True)
class State:
    """One existing state folder. `starter` is the process that made it."""

    name: str
    folder: Path
    id: str
    starter: Program

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.folder / "kubeconfig"

    @property
    def volume(self) -> Path:
        """The folder behind the cluster's volume."""
        return self.folder / "volume"

    def processes(self) -> Processes:
        """Return the handle to the cluster's processes."""
        return Processes(self.folder, self.id)

    def write_ready(self, summary: Mapping[str, Any]) -> None:
        """Afterwards the cluster counts as complete."""
        private = self.folder / ".ready.json"
        private.write_text(json.dumps(summary), encoding="utf-8")
        os.replace(private, self.folder / "ready.json")

    def read_ready(self) -> dict[str, Any] | None:
        """Return what write_ready was given, or None for a cluster whose start has not ended well."""
        try:
            return dict(json.loads((self.folder / "ready.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None


def create_state(name: str, environ: Mapping[str, str] = os.environ) -> State:
    """Return the new state folder of `name`, mode 0700; raises ClusterFailure where there is one already."""
    _check_name(name)
    parent = clusters_folder(environ)
    parent.mkdir(parents=True, exist_ok=True)
    state = State(name, parent / name, secrets.token_hex(8), current_program())
    private = parent / f".{name}.{state.id}"
    private.mkdir(mode=0o700)
    for folder in _FOLDERS:
        (private / folder).mkdir()
    record = {"id": state.id, "starter": {"pid": state.starter.pid, "started": state.starter.started}}
    (private / "cluster.json").write_text(json.dumps(record), encoding="utf-8")
    try:
        os.rename(private, state.folder)
    except OSError as error:
        shutil.rmtree(private)
        raise ClusterFailure(f"cluster '{name}' is there or being started: see `status`, or `down` it") from error
    return state


def find_state(name: str, environ: Mapping[str, str] = os.environ) -> State | None:
    """Return the state folder of `name`, or None; raises ClusterFailure for a folder that is not a cluster's."""
    _check_name(name)
    folder = clusters_folder(environ) / name
    if not folder.exists():
        return None
    try:
        record = json.loads((folder / "cluster.json").read_text(encoding="utf-8"))
        return State(name, folder, str(record["id"]), Program(name="starter", **record["starter"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ClusterFailure(
            f"'{folder}' is no cluster's state folder ({error}): it is left alone, move it away or choose another name"
        ) from error


def list_names(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return the names of all clusters of this user, in order."""
    folder = clusters_folder(environ)
    return sorted(path.parent.name for path in folder.glob("[!.]*/cluster.json")) if folder.exists() else []


def remove_state(state: State) -> None:
    """Afterwards the folder is gone, and the folder of all clusters too if this was the last."""
    trash = state.folder.with_name(f".{state.name}.{state.id}.removed")
    os.rename(state.folder, trash)
    # Published trees are read-only, and removal needs folders that can be written.
    for folder, subfolders, _ in os.walk(trash):
        for subfolder in subfolders:
            _make_writable(Path(folder) / subfolder)
    shutil.rmtree(trash)
    try:
        state.folder.parent.rmdir()
    except OSError:
        # Another cluster lives there.
        return


def _make_writable(folder: Path) -> None:
    if not folder.is_symlink():
        folder.chmod(0o700)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ClusterFailure(f"a cluster's name has 1 to 40 of a-z, 0-9 and -, not {name!r}")
