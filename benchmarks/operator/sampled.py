"""Where an operator's time goes while it plays: py-spy beside it, as benchmarks/profile.py has it for a download.

In: a process and a file. Out: collapsed stacks in the file. Only what uses a processor is sampled: waiting is not.
"""

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.__main__ import peers_python

PY_SPY = peers_python().with_name("py-spy")
RATE = 200
"""Samples a second: each stops the operator for a moment, and shares are asked for, not times."""
_WRITES_WITHIN_S = 60.0


@contextlib.contextmanager
def sampled(pid: int, stacks: Path | None) -> Iterator[None]:
    """Have the process sampled until the end of the block, into `stacks`; not at all without that.

    Raises RuntimeError with py-spy's words where it could not.
    """
    if stacks is None:
        yield
        return
    stacks.parent.mkdir(parents=True, exist_ok=True)
    spy = [str(PY_SPY), "record", "--pid", str(pid), "--rate", str(RATE)]
    spy += ["--format", "raw", "--output", str(stacks)]
    process = subprocess.Popen(spy, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None, "asked for above"
    process.stdout.readline()  # it says so once it samples
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        words, _ = process.communicate(timeout=_WRITES_WITHIN_S)
    if process.returncode or not stacks.exists():
        raise RuntimeError(f"expected stacks from py-spy, got {process.returncode}: {words[-400:]}")
