"""The four programs of the control plane, wherever they can be had.

Goes out: `Binaries`, for controlplane.py. For each program the first of these ways that works: the folder that
KUBEBUILDER_ASSETS names; the cache folder; for kubectl, the PATH; the release sites (download.py); a build from pinned
sources (build.py). A file enters the cache folder by a rename, complete or not at all.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from modelfetch.devcluster.build import build, discard_private_work, find_go, minutes
from modelfetch.devcluster.download import Sites, download, sites_from
from modelfetch.devcluster.failure import ClusterFailure, Say, SiteFailure
from modelfetch.devcluster.folders import cache_folder
from modelfetch.devcluster.release import BINARIES, Release, read_release
from modelfetch.devcluster.turns import one_at_a_time

Found = dict[str, Path]
_WAITING = "another process is preparing the control plane's binaries: waiting for it"


@dataclass(frozen=True)
class Binaries:
    """Paths of executable files."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kubectl: Path


def find_binaries(say: Say, environ: Mapping[str, str] = os.environ, names: tuple[str, ...] = BINARIES) -> Found:
    """Return a path for each of `names`, fetched or built where necessary; raises ClusterFailure."""
    release, cache = read_release(), cache_folder(environ)
    installed = cache / "bin" / release.key
    found = _at_hand(names, installed, environ, say)
    if not _missing(names, found):
        return found
    installed.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(installed / ".lock", say, _WAITING):
        _discard_left_overs(installed)
        # Another caller may have installed them while this one waited.
        found = _at_hand(names, installed, environ, say)
        found |= _downloaded(_missing(names, found), release, sites_from(environ), installed, say)
        found |= _built(_missing(names, found), release, cache, environ, say)
    return found


def require_binaries(say: Say, environ: Mapping[str, str] = os.environ) -> Binaries:
    """Return all four programs; raises ClusterFailure."""
    found = find_binaries(say, environ)
    return Binaries(
        etcd=found["etcd"],
        kube_apiserver=found["kube-apiserver"],
        kube_controller_manager=found["kube-controller-manager"],
        kubectl=found["kubectl"],
    )


def _at_hand(names: tuple[str, ...], installed: Path, environ: Mapping[str, str], say: Say) -> Found:
    found = _in_folder(names, installed)
    kubectl = shutil.which("kubectl", path=environ.get("PATH"))
    if "kubectl" in names and "kubectl" not in found and kubectl:
        found["kubectl"] = Path(kubectl)
    return found | _from_assets(names, environ, say)


def _from_assets(names: tuple[str, ...], environ: Mapping[str, str], say: Say) -> Found:
    assets = environ.get("KUBEBUILDER_ASSETS")
    if not assets:
        return {}
    found = _in_folder(names, Path(assets))
    if not found:
        raise ClusterFailure(f"KUBEBUILDER_ASSETS names '{assets}', which holds none of {', '.join(names)}: fix it")
    say(f"using {', '.join(found)} of KUBEBUILDER_ASSETS '{assets}'")
    return found


def _in_folder(names: tuple[str, ...], folder: Path) -> Found:
    return {name: folder / name for name in names if os.access(folder / name, os.X_OK)}


def _missing(names: tuple[str, ...], found: Found) -> tuple[str, ...]:
    return tuple(name for name in names if name not in found)


def _downloaded(names: tuple[str, ...], release: Release, sites: Sites, installed: Path, say: Say) -> Found:
    found: Found = {}
    if names:
        say(f"downloading {', '.join(names)} ({release.key}) from the release sites: about 1 minute at 5 MB/s")
    for name in names:
        try:
            with _private_folder(installed) as folder:
                found[name] = _install(download(name, release, sites, folder, say), installed / name)
        except SiteFailure as failure:
            say(f"no download: {failure}")
            return found
        say(f"  {name}: downloaded, checksum compared")
    return found


def _built(names: tuple[str, ...], release: Release, cache: Path, environ: Mapping[str, str], say: Say) -> Found:
    if not names:
        return {}
    say(f"building {', '.join(names)} from pinned sources: about {minutes(names)} minutes on 2 cores, once")
    go = find_go(release, cache, environ, say)
    installed = cache / "bin" / release.key
    found: Found = {}
    for name in names:
        with _private_folder(installed) as folder:
            found[name] = _install(build(name, release, go, folder, say), installed / name)
        say(f"  {name}: built")
    discard_private_work(cache)
    return found


def _install(file: Path, target: Path) -> Path:
    file.chmod(0o755)
    os.replace(file, target)
    return target


def _discard_left_overs(installed: Path) -> None:
    for folder in installed.glob(".work-*"):
        shutil.rmtree(folder)


@contextmanager
def _private_folder(beside: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=beside, prefix=".work-") as folder:
        yield Path(folder)
