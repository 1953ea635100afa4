"""Several attempts on one store: each byte is fetched once as long as they get on, and nobody needs anybody."""

import hashlib
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelfetch.api.order import FetchOrder, OrderTransfer
from modelfetch.api.source import HttpFile, HttpSource
from modelfetch.devcluster.hub import Cut, FixtureHub, Rate, RepoSpec, Status
from modelfetch.fetcher.attempt import Surroundings, carry_out
from modelfetch.fetcher.watch import LOOKS
from modelfetch.reasons import Reason
from modelfetch.report import Report
from modelfetch.resumable_sha256 import STATE_FORMAT
from modelfetch.store import layout
from modelfetch.store.fs import Filesystem
from modelfetch.store.journal import Begun, Claim, Granted, Head, Record, Segment, Settled, State, decode, encode
from modelfetch.store.processes import Process
from modelfetch.store.store import Store
from modelfetch.transfer.reader import Identity
from modelfetch.transfer.segments import SEGMENT_BYTES
from tests.loopback import CLOCK, fetch, from_hub, order_for, published_files
from tests.unit.store import samples
from tests.unit.store.partials import (
    CONTENT,
    DIGESTS,
    ELSEWHERE,
    ENDED,
    FIRST,
    SECOND,
    THIRD,
    V1,
    leave,
    plant,
    state_after,
)

SIZE = len(CONTENT)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SMALL = {"config.json": b"{}", "README.md": b"hello"}
FILES = {**SMALL, "model.safetensors": CONTENT}
PATIENCE_S = 120.0
PACE = Rate(bytes_per_s=6 * 1024 * 1024)
KEPT = [Segment(0, start, SEGMENT_BYTES, digest) for start, digest in zip((FIRST, SECOND), DIGESTS, strict=False)]
"""What a journal says of the first two segments of the large file."""
OTHER_STATE = state_after(64)[:32] + state_after(SECOND)[32:]
"""A state that fits the length of the first segment, but not its bytes."""
BEFORE, LATE = 1.0, 4e9
"""Stamps of claims that go before and behind any that is made now."""


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    with FixtureHub([RepoSpec("org/name", FILES), RepoSpec("org/other", {"copy.bin": CONTENT})]) as hub:
        yield hub


def sent(hub: FixtureHub) -> int:
    """Return how many bytes of large files crossed the network."""
    return sum(record.bytes_sent for record in hub.requests if record.port == "cdn")


def asked(hub: FixtureHub) -> list[str | None]:
    return [record.range for record in hub.requests if record.port == "cdn"]


def wait_until(condition: Callable[[], bool]) -> None:
    """Return as soon as others have made it true."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Hasty(threading.Event):
    """A stop that nobody waits for: each pause ends at once, after `act` was told how many there were before."""

    def __init__(self, act: Callable[[int], None] = lambda _pauses: None) -> None:
        super().__init__()
        self.pauses = 0
        self._act = act

    def wait(self, timeout: float | None = None) -> bool:
        """Return at once whether it was set."""
        self._act(self.pauses)
        self.pauses += 1
        return self.is_set()


def hurried(order: FetchOrder, volume: Path, stop: Hasty) -> Report:
    return carry_out(order, Surroundings(str(volume), lambda _report: None, stop, CLOCK))


# Several at once


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


# One that is there already


def other(volume: Path, *records: Record, process: Process = ELSEWHERE, version: Identity = V1) -> Path:
    """Leave the folder of an attempt that seems to be at work on the large file, and has its first two segments."""
    with Store.open(str(volume), Filesystem()) as store:
        folder = leave(store, "other", [FIRST, SECOND], process)
        head = Head("other", "tests/first/uid-1", process)
        plant(store, folder.parts, [head, *records, Begun(0, SHA256, version), *KEPT])
    return volume / folder


def held(hub: FixtureHub, volume: Path, process: Process = ELSEWHERE) -> Path:
    """Leave one that fetches the large file of the hub, and was there first."""
    with urllib.request.urlopen(f"{hub.endpoint}/org/name/resolve/main/model.safetensors") as answer:
        version = replace(V1, etag=answer.headers["ETag"])
    hub.journal.clear()
    return other(volume, Claim(SHA256, SIZE, BEFORE), Granted(), process=process, version=version)


LAST_ONLY = [f"bytes={THIRD}-{SIZE - 1}"]


def test_one_that_does_not_get_on_is_not_waited_for(hub: FixtureHub, tmp_path: Path) -> None:
    """After a minute without progress the fetch goes on alone: with copies, since the other may still write."""
    theirs = held(hub, tmp_path)
    before = (theirs / "file-0").read_bytes()
    stop = Hasty()
    report = hurried(from_hub(hub, "org/name"), tmp_path, stop)

    assert (None, FILES, LAST_ONLY) == (report.reason, published_files(tmp_path), asked(hub))
    assert LOOKS + 1 == stop.pauses
    assert before == (theirs / "file-0").read_bytes()


def test_one_that_gets_on_is_waited_for(hub: FixtureHub, tmp_path: Path) -> None:
    """However long it takes, as long as its journal grows; when it gives the file up, the fetch goes on at once."""
    pauses = 3 * LOOKS
    theirs = held(hub, tmp_path)

    def get_on(count: int) -> None:
        with (theirs / "journal").open("ab") as journal:
            journal.write(encode([Settled("of another file" if count < pauses else SHA256)]))

    stop = Hasty(get_on)
    report = hurried(from_hub(hub, "org/name"), tmp_path, stop)

    assert (None, pauses + 1, FILES) == (report.reason, stop.pauses, published_files(tmp_path))


def test_what_the_other_has_brought_is_used(hub: FixtureHub, tmp_path: Path) -> None:
    """Nothing is fetched, and the file is the other's."""
    theirs = held(hub, tmp_path)

    def bring(_count: int) -> None:
        with Store.open(str(tmp_path), Filesystem()) as store:
            samples.publish(store, {"x": CONTENT})
        with (theirs / "journal").open("ab") as journal:
            journal.write(encode([Settled(SHA256)]))

    report = hurried(from_hub(hub, "org/name"), tmp_path, Hasty(bring))

    assert (None, [], FILES) == (report.reason, asked(hub), published_files(tmp_path))
    assert SIZE == report.progress.bytes_reused


def test_one_whose_folder_goes_is_not_waited_for(hub: FixtureHub, tmp_path: Path) -> None:
    """It has failed and cleaned up: the fetch goes on with the next look."""
    theirs = held(hub, tmp_path)

    def vanish(_count: int) -> None:
        for file in theirs.iterdir():
            file.unlink()
        theirs.rmdir()

    stop = Hasty(lambda count: vanish(count) if count == 0 else None)
    report = hurried(from_hub(hub, "org/name"), tmp_path, stop)

    assert (None, 1, SIZE) == (report.reason, stop.pauses, sent(hub))


@pytest.mark.parametrize("process", [ELSEWHERE, ENDED], ids=["seen by the operator", "gone for certain"])
def test_one_that_has_ended_is_not_waited_for(hub: FixtureHub, tmp_path: Path, process: Process) -> None:
    """Its journal looks young, but it was seen to end: its file is taken over at once, and its folder goes."""
    theirs = held(hub, tmp_path, process)
    inode = (theirs / "file-0").stat().st_ino
    stop = Hasty()
    ended = ("other",) if process is ELSEWHERE else ()
    report = hurried(from_hub(hub, "org/name", name="first", ended=ended), tmp_path, stop)
    blob = tmp_path.joinpath(*layout.blob(SHA256))

    assert (None, 0, LAST_ONLY) == (report.reason, stop.pauses, asked(hub))
    assert (inode, CONTENT, False) == (blob.stat().st_ino, blob.read_bytes(), theirs.exists())


def test_one_that_came_later_is_not_waited_for(hub: FixtureHub, tmp_path: Path) -> None:
    """It is that one's turn to wait."""
    other(tmp_path, Claim(SHA256, SIZE, LATE))
    stop = Hasty()

    assert (None, 0) == (hurried(from_hub(hub, "org/name"), tmp_path, stop).reason, stop.pauses)


def test_a_wait_can_be_stopped(hub: FixtureHub, tmp_path: Path) -> None:
    """SIGTERM ends a fetch that waits as soon as one that downloads."""
    held(hub, tmp_path)
    stop = Hasty(lambda count: stop.set() if count == 3 else None)
    report = hurried(from_hub(hub, "org/name"), tmp_path, stop)

    assert (Reason.CANCELLED, 4) == (report.reason, stop.pauses)


PLANTED: list[tuple[str, list[Record]]] = [
    ("a longer file", [Begun(0, SHA256, replace(V1, size=SIZE * 3)), *KEPT]),
    ("a huge file", [Begun(0, SHA256, replace(V1, size=1 << 61)), Segment(0, 1 << 60, SEGMENT_BYTES, DIGESTS[0])]),
    ("an odd segment", [Begun(0, SHA256, V1), Segment(0, 5, 1 << 40, DIGESTS[0])]),
    ("a state of other bytes", [Begun(0, SHA256, V1), *KEPT, State(0, SECOND, STATE_FORMAT, OTHER_STATE)]),
    ("a state inside a segment", [Begun(0, SHA256, V1), *KEPT, State(0, 64, STATE_FORMAT, state_after(64))]),
    ("another file's number", [Begun(1 << 60, SHA256, V1), Segment(1 << 60, 0, SEGMENT_BYTES, DIGESTS[0])]),
    ("room without end", [Claim(f"k{number}", 1 << 61, BEFORE) for number in range(9)]),
]


@pytest.mark.parametrize("process", [ELSEWHERE, ENDED], ids=["alive", "over"])
@pytest.mark.parametrize("records", [records for _, records in PLANTED], ids=[name for name, _ in PLANTED])
def test_a_planted_journal_fails_no_fetch(
    hub: FixtureHub, tmp_path: Path, records: list[Record], process: Process
) -> None:
    """Whatever it says of the file, the model is published as it is on the hub, and nothing outside is touched."""
    outside = tmp_path / "outside"
    outside.mkdir()
    with Store.open(str(tmp_path / "store"), Filesystem()) as store:
        folder = leave(store, "other", [FIRST, SECOND], process)
        plant(store, folder.parts, [Head("other", "o", process), *records])
    (tmp_path / "store" / "ingest" / "link.0000").symlink_to(outside)
    report = hurried(from_hub(hub, "org/name"), tmp_path / "store", Hasty())

    assert (None, FILES) == (report.reason, published_files(tmp_path / "store"))
    assert ([], []) == (list(outside.iterdir()), samples.violations(tmp_path / "store"))


def test_a_clock_that_was_put_back_keeps_nobody_waiting(hub: FixtureHub, tmp_path: Path) -> None:
    """A journal from an hour ahead is what a dead attempt left behind, not a sign of life for an hour."""
    theirs = held(hub, tmp_path)
    ahead = time.time() + 3600
    os.utime(theirs / "journal", (ahead, ahead))
    stop = Hasty()

    assert (None, 0) == (hurried(from_hub(hub, "org/name"), tmp_path, stop).reason, stop.pauses)


# Room


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


# What a run leaves


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
