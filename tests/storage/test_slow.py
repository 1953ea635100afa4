"""Volumes that take their time: a slow disk is no stalled source."""

from modelfetch.api.order import OrderTransfer
from modelfetch.report import Report
from tests.loopback import fetch, from_hub, published_files
from tests.storage.ground import LARGE, Ground
from tests.storage.rules import Rule

IMPATIENT = OrderTransfer(request_retries=0, stall_timeout_s=1, deadline_s=120)
"""One second without a byte is a stall, and no request is tried again."""


def test_f64_a_sync_of_two_seconds(ground: Ground) -> None:
    """A disk that takes twice the stall timeout for a sync is waited for, and progress is told meanwhile."""
    told: list[Report] = []
    ground.volume.break_down(Rule("fsync", "ingest/*/file-*", delay_s=2.0))
    order = from_hub(ground.hub, "org/model", name="model", transfer=IMPATIENT)
    report = fetch(order, ground.volume.path, emit=told.append)

    assert report.ok, report.message
    assert 1 <= sum(one.step == "Downloading" for one in told)
    ground.require_good_end()


def test_f64_a_disk_of_a_megabyte_a_second(ground: Ground) -> None:
    """Writes that are slower than the source hold the source back, without a stall and without a second request."""
    ground.volume.break_down(Rule("write", "ingest/*/file-*", delay_s=0.5))
    before = ground.sent()
    report = ground.fetch("large", transfer=IMPATIENT)

    assert report.ok, report.message
    assert sum(map(len, LARGE.values())) == ground.sent() - before
    assert LARGE == published_files(ground.volume.below, "large")
