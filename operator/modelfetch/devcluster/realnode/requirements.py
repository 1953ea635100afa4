"""Whether this machine can have a real node.

Goes out: one sentence about the first thing that is missing, or None. Nothing is changed by asking.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from modelfetch.devcluster.realnode.cgroups import hierarchies

_PROGRAMS = (
    "unshare",
    "ip",
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "runc",
    "buildah",
    "debootstrap",
    "busybox",
)
_PLUGINS = ("bridge", "host-local", "loopback")
_PLUGIN_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))


def missing(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return what keeps a real node from running here, as words for a person; None where nothing does."""
    if os.geteuid() != 0:
        return "it needs root"
    if absent := [name for name in _PROGRAMS if shutil.which(name, path=environ.get("PATH")) is None]:
        return f"it needs {', '.join(absent)}: on Debian scripts/node-tools.sh installs the packages"
    if plugin_folder() is None:
        return f"it needs the CNI plugins {', '.join(_PLUGINS)}: Debian's containernetworking-plugins"
    if not any(hierarchy.has_memory for hierarchy in hierarchies()):
        return "it needs cgroups that bound memory"
    attempt = ["unshare", "--mount", "--pid", "--net", "--fork", "true"]
    if subprocess.run(attempt, capture_output=True, check=False).returncode != 0:
        return "it needs the right to make namespaces"
    return None


def plugin_folder() -> Path | None:
    """Return the folder with the CNI plugins."""
    complete = (folder for folder in _PLUGIN_FOLDERS if all((folder / name).exists() for name in _PLUGINS))
    return next(complete, None)
