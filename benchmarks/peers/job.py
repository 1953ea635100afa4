"""What a contender is told, and the check that every contender ends with.

In: a JSON file written by benchmarks/contenders.py. Out: `Job`, and the digests of what arrived. Only the standard
library, and little of it: this is part of every contender's measured start.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Wanted:
    """One file: its name in the target folder, its address, its size and its SHA-256."""

    name: str
    url: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Job:
    """What to fetch into `out`; `folder_url` is what the addresses of the files have in common."""

    files: tuple[Wanted, ...]
    out: str
    folder_url: str
    connections: int
    ca_file: str | None = None
    endpoint: str | None = None
    repo: str | None = None
    resume: bool = False
    source: str | None = None

    @property
    def paths(self) -> list[str]:
        """Where the files are to be."""
        return [os.path.join(self.out, file.name) for file in self.files]


def load() -> Job:
    """Return the job that the command line names."""
    with open(sys.argv[1], encoding="utf-8") as stream:
        fields: dict[str, Any] = json.load(stream)
    files = tuple(Wanted(**file) for file in fields.pop("files"))
    return Job(files=files, **fields)


def use_hub(job: Job, **more: str) -> None:
    """Have huggingface_hub, imported after this, ask the job's own hub, by plain HTTP and without a word."""
    os.environ.update(
        HF_ENDPOINT=job.endpoint or "",
        HF_HOME=f"{job.out}/.hub",
        HF_HUB_DISABLE_XET="1",
        HF_HUB_DISABLE_TELEMETRY="1",
        HF_HUB_DISABLE_PROGRESS_BARS="1",
        **more,
    )


def run(*command: str) -> None:
    """Run a program; end with its exit code where it fails."""
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(f"{command[0]} ended with {done.returncode}")


def digest(path: str) -> str:
    """Return the SHA-256 of a file, read in blocks of 1 MiB."""
    hasher, block = hashlib.sha256(), bytearray(_BLOCK)
    view = memoryview(block)
    with open(path, "rb", buffering=0) as stream:
        while count := stream.readinto(block):
            hasher.update(view[:count])
    return hasher.hexdigest()


def each(work: Callable[[Any], Any], items: Any, threads: int) -> list[Any]:
    """Return the results of `work` for all items, in order, with `threads` at once."""
    if threads == 1 or len(items) == 1:
        return [work(item) for item in items]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, items))


def check(job: Job, digests: list[str] | None = None) -> None:
    """End the program where a file is not what was wanted; without `digests` all files are read again for them."""
    found = digests or each(digest, job.paths, len(os.sched_getaffinity(0)))
    for file, came in zip(job.files, found, strict=True):
        if came != file.sha256:
            sys.exit(f"{file.name}: expected {file.sha256}, got {came}")
