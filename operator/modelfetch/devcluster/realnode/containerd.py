"""containerd's configuration and the calls to it.

Comes in: a folder for what it stores. Goes out: a command line, and images that are there or not. Its sockets and
mounts are at their usual places below /run, which the enclosure has for itself: a socket's path may not be long.
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from modelfetch.devcluster.failure import ClusterFailure
from modelfetch.devcluster.realnode.images import PAUSE_IMAGE

RUN = Path("/run/containerd")
SOCKET = RUN / "containerd.sock"
_CONFIG = """\
version = 2
root = "{folder}/root"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # A machine may lack the right to protect a process from the kernel's memory killer.
  restrict_oom_score_adj = true
  tolerate_missing_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{folder}/net.d"
"""


@dataclass(frozen=True)
class Containerd:
    """One containerd, whose images and containers are in `folder`."""

    folder: Path

    def configure(self, plugins: Path) -> None:
        """Afterwards `command` can be run."""
        text = _CONFIG.format(folder=self.folder, plugins=plugins, pause=PAUSE_IMAGE)
        (self.folder / "config.toml").write_text(text, encoding="utf-8")

    def command(self) -> list[str | Path]:
        """Return the command line."""
        return [shutil.which("containerd") or "containerd", "--config", self.folder / "config.toml"]

    def answers(self) -> bool:
        """Tell whether it takes calls."""
        return self._ctr("version").returncode == 0

    def import_image(self, archive: Path) -> None:
        """Afterwards Pods can use the images of `archive`; raises ClusterFailure."""
        self._must("images", "import", str(archive))

    def remove_image(self, name: str) -> None:
        """Afterwards a new container of this image cannot be made; those that run go on."""
        self._must("images", "remove", "--sync", name)

    def _must(self, *arguments: str) -> None:
        done = self._ctr(*arguments)
        if done.returncode != 0:
            raise ClusterFailure(f"ctr {' '.join(arguments)}: {done.stderr}")

    def _ctr(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        argv = ["ctr", "--namespace", "k8s.io", *arguments]
        return subprocess.run(argv, capture_output=True, text=True, check=False)
