"""Runs a program with segments of 16 KiB: `python -m tests.crash.small_segments MODULE ARGUMENT…`.

What is tested is the same with segments of any size; with 4 MiB it would take 200 times as long.
"""

import runpy
import sys
from types import FunctionType

from modelfetch.store import direct
from modelfetch.transfer import segments

SMALL_BYTES = 16 * 1024


def shrink() -> None:
    """Make segments small in everything that is imported from now on, and write them past the cache all the same."""
    for function in vars(segments).values():
        if isinstance(function, FunctionType) and function.__defaults__ == (segments.SEGMENT_BYTES,):
            function.__defaults__ = (SMALL_BYTES,)
    segments.SEGMENT_BYTES = SMALL_BYTES
    direct.LEAST_BYTES = direct.BLOCK_BYTES


if __name__ == "__main__":
    shrink()
    _, module, *sys.argv[1:] = sys.argv
    runpy.run_module(module, run_name="__main__", alter_sys=True)
