"""One process at a time: whoever comes while another prepares something waits for its turn, and says so."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelfetch.devcluster.failure import Say


@contextmanager
def one_at_a_time(lock: Path, say: Say, waiting: str) -> Iterator[None]:
    """Hold the file `lock` for the time of the block; says `waiting` where another process holds it."""
    # The kernel drops the lock with its holder, so nobody waits for a process that was killed.
    with lock.open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(waiting)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
