"""Several attempts at once on one store: each byte is fetched once, and what one had the next goes on from."""

import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from modelfetch.api.order import OrderTransfer
from modelfetch.devcluster.hub import Cut, FixtureHub, Status
from modelfetch.reasons import Reason
from modelfetch.report import Report
from modelfetch.store.journal import decode
from modelfetch.transfer.segments import SEGMENT_BYTES
from tests.loopback import fetch, from_hub, published_files
from tests.unit.fetcher.crew.scene import FILES, PACE, SHA256, SIZE, Hasty, asked, held, hurried, sent, wait_until
from tests.unit.store import samples
from tests.unit.store.partials import (
    CONTENT,
    SECOND,
)


def test_two_at_once_fetch_each_byte_once(hub: FixtureHub, tmp_path: Path) -> None:
    """The second waits for the first, and both models are published; their files are the same ones."""
    hub.fail(PACE, port="cdn")
    with ThreadPoolExecutor() as pool:
        first = pool.submit(fetch, from_hub(hub, "org/name", name="first"), tmp_path)
        wait_until(lambda: sent(hub) > 0)
        second: Future[Report] = pool.submit(fetch, from_hub(hub, "org/other", name="second"), tmp_path)
    reports = [first.result(), second.result()]

    assert [None, None] == [report.reason for report in reports]
    assert FILES == published_files(tmp_path, "first")
    assert {"copy.bin": CONTENT} == published_files(tmp_path, "second")
    assert sent(hub) < SIZE + SEGMENT_BYTES  # one connection may have taken a segment over from another
    assert [] == samples.leftovers(tmp_path)


def test_four_that_start_together_end_well(hub: FixtureHub, tmp_path: Path) -> None:
    """Whoever comes first, all are published, and hardly a byte is fetched twice."""
    names = [f"model-{number}" for number in range(4)]
    with ThreadPoolExecutor() as pool:
        reports = pool.map(lambda name: fetch(from_hub(hub, "org/name", name=name), tmp_path), names)

    assert [None] * 4 == [report.reason for report in reports]
    assert [FILES] * 4 == [published_files(tmp_path, name) for name in names]
    assert sent(hub) <= 2 * SIZE


def journal(volume: Path, model: str) -> bytes:
    """Return the journal of the attempt for `model`, nothing before there is one."""
    found = [path.read_bytes() for path in volume.glob("ingest/*/journal")]
    return next((data for data in found if (log := decode(data)) and f"/{model}/" in log.head.owner), b"")


def claims(volume: Path, model: str) -> list[str] | None:
    """Return what the attempt for `model` says that it fetches; None before it has claimed anything."""
    data = journal(volume, model)
    log = decode(data)
    return list(log.claims) if log is not None and b'"claim"' in data else None


def has_segments(volume: Path, model: str) -> bool:
    log = decode(journal(volume, model))
    return log is not None and any(file.segments for file in log.files.values())


def test_the_one_who_fetches_is_killed(hub: FixtureHub, tmp_path: Path) -> None:
    """Who waits goes on from what the killed one had: only what was in flight is fetched again."""
    rule = hub.fail(PACE, port="cdn")
    ports = [f"--allow-port={address.rpartition(':')[2]}" for address in (hub.endpoint, hub.cdn)]
    network = ["--endpoint", hub.endpoint, "--allow-http", "--allow-network", "127.0.0.0/8", *ports]
    command = [sys.executable, "-m", "modelfetch", "pull", "hf://org/name", str(tmp_path), "--name", "first"]
    command += ["--connections", "1", *network]
    with ThreadPoolExecutor() as pool, subprocess.Popen(command, stdout=subprocess.DEVNULL) as holder:
        wait_until(lambda: sent(hub) > 0)
        waiter = pool.submit(fetch, from_hub(hub, "org/name", name="second"), tmp_path)
        wait_until(lambda: claims(tmp_path, "second") == [] and has_segments(tmp_path, "first"))
        holder.kill()
        holder.wait()
        hub.rules.remove(rule)
        report = waiter.result()

    assert (None, FILES) == (report.reason, published_files(tmp_path, "second"))
    assert sent(hub) <= 2 * SIZE - SEGMENT_BYTES
    assert all(asked_range is None or not asked_range.startswith("bytes=0-") for asked_range in asked(hub)[1:])


def test_what_a_failed_fetch_had_is_not_fetched_again(hub: FixtureHub, tmp_path: Path) -> None:
    """Whole segments stay for the next attempt, which leaves nothing behind."""
    cut = hub.fail(Cut(after=SECOND + 1_000_000), port="cdn", nth=1)
    down = hub.fail(Status(status=503), port="cdn", nth=2)
    one_try = OrderTransfer(request_retries=0, connections_per_file=1)
    failed = fetch(from_hub(hub, "org/name", transfer=one_try), tmp_path)
    left = samples.leftovers(tmp_path)
    for rule in (cut, down):
        hub.rules.remove(rule)
    hub.journal.clear()
    report = fetch(from_hub(hub, "org/name", transfer=one_try), tmp_path)

    assert (Reason.SOURCE_UNAVAILABLE, None, FILES) == (failed.reason, report.reason, published_files(tmp_path))
    assert [f"bytes={SECOND}-{SIZE - 1}"] == asked(hub)
    assert (1, []) == (len(left), samples.leftovers(tmp_path))


def test_an_attempt_that_finds_all_clears_up_after_the_last(hub: FixtureHub, tmp_path: Path) -> None:
    """Killed between the last file and the tree: the next one fetches nothing, and the pins of the first go."""
    fetch(from_hub(hub, "org/name"), tmp_path)
    theirs = held(hub, tmp_path)
    (theirs / f"pin-{SHA256}").touch()
    before = len(hub.requests)
    report = hurried(from_hub(hub, "org/name", ended=("other",)), tmp_path, Hasty())

    assert (None, []) == (report.reason, samples.leftovers(tmp_path))
    assert [] == [record for record in hub.requests[before:] if record.port == "cdn"]
