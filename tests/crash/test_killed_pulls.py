"""`modelfetch pull` that is killed, or told to end, at any moment: the next run goes on from what was written."""

import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelfetch.devcluster.hub import FixtureHub, RepoSpec
from modelfetch.hashing import git_blob
from modelfetch.reasons import Reason
from modelfetch.store.journal import FileLog, decode
from modelfetch.transfer.segments import SEGMENT_BYTES
from tests.crash.generated import MIB, serving, sha256_of
from tests.crash.killed_pulls import GOAL, PATIENCE_S, asked_again, command, trial
from tests.unit.store import samples

SIZE = 256 * MIB
KILLS = 20
FEW = 300


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The seed of the run, which is printed."""
    return random.Random(str(request.config.option.hypothesis_seed)).randrange(2**32)


def test_killed_at_random_points(quick_folder: Path, seed: int) -> None:
    """Twenty kills cost the segments in flight and nothing else, and the end is verified."""
    found = trial(SIZE, KILLS, seed, quick_folder / "store")

    assert (KILLS, 0, 0, True) == (found.kills, found.again, found.exit_code, found.is_right), f"seed {seed}"
    # What was in the sockets' buffers counts as sent, too: on a busy machine as much again.
    assert found.sent <= GOAL * SIZE + KILLS * found.connections * 2 * SEGMENT_BYTES, f"seed {seed}"
    assert [] == samples.violations(quick_folder / "store")


def journals(store: Path) -> list[tuple[bool, list[FileLog]]]:
    """Return whether each attempt that left something has said its end, and what it left."""
    logs = [decode(path.read_bytes()) for path in store.glob("ingest/*/journal")]
    return [(log.is_closed, list(log.files.values())) for log in logs if log is not None]


def test_told_to_end(quick_folder: Path) -> None:
    """SIGTERM ends a fetch in good order: all is durable with the state of the hash, and the next one goes on."""
    size, store = 64 * MIB, quick_folder / "store"
    with serving(size) as server:
        pull = command(server, store, sha256_of(size))
        server.hold(size // 2)
        with subprocess.Popen(pull, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            reached = server.wait_until_sent(size // 2, PATIENCE_S)
            process.send_signal(signal.SIGTERM)
        server.hold(None)
        assert server.wait_until_idle(PATIENCE_S)
        [(is_closed, [file])] = journals(store)
        asked = len(server.asked)
        code = subprocess.run(pull, stdout=subprocess.DEVNULL, check=False).returncode

    assert (True, Reason.CANCELLED.row.exit_code, True) == (reached, process.returncode, is_closed)
    assert 0 < file.states[-1].size <= file.size_bytes < size
    assert (0, []) == (code, samples.leftovers(store))
    assert 0 == asked_again(set(file.segments), server.asked[asked:])


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    with FixtureHub([RepoSpec("org/many", CONTENT)]) as hub:
        yield hub


CONTENT = {f"part-{number:03}.json": b'{"number": %d}' % number for number in range(FEW)}


def finished(store: Path) -> set[str]:
    """Return the files that a look into the store finds by git's id."""
    found = set()
    for name, data in CONTENT.items():
        hasher = git_blob(len(data))
        hasher.update(data)
        oid = hasher.hexdigest()
        alias = store / "blobs" / "git" / oid[:2] / oid
        found |= {name} if alias.exists() else set()
    return found


def test_killed_among_many_small_files(hub: FixtureHub, quick_folder: Path) -> None:
    """Each small file that was finished is there; the next run asks for the others, once each."""
    store = quick_folder / "store"
    ports = [f"--allow-port={address.rpartition(':')[2]}" for address in (hub.endpoint, hub.cdn)]
    allowed = ["--allow-http", "--allow-network", "127.0.0.0/8", *ports]
    pull = [sys.executable, "-m", "modelfetch", "pull", "hf://org/many", str(store), "--endpoint", hub.endpoint]
    with subprocess.Popen([*pull, *allowed], stdout=subprocess.DEVNULL) as process:
        reached = hub.journal.wait_for(FEW // 2, PATIENCE_S)
        process.kill()
    there = finished(store)
    assert hub.journal.wait_until_idle(PATIENCE_S)
    hub.journal.clear()
    code = subprocess.run([*pull, *allowed], stdout=subprocess.DEVNULL, check=False).returncode
    asked = [record.path.rpartition("/")[2] for record in hub.requests if "/resolve/" in record.path]

    assert (True, 0) == (reached, code)
    assert 0 < len(there) < FEW
    assert sorted(CONTENT.keys() - there) == sorted(asked)
    assert [] == samples.violations(store)
