"""Volumes without room: full at any step, full by somebody else's hand, over quota, out of inodes, or read-only."""

import errno

import pytest

from modelfetch.reasons import Reason
from modelfetch.report import Report
from tests.storage.ground import MODEL, Ground
from tests.storage.rules import CHANGING, Rule
from tests.unit.store import samples

ENTERING = ("mkdir", "create", "write", "fsync", "rename", "link", "symlink")
"""What may ask a volume for room, as the rows name it."""


def count(ground: Ground, op: str) -> int:
    """Return how often a fetch into a new store calls `op`."""
    assert ground.fetch("model", root="counted").ok
    return len(ground.volume.calls(op, "counted*"))


def tried(ground: Ground, rule: Rule, root: str) -> tuple[Report, list[str]]:
    """Return how a fetch into the new store `root` ended, with all that was wrong during it and after the fault."""
    ground.volume.calls()
    ground.volume.break_down(rule)
    report = ground.fetch("model", root=root)
    below = ground.volume.below / root
    found = [*ground.wrong(), *samples.violations(below)]
    ground.volume.lift()
    if not ground.fetch("model", root=root).ok:
        found.append("the next fetch does not end well")
    return report, [*found, *samples.violations(below), *samples.leftovers(below)]


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
