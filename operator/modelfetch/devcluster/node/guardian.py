"""Cleans up after a node that was killed; run as a script, standard library only.

In: lines on stdin, from the node: `+group N` and `-group N` (process groups), `+cgroup PATH`, `-cgroup PATH`,
`+folder PATH`, `-folder PATH`. Out: when stdin ends, whatever is still listed is killed or removed. A node that stops
cleanly has emptied the list before.
"""

import os
import shutil
import signal
import sys
import time
from pathlib import Path

_ATTEMPTS, _PAUSE_S = 100, 0.05
"""Five seconds for the kernel to take killed processes out of a cgroup; chosen by gut."""


def listen() -> dict[str, list[str]]:
    """Return what is listed when the node's end of the pipe closes, by kind."""
    listed: dict[str, list[str]] = {"group": [], "cgroup": [], "folder": []}
    for line in sys.stdin:
        verb, _, value = line.rstrip("\n").partition(" ")
        if verb.startswith("+"):
            listed[verb[1:]].append(value)
        elif value in listed[verb[1:]]:
            listed[verb[1:]].remove(value)
    return listed


def kill_group(number: int) -> None:
    """Afterwards no process of the group lives."""
    try:
        os.killpg(number, signal.SIGKILL)
    except ProcessLookupError:
        return


def remove_cgroup(folder: Path) -> None:
    """Afterwards the cgroup and its processes are gone; gives up after five seconds."""
    for _ in range(_ATTEMPTS):
        try:
            for member in (folder / "cgroup.procs").read_text().split():
                os.kill(int(member), signal.SIGKILL)
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            # Busy: killed processes leave a cgroup a moment later.
            time.sleep(_PAUSE_S)


def main() -> None:
    """Wait for the node's end, then clean up; signals for the node's terminal group are not for us."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    listed = listen()
    for group in listed["group"]:
        kill_group(int(group))
    for cgroup in listed["cgroup"]:
        remove_cgroup(Path(cgroup))
    for folder in listed["folder"]:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
