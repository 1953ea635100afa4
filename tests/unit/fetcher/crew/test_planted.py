"""Journals that no fetch has written, beside a whole fetch: it ends as if they were not there."""

from dataclasses import replace
from pathlib import Path

import pytest

from modelfetch.devcluster.hub import FixtureHub
from modelfetch.resumable_sha256 import STATE_FORMAT
from modelfetch.store.fs import Filesystem
from modelfetch.store.journal import Begun, Claim, Head, Record, Segment, State
from modelfetch.store.processes import Process
from modelfetch.store.store import Store
from modelfetch.transfer.segments import SEGMENT_BYTES
from tests.loopback import from_hub, published_files
from tests.unit.fetcher.crew.scene import BEFORE, FILES, KEPT, OTHER_STATE, SHA256, SIZE, Hasty, hurried
from tests.unit.store import samples
from tests.unit.store.partials import (
    DIGESTS,
    ELSEWHERE,
    ENDED,
    FIRST,
    SECOND,
    V1,
    leave,
    plant,
    state_after,
)

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
