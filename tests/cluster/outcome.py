"""What is left of fetches that ended, whatever happened meanwhile: which Jobs there were, which files, which bytes."""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from modelfetch.core.store import inventory
from tests.cluster.world import Object, World, until

_HOLDER = 4
"""Where the head of a journal has the place and the uid of the fetch."""


class Attempt(NamedTuple):
    """Which attempt a Job was made for; `uid` is of the fetch, whose name another one may have had before."""

    uid: str
    fetch: str
    spec: str
    number: str


def attempts(world: World) -> Counter[Attempt]:
    """Return how many fetch Jobs were ever created for each attempt."""
    world.recorder.catch_up(world.all("jobs"))
    jobs = [versions[0]["metadata"] for versions in world.recorder.by_uid("Job").values()]
    return Counter(_attempt(job) for job in jobs if job["labels"]["modelfetch.io/task"] == "fetch")


def _attempt(job: Object) -> Attempt:
    labels, notes = job["labels"], job["annotations"]
    name, spec = notes["modelfetch.io/fetch-name"], notes["modelfetch.io/spec-hash"]
    return Attempt(labels["modelfetch.io/fetch"], name, spec, labels["modelfetch.io/attempt"])


def left_by(world: World) -> set[str]:
    """Return the Jobs whose attempts have private files."""
    return {path.name.partition(".")[0] for path in (world.volume / "ingest").iterdir()}


def left_to(world: World) -> set[str]:
    """Return for whom there are private files: uids of fetches, as journals say, or Jobs where there is none yet."""
    return {_holder(path) for path in (world.volume / "ingest").iterdir()}


def _holder(private: Path) -> str:
    journal = private / "journal"
    if not journal.exists():
        return private.name.partition(".")[0]
    return str(json.JSONDecoder().raw_decode(journal.read_text())[0][_HOLDER].rpartition("/")[2])


def holders_of(fetches: list[Object]) -> set[str]:
    """Return the names under which private files may be of one of these fetches: its uid, and its newest Job."""
    names = {((body.get("status") or {}).get("attempt") or {}).get("jobName", "") for body in fetches}
    return names | {body["metadata"]["uid"] for body in fetches}


def wait_settled(world: World) -> None:
    """Return once the store counts who is there and nobody else, and none of its Jobs is left; all bytes are right."""

    def is_settled() -> bool:
        there = inventory(body["metadata"]["uid"] for body in world.all("modelfetch"))
        counted = (world.get("modelstore", "default").get("status") or {}).get("inventory")
        return counted == there and not world.all("jobs,pods", "-l", "modelfetch.io/task!=fetch")

    until(is_settled, lambda: world.kubectl("get", "modelstore,modelfetch,jobs,pods", "-o", "yaml"))
    expect_right_bytes(world)


def expect_right_bytes(world: World) -> None:
    """Every blob on the volume has the bytes of its name, and every published file is one of them."""
    blobs = {path.stat().st_ino: path for path in world.volume.glob("blobs/sha256/*/*")}
    published = [path for path in world.volume.glob("models/*/*/*/**/*") if path.is_file()]

    assert [] == [path for path in blobs.values() if hashlib.sha256(path.read_bytes()).hexdigest() != path.name]
    assert [] == [path for path in published if path.stat().st_ino not in blobs]


def expect_one_attempt_each(world: World, *names: str) -> None:
    """Each of these was published by the only Job that there ever was for it, and left no private file."""
    made = [(attempt.fetch, attempt.number) for attempt in attempts(world).elements()]

    assert sorted((name, "1") for name in names) == sorted(made)
    assert [] == [name for name in names if not (world.published(name) / "model.safetensors").exists()]
    until(lambda: not left_by(world), lambda: f"private files stay: {left_by(world)}")
    assert [] == list((world.volume / "trash").iterdir())
    expect_right_bytes(world)
