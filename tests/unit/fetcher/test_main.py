"""The fetcher as a process: its environment in, lines, termination message and exit code out; signals and kills."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelfetch import report
from modelfetch.api.order import FetchOrder, OrderTransfer, RemoveOrder, Selection, dump
from modelfetch.devcluster.hub import FixtureHub, Rate, RepoSpec
from modelfetch.fetcher.main import run
from modelfetch.reasons import Reason
from modelfetch.report import Report
from tests.loopback import from_hub, published_files

FIRST, SECOND = b"1" * 100_000, b"2" * 90_000
PATIENCE_S = 60.0


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    repositories = [
        RepoSpec("org/name", {"a.bin": FIRST, "b.bin": SECOND}),
        RepoSpec("org/secret", {"a.bin": FIRST}, private=True),
    ]
    with FixtureHub(repositories) as hub:
        yield hub


def environment(order: str, folder: Path) -> dict[str, str]:
    (folder / "secrets").mkdir(exist_ok=True)
    return {
        "MODELFETCH_ORDER": order,
        "MODELFETCH_VOLUME": str(folder / "volume"),
        "MODELFETCH_SECRETS": str(folder / "secrets"),
        "MODELFETCH_TERMINATION_LOG": str(folder / "message"),
    }


def message(folder: Path) -> Report:
    found = report.parse((folder / "message").read_text())
    assert found is not None
    return found


def started(order: FetchOrder, folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "modelfetch.fetcher"],
        env=environment(dump(order), folder) | {"PATH": os.defpath},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        time.sleep(0.02)


def test_a_good_run_writes_lines_and_a_message(
    hub: FixtureHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every line is a report, the last one is also the termination message, and the exit code is 0."""
    code = run(environment(dump(from_hub(hub, "org/name")), tmp_path))
    lines = capsys.readouterr().out.splitlines()
    steps = [Report.model_validate_json(line).step for line in lines]

    assert (0, lines[-1]) == (code, (tmp_path / "message").read_text())
    assert ["Resolving", "Downloading", "Publishing"] == list(dict.fromkeys(steps))
    assert {"a.bin": FIRST, "b.bin": SECOND} == published_files(tmp_path / "volume")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, Reason.SECRET_KEY_MISSING),
        (b"", Reason.SECRET_KEY_MISSING),
        (b"\n", Reason.SECRET_KEY_MISSING),
        (b"\x00\xff\xfe", Reason.SECRET_KEY_MISSING),
        (b"two words", Reason.SECRET_KEY_MISSING),
        (b"hf_wrongwrongwrong", Reason.SOURCE_UNAUTHORIZED),
        ("reader", None),
    ],
)
def test_the_token_of_the_secret(
    hub: FixtureHub, tmp_path: Path, content: bytes | str | None, reason: Reason | None
) -> None:
    """A mounted token is used without its line end; a missing, empty or binary one is told apart from a wrong one."""
    (tmp_path / "secrets").mkdir()
    if content is not None:
        data = f"{hub.tokens[content]}\n".encode() if isinstance(content, str) else content
        (tmp_path / "secrets" / "token").write_bytes(data)
    code = run(environment(dump(from_hub(hub, "org/secret", has_token=True)), tmp_path))

    assert (reason, reason.row.exit_code if reason else 0) == (message(tmp_path).reason, code)


@pytest.mark.parametrize("order", ["", "{", "[]", '{"task": "dance"}', '{"task": "fetch", "later": 1}'])
def test_an_order_that_is_not_understood(tmp_path: Path, order: str) -> None:
    """Another version's order is VersionSkew, with a message, and touches nothing."""
    code = run(environment(order, tmp_path))

    assert (Reason.VERSION_SKEW, Reason.VERSION_SKEW.row.exit_code) == (message(tmp_path).reason, code)
    assert not (tmp_path / "volume").exists()


def test_it_says_what_it_is() -> None:
    """Somebody who starts it by hand is told where its order comes from, and of no flag that does nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "modelfetch.fetcher", "--help"], check=True, capture_output=True, text=True
    )

    assert "MODELFETCH_ORDER" in done.stdout


def test_it_takes_no_argument() -> None:
    """An argument that nobody reads is an error, not ignored."""
    argv = [sys.executable, "-m", "modelfetch.fetcher", "--now"]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)

    assert (2, "") == (done.returncode, done.stdout)
    assert "unrecognized arguments: --now" in done.stderr


def test_a_removal_is_told(tmp_path: Path) -> None:
    """Orders that work on the store have their own step and end with ok."""
    code = run(environment(dump(RemoveOrder(targets=())), tmp_path))

    assert (0, "Removing", True) == (code, message(tmp_path).step, message(tmp_path).ok)


def test_sigterm_stops_a_transfer(hub: FixtureHub, tmp_path: Path) -> None:
    """A stopped fetch says Cancelled, with its exit code, and leaves nothing in progress behind."""
    hub.fail(Rate(bytes_per_s=2000), port="cdn")
    process = started(from_hub(hub, "org/name"), tmp_path)
    wait_until(lambda: any(record.port == "cdn" and record.bytes_sent for record in hub.requests))
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=PATIENCE_S)
    last = report.parse(output)
    assert last is not None

    assert (Reason.CANCELLED, Reason.CANCELLED.row.exit_code) == (last.reason, process.returncode)
    assert [] == list((tmp_path / "volume" / "ingest").iterdir())
    assert last == message(tmp_path)


def test_the_deadline_ends_a_transfer(hub: FixtureHub, tmp_path: Path) -> None:
    """A fetch that takes too long ends with DeadlineExceeded, by its own clock."""
    hub.fail(Rate(bytes_per_s=2000), port="cdn")
    code = run(environment(dump(from_hub(hub, "org/name", transfer=OrderTransfer(deadline_s=2))), tmp_path))

    assert (Reason.DEADLINE_EXCEEDED, Reason.DEADLINE_EXCEEDED.row.exit_code) == (message(tmp_path).reason, code)


def test_a_killed_run_keeps_what_it_verified(hub: FixtureHub, tmp_path: Path) -> None:
    """After kill -9 in the middle, the next run fetches only what had not been verified."""
    hub.fail(Rate(bytes_per_s=2000), port="cdn", path="b.bin", count=1)
    one_by_one = {"transfer": OrderTransfer(parallel_files=1)}
    process = started(from_hub(hub, "org/name", **one_by_one), tmp_path)
    wait_until(lambda: sum(record.port == "cdn" and record.bytes_sent > 0 for record in hub.requests) == 2)
    process.kill()
    process.communicate(timeout=PATIENCE_S)
    asked = len(hub.requests)
    code = run(environment(dump(from_hub(hub, "org/name", **one_by_one)), tmp_path))
    fetched = [record.path for record in hub.requests[asked:] if "/resolve/" in record.path]

    assert (0, ["b.bin"]) == (code, [path.rpartition("/")[2] for path in fetched])
    assert {"a.bin": FIRST, "b.bin": SECOND} == published_files(tmp_path / "volume")


def test_a_token_is_in_no_output(hub: FixtureHub, tmp_path: Path) -> None:
    """A canary token leaves no trace: not in lines, not in the message, not on the volume."""
    canary = "hf_" + "Canary" * 6
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "token").write_text(canary)
    hub.tokens["reader"] = canary
    hub.fail(Rate(bytes_per_s=20_000), port="cdn", path="b.bin", count=1)
    order = from_hub(hub, "org/name", has_token=True, selection=Selection(include=("a.bin",)))
    process = started(order, tmp_path)
    output, _ = process.communicate(timeout=PATIENCE_S)
    texts = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != "token"]

    assert 0 == process.returncode
    assert {"reader"} == {record.credentials for record in hub.requests if record.port == "hub"}
    assert not any(b"Canary" in text for text in [output.encode(), *texts])


def test_the_message_fits_what_a_kubelet_keeps(tmp_path: Path, hub: FixtureHub) -> None:
    """A refusal with a long name is cut to 4096 bytes and keeps its reason."""
    hub.add(RepoSpec("org/long", {f"{'ü' * 120}/{'€' * 85}/{number}.": b"x" for number in range(3)}))
    run(environment(dump(from_hub(hub, "org/long")), tmp_path))
    text = (tmp_path / "message").read_text()

    assert (True, "PathRejected") == (len(text.encode()) <= 4096, json.loads(text)["reason"])
