"""A program that forks publishers which start together: `python -m tests.crash.crowd COUNT LINKS FOLDER`.

Each opens the same, at first empty, folder and publishes two models that others publish too. It prints the ids of the
store that they saw and how many failed.
"""

import json
import os
import sys
from functools import partial
from pathlib import Path

from modelfetch.store.store import Store
from tests.crash.forker import fork
from tests.unit.store import samples

MODELS = {f"model-{number}": {"shared.bin": samples.SHARED, "own.txt": b"%d" % number} for number in range(4)}


def publish_two(number: int, links: str, root: str, ids: int) -> None:
    """Open the store and publish two neighbours of the four models."""
    with Store.open(root, samples.filesystem(links)) as store:
        os.write(ids, f"{store.id}\n".encode())
        for name in (f"model-{number % 4}", f"model-{(number + 1) % 4}"):
            samples.publish(store, MODELS[name], samples.owner(name))


def main(count: int, links: str, root: str) -> None:
    """Start `count` children at once and tell how they ended."""
    start_out, start_in = os.pipe()
    ids_out, ids_in = os.pipe()

    def child(number: int) -> None:
        os.close(start_in)
        os.read(start_out, 1)  # ends when the parent closes the other end
        publish_two(number, links, root, ids_in)

    children = [fork(partial(child, number)) for number in range(count)]
    os.close(start_in)
    os.close(ids_in)
    failed = sum(os.waitpid(pid, 0)[1] != 0 for pid in children)
    with os.fdopen(ids_out) as reader:
        ids = reader.read().split()
    sys.stdout.write(json.dumps({"failed": failed, "ids": sorted(set(ids)), "opened": len(ids)}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], str(Path(sys.argv[3])))
