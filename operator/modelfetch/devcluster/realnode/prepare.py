"""Everything that a real node needs and that a network may be needed for: programs and images, in the cache folder.

Goes out: `Supplies`. Asked for once with the machine's network, where it may take minutes, and once inside the
enclosure, where all is there.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modelfetch.devcluster.binaries import find_binaries
from modelfetch.devcluster.failure import ClusterFailure, Say
from modelfetch.devcluster.realnode.images import Images, find_images
from modelfetch.devcluster.realnode.requirements import missing, plugin_folder
from modelfetch.devcluster.release import BINARIES, NODE_BINARIES


@dataclass(frozen=True)
class Supplies:
    """Executable files and image archives; `plugins` is the folder of the CNI plugins."""

    kubelet: Path
    kube_scheduler: Path
    plugins: Path
    images: Images


def find_supplies(environ: Mapping[str, str], say: Say) -> Supplies:
    """Return all of it, made where it is not there yet; raises ClusterFailure."""
    plugins = plugin_folder()
    if plugins is None:
        raise ClusterFailure(f"no real node here: {missing(environ)}")
    found = find_binaries(say, environ, (*BINARIES, *NODE_BINARIES))
    return Supplies(found["kubelet"], found["kube-scheduler"], plugins, find_images(environ, say))


def main() -> int:
    """Fill the cache folder; return 1 after one paragraph where something cannot be had."""
    try:
        find_supplies(os.environ, _say)
    except ClusterFailure as failure:
        _say(f"e2e: {failure}")
        return 1
    return 0


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
