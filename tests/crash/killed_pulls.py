"""Kills `modelfetch pull` at random points of one large file and counts what crossed the network in all.

    python -m tests.crash.killed_pulls --size 10GiB --kills 20 --seed 1

Comes in: a size, how often to kill, a seed. Goes out: a line for each kill, then the ratio of the bytes that were sent
to the size of the file; 1 as exit code where it is above 1.02 or the end is wrong. A point is reached when the server
has sent so many bytes, so a slow machine tries the same.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelfetch.store.journal import decode
from tests.crash.generated import Generated, serving, sha256_of

GOAL = 1.02
PATIENCE_S = 600.0
_UNITS = {"MiB": 1 << 20, "GiB": 1 << 30}


@dataclass(frozen=True)
class Trial:
    """What came of it.

    Bytes sent in all, killed runs, answers at once at the most, segments that were asked for although an earlier run
    had written them down, how the last run ended.
    """

    size: int
    sent: int
    kills: int
    connections: int
    again: int
    exit_code: int
    is_right: bool

    @property
    def ratio(self) -> float:
        """How many times the file crossed the network."""
        return self.sent / self.size


def command(server: Generated, store: Path, digest: str) -> list[str]:
    """Return the program that fetches the file."""
    allowed = ["--allow-http", "--allow-network", "127.0.0.0/8", "--allow-port", "any"]
    pull = [sys.executable, "-m", "modelfetch", "pull", server.url, str(store), *allowed]
    return [*pull, "--checksum", f"model.safetensors=sha256:{digest}", "--output", "quiet"]


def points(size: int, kills: int, seed: int) -> list[int]:
    """Return after how many bytes each run is killed: random parts of the file, nearly all of it together."""
    chosen = random.Random(seed)
    marks = sorted(chosen.randrange(1, size * 9 // 10) for _ in range(kills))
    return [end - start for start, end in zip([0, *marks], marks, strict=False)]


def trial(
    size: int,
    kills: int,
    seed: int,
    store: Path,
    say: Callable[[str], None] = lambda _line: None,
    more: Sequence[str] = (),
    rate: float | None = None,
) -> Trial:
    """Kill that often, then let one run end.

    `more` are further options of the program, `rate` what the link carries, in bytes a second.
    """
    digest = sha256_of(size)
    with serving(size, rate) as server:
        pull = [*command(server, store, digest), *more]
        done = again = 0
        for number, after in enumerate(points(size, kills, seed), 1):
            kept, asked = written_down(store), len(server.asked)
            done += kill_after(server, pull, after)
            again += asked_again(kept, server.asked[asked:])
            say(f"kill {number} after {after} bytes more: {server.sent} of {size} sent")
        kept, asked = written_down(store), len(server.asked)
        code = subprocess.run(pull, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode
        again += asked_again(kept, server.asked[asked:])
        is_right = _is_right(store, digest, size)
        return Trial(size, server.sent, done, server.most_open, again, code, is_right)


def written_down(store: Path) -> set[int]:
    """Return the starts of the segments that the journals have."""
    logs = [decode(path.read_bytes()) for path in store.glob("ingest/*/journal")]
    return {start for log in logs if log is not None for file in log.files.values() for start in file.segments}


def asked_again(kept: set[int], asked: list[tuple[int, int]]) -> int:
    """Return how many of these segments are among what was asked for."""
    return sum(any(begin <= start < end for begin, end in asked) for start in kept)


def kill_after(server: Generated, pull: list[str], size: int) -> bool:
    """Run the program until the server has sent `size` bytes more; return whether it was killed before its end."""
    goal = server.sent + size
    with subprocess.Popen(pull, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not server.wait_until_sent(goal, 0.05) and process.poll() is None:
            continue
        process.kill()
    server.wait_until_idle(PATIENCE_S)
    return process.returncode < 0


def _is_right(store: Path, digest: str, size: int) -> bool:
    """Tell whether the model is published and its file is the one that was served."""
    file = next(store.glob("models/*/*/current/model.safetensors"), None)
    if file is None or file.stat().st_size != size:
        return False
    told = subprocess.run(["sha256sum", str(file)], capture_output=True, text=True, check=False).stdout
    return told.split(" ")[0].lstrip("\\") == digest


def _bytes(text: str) -> int:
    for unit, factor in _UNITS.items():
        if text.endswith(unit):
            return int(text.removesuffix(unit)) * factor
    return int(text)


def main() -> int:
    """Try it and print what came of it."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--size", type=_bytes, default=10 << 30)
    flags.add_argument("--kills", type=int, default=20)
    flags.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    flags.add_argument("--folder", type=Path, default=None, help="where the store is made; default: the temporary one")
    flags.add_argument("--connections", default="16", help="of the program; each may lose a segment with a kill")
    flags.add_argument(
        "--rate", type=_bytes, default=None, help="of the link, in bytes a second: 200MiB; default: none"
    )
    options = flags.parse_args()
    sys.stdout.write(f"seed {options.seed}\n")

    def say(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    with tempfile.TemporaryDirectory(dir=options.folder, prefix="modelfetch-kills-") as folder:
        more = ["--connections", options.connections]
        found = trial(options.size, options.kills, options.seed, Path(folder) / "store", say, more, options.rate)
    say(f"{found.kills} kills, at most {found.connections} connections: {found.ratio:.4f} of the file was sent")
    return 0 if found.is_right and found.exit_code == 0 and found.ratio <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
