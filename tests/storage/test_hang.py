"""A volume that does not answer at all: its server is gone, and calls wait in the kernel for ever."""

import json
import subprocess
import sys
import threading
from pathlib import Path

from modelfetch.api.order import OrderTransfer, dump
from modelfetch.reasons import Reason
from modelfetch.report import Report
from tests.loopback import from_hub
from tests.storage.ground import Ground
from tests.storage.rules import Rule

IMPATIENT = OrderTransfer(request_retries=0, stall_timeout_s=0.5, deadline_s=600)
DEADLINE_S = 60.0


def test_f56_hang(ground: Ground, tmp_path: Path) -> None:
    """The program tells StorageUnavailable and leaves, though its threads hang; without the hang the next one ends."""
    ground.volume.break_down(Rule("write", "ingest/*/file-*", hang=True), Rule("statfs", nth=2, hang=True))
    message = tmp_path / "message"
    environment = {
        "MODELFETCH_ORDER": dump(from_hub(ground.hub, "org/model", name="model", transfer=IMPATIENT)),
        "MODELFETCH_VOLUME": str(ground.volume.path),
        "MODELFETCH_TERMINATION_LOG": str(message),
    }
    command = [sys.executable, "-m", "modelfetch.fetcher"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as fetcher:
        assert fetcher.stdout is not None
        giving_up = threading.Timer(DEADLINE_S, ground.volume.lift)
        giving_up.start()
        said = [Report.model_validate_json(line) for line in fetcher.stdout if says_how_it_ended(line, ground)]
        giving_up.cancel()

    assert [Reason.STORAGE_UNAVAILABLE] == [report.reason for report in said]
    assert Reason.STORAGE_UNAVAILABLE.row.exit_code == fetcher.returncode
    assert "StorageUnavailable" == json.loads(message.read_text())["reason"]
    assert [] == ground.wrong()
    ground.require_good_end(can_tidy=False)


def says_how_it_ended(line: str, ground: Ground) -> bool:
    """Whether a line is the last report; the kernel is then told to give the program's threads back."""
    is_last = json.loads(line)["event"] == "result"
    if is_last:
        ground.volume.lift()
    return bool(is_last)
