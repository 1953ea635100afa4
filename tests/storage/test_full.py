"""Volumes without room: full at any step, full by somebody else's hand, over quota, out of inodes, or read-only."""

import errno
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelfetch.devcluster.hub import FixtureHub
from modelfetch.reasons import Reason
from modelfetch.report import Report
from tests.loopback import published_files
from tests.storage.ground import CONTENT, LARGE, MODEL, Ground
from tests.storage.mounts import mounted
from tests.storage.rules import CHANGING, Rule
from tests.unit.store import samples

ENTERING = ("mkdir", "create", "write", "fsync", "rename", "link", "symlink")
"""What may ask a volume for room, as the rows name it."""
EVERY = 4
"""After every fourth step it is tried how the next fetch goes; tests/crash does so after each, without a volume."""


def count(ground: Ground, op: str) -> int:
    """Return how often a fetch into a new store calls `op`."""
    assert ground.fetch("model", root="counted").ok
    return len(ground.volume.calls(op, "counted*"))


def tried(ground: Ground, rule: Rule, root: str) -> tuple[Report, list[str]]:
    """Return how a fetch into the new store `root` ended, with all that was wrong then."""
    ground.volume.calls()
    ground.volume.break_down(rule)
    report = ground.fetch("model", root=root)
    below = ground.volume.below / root
    found = [*ground.wrong(), *samples.violations(below)]
    ground.volume.lift()
    return report, found


def next_fetch(ground: Ground, root: str) -> list[str]:
    """Return what is wrong after the fault and another fetch."""
    found = [] if ground.fetch("model", root=root).ok else ["the next fetch does not end well"]
    below = ground.volume.below / root
    return [*found, *samples.violations(below), *samples.leftovers(below)]


def only_the_journal(ground: Ground) -> bool:
    """Whether nothing was refused but a sync of what another attempt would go on from: the files are whole without."""
    refused = [call.path for call in ground.volume.calls() if call.code == errno.ENOSPC]
    return refused != [] and all(path.endswith("/journal") for path in refused)


@pytest.mark.parametrize("op", ENTERING)
def test_f47_enospc_at_each_step(ground: Ground, op: str) -> None:
    """Full from any step on: InsufficientStorage with what is free, nothing published is lost, the next fetch ends."""
    wrong = []
    for nth in range(1, count(ground, op) + 1):
        report, found = tried(ground, Rule(op, f"full{nth}*", nth=nth, errno=errno.ENOSPC), f"full{nth}")
        if nth % EVERY == 1:
            found += next_fetch(ground, f"full{nth}")
        is_told = report.reason is Reason.INSUFFICIENT_STORAGE and "bytes free" in (report.message or "")
        if found or not (is_told or (report.ok and only_the_journal(ground))):
            wrong.append((op, nth, report.reason, report.message, found))

    assert [] == wrong


def test_f47_too_little_room_is_told_before_any_byte(ground: Ground) -> None:
    """What is needed and what is free stand in the message, and no file was asked for."""
    before = ground.sent()
    ground.volume.break_down(Rule("statfs", lie="free", free_bytes=1_000_000))
    report = ground.fetch()

    assert f"of {sum(map(len, MODEL.values()))} bytes, got {1_000_000 // 4096 * 4096}" in (report.message or "")
    assert before == ground.sent()
    ground.require_refused(report, Reason.INSUFFICIENT_STORAGE)


def test_f48_somebody_else_fills_the_disk(ground: Ground) -> None:
    """The look at the room was right and is no longer: the second write is refused, and says what is free."""
    ground.volume.break_down(Rule("write", "ingest/*/file-*", nth=2, errno=errno.ENOSPC))
    report = ground.fetch()

    assert "bytes free" in (report.message or "")
    ground.require_refused(report, Reason.INSUFFICIENT_STORAGE)


def test_f47_what_was_verified_is_kept(ground: Ground) -> None:
    """Where room is the only problem, the next attempt goes on: what was whole is not fetched again."""
    size = sum(map(len, LARGE.values()))
    ground.volume.break_down(Rule("write", "ingest/*/file-*", nth=9, errno=errno.ENOSPC))
    report, before = ground.fetch("large"), ground.sent()
    ground.volume.lift()

    assert Reason.INSUFFICIENT_STORAGE is report.reason
    assert ground.fetch("large").ok
    assert size - 8 * 1024 * 1024 == ground.sent() - before
    ground.require_good_end("large")


def test_f48_two_fetches_on_a_volume_with_room_for_one(tmp_path: Path, hub: FixtureHub) -> None:
    """They do not fill the disk against each other: one is published, the other is told what it lacks."""
    with mounted(tmp_path / "below", tmp_path / "mount", size_bytes=16 * 1024 * 1024) as volume:
        nodes = [Ground(volume, hub), Ground(volume, hub)]
        with ThreadPoolExecutor(2) as pool:
            reports = list(pool.map(lambda node, name: node.fetch(name), nodes, ("large", "other")))
        below = volume.below
        published = [name for name in ("large", "other") if published_files(below, name)]

        assert [] == samples.violations(below)
        assert sorted(reason_of(report) for report in reports) == ["InsufficientStorage", "published"]
        assert 1 == len(published)
        assert CONTENT[published[0]] == published_files(below, published[0])


def reason_of(report: Report) -> str:
    """Return the reason of a fetch that failed, or that it did not."""
    return report.reason.value if report.reason is not None else "published"


@pytest.mark.parametrize("op", ["write", "create", "mkdir"])
def test_f49_edquot(ground: Ground, op: str) -> None:
    """A quota is told apart from a full volume: another person has to lift it."""
    ground.volume.break_down(Rule(op, "ingest/*", errno=errno.EDQUOT))

    ground.require_refused(ground.fetch(), Reason.QUOTA_EXCEEDED)


def test_f49_out_of_inodes(ground: Ground) -> None:
    """A volume that takes no more files, though it has room, says how many inodes are free."""
    ground.volume.break_down(Rule("create", "ingest/*/file-*", errno=errno.ENOSPC))
    report = ground.fetch()

    assert "inodes free" in (report.message or "")
    ground.require_refused(report, Reason.INSUFFICIENT_STORAGE)


def test_f50_erofs_at_start(ground: Ground) -> None:
    """A volume that is read-only from the first is told before any byte is fetched."""
    before = ground.sent()
    ground.volume.break_down(Rule(f"{CHANGING},unlink,rmdir", errno=errno.EROFS))
    report = ground.fetch()

    assert before == ground.sent()
    ground.require_refused(report, Reason.STORAGE_READ_ONLY)


@pytest.mark.parametrize("nth", [1, 2])
def test_f50_erofs_mid_write(ground: Ground, nth: int) -> None:
    """A volume that is mounted read-only under a fetch, as after an error of its disk, refuses even the tidying."""
    ground.volume.break_down(
        Rule("write", "ingest/*/file-*", nth=nth, errno=errno.EROFS),
        Rule(f"{CHANGING},unlink,rmdir", nth=nth + 40, errno=errno.EROFS),
    )
    report = ground.fetch()

    assert None is report.artifact
    ground.require_refused(report, Reason.STORAGE_READ_ONLY, can_tidy=False)
