"""A program for a private mount namespace: `python -m tests.crash.full_disk FOLDER`, where FOLDER is a small volume.

It publishes a small model, then one that does not fit, and prints what came of it.
"""

import json
import os
import sys
from pathlib import Path

from modelfetch.errors import FetchError
from modelfetch.store.fs import Filesystem
from modelfetch.store.store import Store
from tests.unit.store import samples

TOO_MUCH = 64 * 1024 * 1024


def outcome(store: Store, content: samples.Content, name: str) -> dict[str, str]:
    """Publish and return the reason and message, or the path."""
    try:
        return {"path": samples.publish(store, content, samples.owner(name)).path}
    except FetchError as error:
        return {"reason": error.reason.value, "message": error.message}


def main(root: Path) -> None:
    """Fill the volume, see the refusal, and see that room and the first model are still there."""
    with Store.open(str(root), Filesystem()) as store:
        first = outcome(store, samples.LLAMA, "llama")
        free_before = store.free_bytes()
        second = outcome(store, {"big.bin": os.urandom(TOO_MUCH)}, "big")
        told: dict[str, object] = {
            "first": first,
            "second": second,
            "room_is_back": store.free_bytes() >= free_before - 64 * 1024,
        }
    told |= {"violations": samples.violations(root), "leftovers": samples.leftovers(root)}
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
