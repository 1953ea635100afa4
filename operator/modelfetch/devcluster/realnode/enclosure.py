"""Namespaces in which a real node can do as it likes: what it mounts, connects and starts ends with them.

Comes in: a command. Goes out: its exit code. The kernel takes mounts, bridges and processes away when the first process
(init.py) ends, however it ends; so a run that was killed leaves files and empty cgroups, which the next one removes.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

MARK = "MODELFETCH_ENCLOSURE"
_INIT = [sys.executable, "-m", "modelfetch.devcluster.realnode.init"]


def run_apart(command: Sequence[str], *, own_network: bool) -> int:
    """Return the exit code of `command`, which runs with mounts and process ids of its own, and a network if asked."""
    namespaces = ["--mount", "--pid", "--fork", "--mount-proc", "--kill-child", *(["--net"] if own_network else [])]
    environ = os.environ | ({MARK: "yes"} if own_network else {})
    return subprocess.run(["unshare", *namespaces, "--", *_INIT, *command], env=environ, check=False).returncode


def is_enclosed(environ: Mapping[str, str] = os.environ) -> bool:
    """Tell whether this process runs in an enclosure with a network of its own."""
    return MARK in environ
