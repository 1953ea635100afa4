"""The command line on a volume that fails: what a person sees, and the exit code that a script sees."""

import errno
import json

import pytest
from click.testing import CliRunner

from modelfetch.cli.main import main
from modelfetch.reasons import Reason
from tests.storage.ground import MODEL, Ground
from tests.storage.rules import Rule

FAULTS = [
    (errno.ENOSPC, Reason.INSUFFICIENT_STORAGE),
    (errno.EDQUOT, Reason.QUOTA_EXCEEDED),
    (errno.EROFS, Reason.STORAGE_READ_ONLY),
    (errno.EIO, Reason.STORAGE_IO_ERROR),
    (errno.ESTALE, Reason.STORAGE_UNAVAILABLE),
]


def pulled(ground: Ground) -> tuple[int, dict[str, object]]:
    """Return exit code and last line of a pull onto the volume."""
    ports = [f"--allow-port={address.rpartition(':')[2]}" for address in (ground.hub.endpoint, ground.hub.cdn)]
    allowed = ["--allow-http", "--allow-network", "127.0.0.0/8", *ports]
    command = ["pull", "hf://org/model", str(ground.volume.path), "--endpoint", ground.hub.endpoint, *allowed]
    run = CliRunner().invoke(main, [*command, "--output", "json"], env={"HF_TOKEN": None, "HF_ENDPOINT": None})
    return run.exit_code, json.loads(run.stdout.splitlines()[-1])


@pytest.mark.parametrize(("code", "reason"), FAULTS, ids=lambda value: errno.errorcode.get(value, str(value)))
def test_a_fault_has_its_exit_code(ground: Ground, code: int, reason: Reason) -> None:
    """Each fault of the volume has an exit code of its own, the step in its message, and ends with the fault."""
    ground.volume.break_down(Rule("write", "ingest/*/file-*", errno=code))
    failed, told = pulled(ground)
    ground.volume.lift()
    done, _ = pulled(ground)

    assert (reason.row.exit_code, reason.value) == (failed, told["reason"])
    assert all(word in str(told["message"]) for word in (errno.errorcode[code], "'file.write'"))
    assert 0 == done
    assert [] == ground.wrong()
    tree = next(ground.volume.below.glob("models/local/*/current"))
    assert MODEL == {path.name: path.read_bytes() for path in tree.iterdir()}
