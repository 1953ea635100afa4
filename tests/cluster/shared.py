"""One embedded cluster for all who test in this checkout at this moment, started by the first, ended by the last.

Starting takes seconds of both cores, so workers of a parallel run and runs side by side share it. Two locks of the
kernel count the holders, on files that are there anyway; a holder that was killed holds nothing. The gate is locked
while somebody comes or goes, `holders` shared for as long as the cluster is used.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from modelfetch.devcluster.cluster import find_summary
from modelfetch.devcluster.parts import apply_manifests
from modelfetch.devcluster.summary import Summary
from modelfetch.kube.client import Kube
from modelfetch.kube.connection import from_kubeconfig

_FOLDER = Path(__file__).parent


def cluster_name(kind: str) -> str:
    """Return the name of this checkout's cluster of a kind: the next one under it removes what is left of the last."""
    return f"test-{kind}-{hashlib.sha256(bytes(_FOLDER)).hexdigest()[:6]}"


@contextlib.contextmanager
def shared_cluster(kind: str, flags: Sequence[str], holders_file: Path) -> Iterator[Summary]:
    """Yield the cluster of `kind`, which `up` starts with `flags` if it does not run. Each kind has its own file."""
    name = cluster_name(kind)
    with holders_file.open() as holders:
        with _gate():
            if _nobody_holds(holders):
                # Whoever left it there was killed, or it is a cluster of older sources.
                _devcluster("down", "--name", name)
            fcntl.flock(holders, fcntl.LOCK_SH)
            _devcluster("up", "--name", name, *flags)
            summary = find_summary(name, os.environ)
            assert summary is not None
            if summary.parts["manifests"]:
                asyncio.run(_apply_latest(summary))
        try:
            yield summary
        finally:
            with _gate():
                fcntl.flock(holders, fcntl.LOCK_UN)
                if _nobody_holds(holders):
                    _devcluster("down", "--name", name)


async def _apply_latest(summary: Summary) -> None:
    # A run that began before a manifest was edited may have started the cluster.
    async with Kube(from_kubeconfig(Path(summary.kubeconfig))) as kube:
        await apply_manifests(kube)


@contextlib.contextmanager
def _gate() -> Iterator[None]:
    with (_FOLDER.parent / "conftest.py").open() as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        yield


def _nobody_holds(holders: IO[str]) -> bool:
    try:
        fcntl.flock(holders, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _devcluster(*arguments: str) -> None:
    # A process of its own, so that the cluster is nobody's child and outlives the worker that started it.
    argv = [sys.executable, "-m", "modelfetch.devcluster", *arguments]
    result = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
