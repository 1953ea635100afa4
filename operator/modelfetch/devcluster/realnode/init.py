"""The first process of an enclosure: hides what programs write at fixed places, runs a command, buries the dead.

Comes in: a command line. Goes out: the command's exit code. containerd and kubelet write to /run and /var whatever they
are told; with a network of their own these are covered first, so that the machine's stay as they are.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

from modelfetch.devcluster.realnode.enclosure import is_enclosed

_UPPER, _WORK = Path("/run/enclosure/upper"), Path("/run/enclosure/work")


def main(command: list[str]) -> int:
    """Run `command` until it ends; return its exit code."""
    if is_enclosed():
        _cover_fixed_places()
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    # Ctrl-C reaches the command itself, which clears up. A handler, since an ignored signal would be so there, too.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    return _bury_until(os.posix_spawnp(command[0], command, os.environ))


def _cover_fixed_places() -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run"], check=True)
    for folder in (_UPPER, _WORK):
        folder.mkdir(parents=True)
    layers = f"lowerdir=/var,upperdir={_UPPER},workdir={_WORK}"
    subprocess.run(["mount", "-t", "overlay", "-o", layers, "overlay", "/var"], check=True)


def _bury_until(child: int) -> int:
    # Every process of the enclosure whose parent has ended becomes a child of this one.
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status) % 256


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
