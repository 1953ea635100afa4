"""Private files that come back torn: `python -m tests.crash.small_segments tests.crash.torn FOLDER`.

An attempt is killed when all of a file is written and written down. Then the file is torn as a power cut tears it, and
another attempt goes on from it: the same machine, another one that was told that the first has ended, and another one
that was told nothing. Prints a line of JSON for each: how it was torn, how many segments were received again, and what
is wrong.
"""

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from modelfetch.store import processes
from modelfetch.store.store import Store
from tests.crash.download import downloading
from tests.crash.forker import die, forked
from tests.crash.scenarios import LARGE
from tests.unit.store import samples

PAGE = 4096


def keep(_file: Path) -> None:
    """Leave the file as it is."""


def keep_prefix(file: Path) -> None:
    """Lose all that came after some page: six segments are no more whole."""
    os.truncate(file, 17 * PAGE)


def zero_last_page(file: Path) -> None:
    """The length came to the disk, the last page did not."""
    lose(file, file.stat().st_size // PAGE * PAGE)


def zero_middle_page(file: Path) -> None:
    """A page in the middle did not come to the disk."""
    lose(file, 10 * PAGE)


def lose(file: Path, offset: int) -> None:
    """Zero the page at `offset`, as far as the file goes."""
    with file.open("r+b") as opened:
        opened.seek(offset)
        opened.write(bytes(min(PAGE, file.stat().st_size - offset)))


TEARS: dict[str, Callable[[Path], None]] = {
    "whole": keep, "prefix": keep_prefix, "last page zero": zero_last_page, "middle page zero": zero_middle_page,
}  # fmt: skip
PROOFS = ("same machine", "told", "not told")


def write_all(root: str) -> None:
    """Commit the small file, receive all of the large one, and be killed before that is finished."""
    finished = iter((False, True))

    def stop(step: str) -> None:
        if step == "before file.finish.mode" and next(finished):
            die()

    with Store.open(root, samples.filesystem("hard", stop)) as store:
        list(downloading(store, LARGE, samples.owner(), "attempt-1", "e" * 40))


def go_on(root: str, proof: str, tell: int) -> None:
    """Publish what the killed attempt was to publish, and tell how many segments were received for that."""
    if proof != "same machine":
        processes._boot = lambda: "another boot"  # what a machine is called cannot be changed in a test
    ended = ("attempt-1",) if proof == "told" else ()
    with Store.open(root, samples.filesystem("hard")) as store:
        did = list(downloading(store, LARGE, samples.owner(), "attempt-2", "e" * 40, ended))
    os.write(tell, b"%d" % did.count("received"))


def received_again(root: Path, tear: str, proof: str) -> int:
    """Return how many segments the second attempt received, -1 where it did not come to its end."""
    forked(partial(write_all, str(root)))
    for file in root.glob("ingest/attempt-1.*/file-*"):
        TEARS[tear](file)
    out, into = os.pipe()
    forked(partial(go_on, str(root), proof, into))
    os.close(into)
    with os.fdopen(out) as told:
        return int(told.read() or -1)


def main(folder: Path) -> None:
    """Tear in each way, go on in each way."""
    for number, (tear, proof) in enumerate((tear, proof) for tear in TEARS for proof in PROOFS):
        root = folder / str(number)
        again = received_again(root, tear, proof)
        current = root / "models" / "ml" / "llama" / "current"
        is_right = current.is_dir() and samples.tree_content(current.resolve()) == LARGE
        told = {"tear": tear, "proof": proof, "again": again, "wrong": samples.violations(root), "is_right": is_right}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()  # a child must not inherit it


if __name__ == "__main__":
    main(Path(sys.argv[1]))
