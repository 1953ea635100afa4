"""`python -m modelfetch.devcluster.realnode COMMAND…`: run COMMAND where a real node can be started.

Comes in: a command. Goes out: its exit code; 1 and one paragraph where the node's parts cannot be had. Where this
machine can have no real node the command runs as it is: it says itself what it then leaves out. One run at a time for
each cache folder, which all of them share.
"""

import os
import subprocess
import sys

from modelfetch.devcluster.failure import ClusterFailure
from modelfetch.devcluster.folders import cache_folder
from modelfetch.devcluster.realnode.enclosure import run_apart
from modelfetch.devcluster.realnode.requirements import missing
from modelfetch.devcluster.turns import one_at_a_time

_PREPARE = [sys.executable, "-m", "modelfetch.devcluster.realnode.prepare"]


def main(command: list[str]) -> int:
    """Run `command` once programs and images are there; return its exit code."""
    if lack := missing(os.environ):
        _say(f"e2e: no real node here: {lack}")
        return subprocess.run(command, check=False).returncode
    lock = cache_folder() / "realnode" / ".lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(lock, _say, "e2e: another run has the real node: waiting for its end"):
        # Packages are fetched and installed with the machine's network, Pods run without it.
        return run_apart(_PREPARE, own_network=False) or run_apart(command, own_network=True)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except ClusterFailure as failure:
        _say(f"e2e: {failure}")
        sys.exit(1)
