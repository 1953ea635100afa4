"""Two nodes at work on one folder at once: fetches of one model, removals, repairs, and readers all the while."""

import errno
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelfetch.api.order import RemovalTarget, RemoveOrder
from modelfetch.devcluster.hub import FixtureHub
from modelfetch.report import Report
from tests.loopback import fetch, published_files
from tests.storage.ground import BLOB, MODEL, WEIGHTS, Ground
from tests.storage.mounts import mounted
from tests.storage.rules import Rule
from tests.unit.store import samples

ORDERS = 50
ROUNDS = 6


@pytest.fixture
def other(ground: Ground, hub: FixtureHub, tmp_path: Path) -> Iterator[Ground]:
    """The same folder on a second node, where every lock is given to everybody."""
    with mounted(ground.volume.below, tmp_path / "other") as volume:
        volume.break_down(Rule("flock", lie="granted"))
        yield Ground(volume, hub)


def at_once(*works: Callable[[], Report]) -> list[Report]:
    """Return the reports of works that begin together."""
    start = threading.Barrier(len(works))

    def begin(work: Callable[[], Report]) -> Report:
        start.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(begin, works))


def failures(reports: list[Report]) -> list[str]:
    """Return the messages of what did not end well."""
    return [f"{report.reason}: {report.message}" for report in reports if not report.ok]


def remove(ground: Ground, name: str) -> Report:
    """Remove a model through a node."""
    target = RemovalTarget(namespace="tests", name=name, owner="uid-1")
    return fetch(RemoveOrder(targets=(target,)), ground.volume.path)


def test_f89_two_fetches_of_one_blob_on_two_nodes(ground: Ground, other: Ground) -> None:
    """Both are published, of one file, and at most both have fetched it."""
    sent = ground.sent()
    reports = at_once(ground.fetch, lambda: other.fetch("again", "model"))

    assert [] == failures(reports)
    assert len(WEIGHTS) <= ground.sent() - sent <= 2 * len(WEIGHTS)
    assert MODEL == published_files(ground.volume.below) == published_files(ground.volume.below, "again")
    assert [] == ground.wrong()
    ground.require_good_end()


def test_f89_fifty_orders_of_the_same_model(ground: Ground, other: Ground) -> None:
    """Fifty models of the same content, ordered on two nodes at once: each is published, the content is there once."""
    sent, nodes = ground.sent(), [ground, other]
    with ThreadPoolExecutor(8) as pool:
        reports = list(pool.map(lambda number: nodes[number % 2].fetch(f"copy-{number}", "model"), range(ORDERS)))

    assert [] == failures(reports)
    assert 8 * len(WEIGHTS) >= ground.sent() - sent
    assert ORDERS + 1 == (ground.volume.below / BLOB).stat().st_nlink
    assert [] == ground.wrong() + samples.leftovers(ground.volume.below)
    assert all(MODEL == published_files(ground.volume.below, f"copy-{number}") for number in range(ORDERS))


@pytest.mark.parametrize("links", ["hard", "symbolic"])
def test_f90_publish_races_with_the_removal_of_the_same_blob(ground: Ground, other: Ground, links: str) -> None:
    """Whichever way the two meet, what is published afterwards is whole."""
    if links == "symbolic":
        for node in (ground, other):
            node.volume.break_down(Rule("link", errno=errno.EPERM))
    for number in range(ROUNDS):
        old, new = f"round-{number}", f"round-{number + 1}"
        assert ground.fetch(old, "model").ok
        reports = at_once(lambda new=new: ground.fetch(new, "model"), lambda old=old: remove(other, old))  # type: ignore[misc]
        assert [] == failures(reports)
        assert (MODEL, {}) == (published_files(ground.volume.below, new), published_files(ground.volume.below, old))
        assert [] == ground.wrong()


def test_f91_readers_while_others_repair_and_remove(ground: Ground, other: Ground) -> None:
    """Who reads a published model meanwhile sees its bytes, each time, whole."""
    assert ground.fetch().ok
    over = threading.Event()
    reader = ThreadPoolExecutor(1)
    seen = reader.submit(lambda: [published_files(ground.volume.path) == MODEL for _ in iter(over.is_set, True)])
    other.volume.break_down(Rule("read", BLOB, errno=errno.EIO))
    try:
        for number in range(ROUNDS):
            assert other.fetch(f"round-{number}", "model").ok
            assert other.fetch().ok
            assert remove(ground, f"round-{number}").ok
    finally:
        over.set()
        reader.shutdown()

    assert {True} == set(seen.result())
    assert [] == ground.wrong()
