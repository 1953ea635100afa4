"""One embedded cluster from nothing to usable, and back to nothing.

Comes in: a name and which parts to start. Goes out: a `Summary`, also written into the state folder for later callers.
Order: control plane, CRDs and RBAC, hub, node, operator, workspace. What fails on the way takes everything down again.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from modelfetch.devcluster.binaries import require_binaries
from modelfetch.devcluster.controlplane import ControlPlane, Settings, end_control_plane, start_control_plane
from modelfetch.devcluster.failure import ClusterFailure, Say
from modelfetch.devcluster.parts import Parts, start_parts
from modelfetch.devcluster.processes import is_alive
from modelfetch.devcluster.state import State, create_state, find_state, remove_state
from modelfetch.devcluster.summary import Summary

DEFAULT_NAME = "default"


def up(name: str, parts: Parts, environ: Mapping[str, str], now: datetime, say: Say) -> Summary:
    """Return the summary of cluster `name`, started unless it runs already; raises ClusterFailure.

    What an unfinished or broken start left behind is removed first. On any error, Ctrl-C included, nothing is left.
    """
    if (existing := find_state(name, environ)) is not None:
        if summary := _running(existing, parts):
            say(f"cluster '{name}' is already there")
            return summary
        say(f"removing what is left of cluster '{name}'")
        _remove(existing)
    binaries = require_binaries(say, environ)
    state = create_state(name, environ)
    try:
        settings = Settings(audit=parts.audit, namespace=parts.namespace)
        plane = start_control_plane(state, binaries, settings, environ, now, say)
        hub = asyncio.run(start_parts(plane, parts, environ, say))
        summary = _summary(plane, parts, binaries.kubectl, hub)
        state.write_ready(asdict(summary))
    except BaseException:
        _remove(state)
        raise
    return summary


def down(name: str, environ: Mapping[str, str], say: Say) -> bool:
    """Afterwards no process and no file of cluster `name` is left; returns False where there was none."""
    state = find_state(name, environ)
    if state is None:
        return False
    say(f"ending the processes of cluster '{name}' and removing its folder: about 3 seconds")
    _remove(state)
    return True


def find_summary(name: str, environ: Mapping[str, str]) -> Summary | None:
    """Return the summary of a complete cluster, None where there is none; it may have broken since."""
    state = find_state(name, environ)
    ready = state.read_ready() if state else None
    return None if ready is None else Summary(**ready)


@contextmanager
def cluster(name: str, parts: Parts, environ: Mapping[str, str], now: datetime, say: Say) -> Iterator[Summary]:
    """Yield the summary of a cluster that is there for the time of the block."""
    summary = up(name, parts, environ, now, say)
    try:
        yield summary
    finally:
        down(name, environ, say)


def _running(state: State, parts: Parts) -> Summary | None:
    ready = state.read_ready()
    if ready is None and is_alive(state.starter):
        raise ClusterFailure(f"cluster '{state.name}' is being started by process {state.starter.pid}: wait")
    processes = state.processes()
    if ready is None or not all(processes.is_running(program) for program in processes.recorded()):
        return None
    if ready["parts"] != asdict(parts):
        raise ClusterFailure(f"cluster '{state.name}' runs with other parts: `down` it first, or choose another name")
    return Summary(**ready)


def _remove(state: State) -> None:
    end_control_plane(state)
    remove_state(state)


def _summary(plane: ControlPlane, parts: Parts, kubectl: Path, hub: dict[str, Any] | None) -> Summary:
    state = plane.state
    return Summary(
        name=state.name,
        server=plane.server,
        kubeconfig=str(state.kubeconfig),
        kubectl=str(kubectl),
        namespace=parts.namespace,
        volume=str(state.volume),
        logs=str(state.folder / "logs"),
        parts=asdict(parts),
        hub=hub,
    )
