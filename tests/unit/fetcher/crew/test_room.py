"""Room on the volume that several attempts want: what was promised to one is not given to another."""

import os
import re
from pathlib import Path
from typing import Any

from modelfetch.api.order import FetchOrder
from modelfetch.api.source import HttpFile, HttpSource
from modelfetch.devcluster.hub import FixtureHub
from modelfetch.reasons import Reason
from modelfetch.store.journal import Claim, Granted, Record
from tests.loopback import order_for
from tests.unit.fetcher.crew.scene import BEFORE, LATE, Hasty, hurried, other


def free(volume: Path) -> int:
    found = os.statvfs(volume)
    return found.f_bavail * found.f_frsize


def large(hub: FixtureHub, volume: Path, **fields: Any) -> FetchOrder:
    """Return an order for a file that takes two fifths of the volume, as it says; the hub knows better."""
    url = f"{hub.endpoint}/org/name/resolve/main/model.safetensors"
    file = HttpFile.model_validate({"url": url, "path": "large.bin", "size": free(volume) * 2 // 5})
    return order_for(HttpSource(files=[file]), **fields)


PASSES = Reason.SIZE_MISMATCH


def crowded(volume: Path, stamp: float, *more: Record, parts: float = 0.7) -> Path:
    """Leave the folder of an attempt that needs more than half of the volume."""
    volume.mkdir(exist_ok=True)
    return other(volume, Claim("another", int(free(volume) * parts), stamp), *more)


def test_room_that_another_needs_is_left_to_it(hub: FixtureHub, tmp_path: Path) -> None:
    """The refusal says how much was expected, how much is free, and for whom the rest is."""
    crowded(tmp_path, BEFORE)
    report = hurried(large(hub, tmp_path), tmp_path, Hasty())

    assert Reason.INSUFFICIENT_STORAGE is report.reason
    assert re.fullmatch(
        r"expected \d+ bytes free for 1 files of \d+ bytes, got \d+ beside \d+ that 1 other fetches still need",
        report.message or "",
    )


def test_room_of_one_that_has_ended_is_free(hub: FixtureHub, tmp_path: Path) -> None:
    """What fits without the other one is begun as soon as that one was seen to end."""
    crowded(tmp_path, BEFORE, Granted())

    assert PASSES is hurried(large(hub, tmp_path, ended=("other",)), tmp_path, Hasty()).reason


def test_room_is_given_to_whoever_came_first(hub: FixtureHub, tmp_path: Path) -> None:
    """One that came later and was granted nothing yet takes no room from us."""
    crowded(tmp_path, LATE)

    assert PASSES is hurried(large(hub, tmp_path), tmp_path, Hasty()).reason


def test_one_that_gives_way_is_given_time_to(hub: FixtureHub, tmp_path: Path) -> None:
    """Of two that were granted room at once, the one in front sees the other one go."""
    theirs = crowded(tmp_path, LATE, Granted())
    stop = Hasty(lambda count: (theirs / "journal").unlink() if count == 0 else None)

    assert (PASSES, True) == (hurried(large(hub, tmp_path), tmp_path, stop).reason, stop.pauses >= 1)


def test_more_room_than_there_is_is_reserved_by_nobody(hub: FixtureHub, tmp_path: Path) -> None:
    """A claim that cannot come true, planted or outgrown, keeps no other fetch from the volume."""
    crowded(tmp_path, BEFORE, Granted(), parts=1000)

    assert PASSES is hurried(large(hub, tmp_path), tmp_path, Hasty()).reason
