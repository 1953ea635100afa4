"""Starts operators within moments: `python -m tests.cluster.kill_points.fork_server`, a process of one thread.

Comes in: one line of JSON for each operator: flags, mistakes, the file that its output goes to. Goes out: its process
id, on a line. What takes an operator most of its start, its imports, is done once, here; from `main` on it is the whole
program, but that its waits for what it does not watch are shorter, and for a mistake. It ends with this process.
"""

import ctypes
import gc
import json
import os
import signal
import sys
import traceback

import pytest

from modelfetch.controller import loop, observe
from modelfetch.controller.main import main as operate
from modelfetch.core import retry, turns
from tests.cluster.kill_points.mistakes import MISTAKES

SHORTER = (
    (retry, "WAIT_S", 1.0),
    (turns, "POLL_S", 0.3),
    (observe, "CLAIM_FRESH_S", 0.5),
    (loop, "RESYNC_S", 5.0),
)
"""Seconds between looks at what is missing, at a fetcher's log, at a claim, and between two full lists: what goes
between the lists of a start and of its watches is seen by the next one only."""
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def main() -> None:
    """Start operators until there is nobody to ask for one."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the dead
    gc.freeze()
    for line in sys.stdin:
        wanted = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become_operator(wanted["flags"], wanted["mistakes"], wanted["log"])
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def _become_operator(flags: list[str], mistakes: list[str], log: str) -> None:
    code: object = 1
    try:
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _redirect(log)
        _change(mistakes)
        operate(flags)
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - nothing of this process may go on as the server
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def _change(mistakes: list[str]) -> None:
    change = pytest.MonkeyPatch()
    for module, name, seconds in SHORTER:
        change.setattr(module, name, seconds)
    for mistake in mistakes:
        MISTAKES[mistake](change)


def _redirect(log: str) -> None:
    nothing, output = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)


if __name__ == "__main__":
    main()
