"""Two nodes with one folder: what one has published, the other does not see for a while."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelfetch.api.order import RemovalTarget, RemoveOrder
from modelfetch.devcluster.hub import FixtureHub
from tests.loopback import fetch, published_files
from tests.storage.ground import BLOB, MODEL, Ground
from tests.storage.mounts import Volume, mounted
from tests.storage.rules import Rule

PUBLISHED = [Rule("lookup", pattern, lie="hidden") for pattern in (f"{BLOB}*", "manifests/*/*", "models/tests/model*")]
"""A node that has not noticed yet what the other one published."""


@pytest.fixture
def other(ground: Ground, hub: FixtureHub, tmp_path: Path) -> Iterator[Ground]:
    """The same folder on a second node."""
    with mounted(ground.volume.below, tmp_path / "other") as volume:
        yield Ground(volume, hub)


def removed(volume: Volume, name: str) -> None:
    """Remove the model `name` through this node."""
    target = RemovalTarget(namespace="tests", name=name, owner="uid-1")
    assert fetch(RemoveOrder(targets=(target,)), volume.path).ok


@pytest.mark.parametrize("hidden", [PUBLISHED, PUBLISHED[:1], PUBLISHED[1:2], PUBLISHED[2:]])
def test_f59_published_by_another_node_and_not_seen_yet(ground: Ground, other: Ground, hidden: list[Rule]) -> None:
    """What is there and not seen is fetched again and published again: no error, and nothing of it is removed."""
    assert ground.fetch().ok
    other.volume.break_down(*hidden)
    report = other.fetch()

    assert report.ok, report.message
    assert MODEL == published_files(ground.volume.below)
    assert [] == [call.path for call in other.volume.calls("unlink") if not call.path.startswith("ingest/")]
    other.require_good_end()
    ground.require_good_end()


def test_f59_another_name_for_the_same_content(ground: Ground, other: Ground) -> None:
    """A second model of the same files is published beside one that is not seen; both stay whole."""
    assert ground.fetch().ok
    other.volume.break_down(*PUBLISHED)
    report = other.fetch("again", "model")

    assert report.ok, report.message
    assert MODEL == published_files(ground.volume.below) == published_files(ground.volume.below, "again")
    assert [] == ground.wrong()


def test_f59_removal_on_a_node_that_does_not_see_the_latest(ground: Ground, other: Ground) -> None:
    """Content that another model shares stays, also where the node that tidies up has not seen that model yet."""
    assert ground.fetch("again", "model").ok
    assert ground.fetch("model").ok
    other.volume.break_down(Rule("lookup", "models/tests/model*", lie="hidden"))
    removed(other.volume, "again")

    assert MODEL == published_files(ground.volume.below)
    assert [] == ground.wrong()


def test_f59_listing_that_lags(ground: Ground, other: Ground) -> None:
    """A node whose listings lag for a moment answers with an error or with the truth, and harms nobody."""
    assert ground.fetch().ok
    other.volume.break_down(Rule("lookup", "blobs/*/*", times=1, errno=errno.ENOENT))

    assert other.fetch("again", "model").ok
    assert [] == ground.wrong()
