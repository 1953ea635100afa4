"""A limit: as many bytes as the files have, written and synced, from one buffer in memory."""

import os

from benchmarks.peers.job import load

BLOCK = bytes(range(256)) * 4096


def main() -> None:
    """Write every file in blocks of 1 MiB, then sync them all."""
    job = load()
    descriptors = []
    for file, path in zip(job.files, job.paths, strict=True):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
        descriptors.append(descriptor)
        for start in range(0, file.size, len(BLOCK)):
            os.pwrite(descriptor, BLOCK[: file.size - start], start)
        if len(descriptors) == 64:
            sync(descriptors)
    sync(descriptors)


def sync(descriptors: list[int]) -> None:
    """Make what was written durable, and let go of it."""
    while descriptors:
        descriptor = descriptors.pop()
        os.fsync(descriptor)
        os.close(descriptor)


if __name__ == "__main__":
    main()
