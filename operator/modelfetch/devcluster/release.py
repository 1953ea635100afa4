"""Which control plane is embedded: the versions and sums that controlplane/go.mod and go.sum pin.

Goes out: `Release`, which download.py turns into addresses, build.py into a build and binaries.py into the name of a
cache folder. The two files are the only place that names a version.
"""

import hashlib
import platform
import re
from dataclasses import dataclass
from pathlib import Path

GO_MODULE = Path(__file__).parent / "controlplane"
BINARIES = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")
NODE_BINARIES = ("kube-scheduler", "kubelet")
"""What a real node (realnode/) needs besides, of the same release."""
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True)
class Release:
    """One set of binaries. Versions are without a leading v; `go` is the oldest Go that builds them."""

    kubernetes: str
    etcd: str
    go: str
    sums: str
    architecture: str

    @property
    def key(self) -> str:
        """Name the set; it differs as soon as a version, a pinned sum or the architecture does."""
        return f"kubernetes-{self.kubernetes}-etcd-{self.etcd}-linux-{self.architecture}-{self.sums}"


def read_release(module: Path = GO_MODULE, machine: str | None = None) -> Release:
    """Return what `module` pins, for this machine."""
    go_mod, go_sum = (module / "go.mod").read_bytes(), (module / "go.sum").read_bytes()
    text, machine = go_mod.decode(), machine or platform.machine()
    return Release(
        kubernetes=_required(text, "k8s.io/kubernetes"),
        etcd=_required(text, "go.etcd.io/etcd/server/v3"),
        go=_found(r"^go (\S+)$", text),
        sums=hashlib.sha256(go_mod + go_sum).hexdigest()[:12],
        architecture=_ARCHITECTURES.get(machine, machine),
    )


def _required(text: str, module: str) -> str:
    return _found(rf"^\s*{re.escape(module)} v(\S+)( |$)", text)


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    assert match, f"go.mod has no line like {pattern}"
    return match[1]
