"""Runs one program and says what it cost: wall time, CPU time and peak memory, from wait4.

In: a command, an environment, a deadline. Out: `Cost`. The program is the leader of its own process group; what it
leaves running is ended with it. spawn.py starts and measures it; next: plays.py turns costs into samples.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SPAWN = Path(__file__).with_name("spawn.py")


@dataclass(frozen=True)
class Cost:
    """What a program took; `complaint` is empty where it ended well, else its last words."""

    wall_s: float
    cpu_s: float
    rss_mib: float
    complaint: str = ""


@dataclass(frozen=True)
class Call:
    """A program to run: its arguments, its environment, its working folder."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: Path

    def cost(self, log: Path, deadline_s: float, watch: Callable[[int], None] | None = None) -> Cost:
        """Run to the end and return the cost; `watch` is called with the process id while it runs."""
        order = {
            "arguments": list(self.arguments),
            "environment": dict(self.environment),
            "folder": str(self.folder),
            "log": str(log),
        }
        command = [sys.executable, "-I", "-S", str(_SPAWN), json.dumps(order)]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as spawner:
            group = int(_told(spawner, "pid")["pid"])
            with _ended_by(group, deadline_s):
                if watch is not None:
                    watch(group)
                cost = _told(spawner, "wall_s")
        end_group(group)
        said = "" if cost["code"] == 0 else f"exit {cost['code']:g}: {_last_words(log)}"
        return Cost(cost["wall_s"], cost["cpu_s"], cost["rss_kib"] / 1024, said)


def _told(spawner: "subprocess.Popen[str]", key: str) -> dict[str, Any]:
    line = spawner.stdout.readline() if spawner.stdout else ""
    if f'"{key}"' not in line:
        raise RuntimeError(f"expected '{key}' of the program that starts the contender, got '{line.strip()}'")
    facts: dict[str, Any] = json.loads(line)
    return facts


def end_group(group: int) -> None:
    """Kill a process group that a `Call` has started, where anything of it is left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


@contextlib.contextmanager
def _ended_by(group: int, deadline_s: float) -> Iterator[None]:
    timer = threading.Timer(deadline_s, end_group, [group])
    timer.start()
    try:
        yield
    except BaseException:
        end_group(group)
        raise
    finally:
        timer.cancel()
        timer.join()


def _last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return " / ".join(lines[-4:])[-400:] or "no output"
