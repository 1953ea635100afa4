"""`modelfetch pull` as people and programs use it."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from modelfetch.cli.cmd_pull import EXAMPLES
from modelfetch.cli.main import main
from modelfetch.devcluster.hub import Corrupt, FixtureHub, Rate, RepoSpec
from modelfetch.hashing import sha256_digest
from modelfetch.reasons import Reason

WEIGHTS = bytes(range(256)) * 400
FILES = {"config.json": b"{}", "model.safetensors": WEIGHTS}
CANARY = "hf_" + "Canary" * 6
PATIENCE_S = 60.0


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    repositories = [
        RepoSpec("org/Tiny_Model", FILES),
        RepoSpec("org/gated", FILES, gated="auto"),
        RepoSpec("org/data", {"train.parquet": b"rows"}, kind="dataset"),
    ]
    with FixtureHub(repositories) as hub:
        yield hub


def allowed(hub: FixtureHub) -> list[str]:
    ports = [address.rpartition(":")[2] for address in (hub.endpoint, hub.cdn)]
    return ["--allow-http", "--allow-network", "127.0.0.0/8", *(f"--allow-port={port}" for port in ports)]


def pull(hub: FixtureHub, source: str, store: Path, *arguments: str, env: dict[str, str] | None = None) -> Result:
    hub_only = ["--endpoint", hub.endpoint] if source.startswith("hf://") else []
    surroundings = {"HF_TOKEN": None, "HF_ENDPOINT": None, **(env or {})}
    command = ["pull", source, str(store), *hub_only, *allowed(hub), *arguments]
    return CliRunner().invoke(main, command, env=surroundings)


def result(run: Result) -> dict[str, Any]:
    last: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return last


def test_the_result_of_json_has_every_key(hub: FixtureHub, tmp_path: Path) -> None:
    """The last line is the documented document, null where there is nothing to say; the path is where the files are."""
    run = pull(hub, "hf://org/Tiny_Model", tmp_path / "store", "--output", "json")
    last = result(run)
    path = Path(last["artifact"].pop("path"))

    assert (0, True, None, None, None, None) == (
        run.exit_code,
        *(last[key] for key in ("ok", "reason", "message", "remedy", "retryable")),
    )
    assert ["event", "ok", "reason", "message", "remedy", "retryable", "artifact"] == list(last)
    assert {"digest", "commit", "files", "bytes"} == set(last["artifact"])
    assert FILES == {file.name: file.read_bytes() for file in path.iterdir()}


def test_every_line_of_json_is_a_document(hub: FixtureHub, tmp_path: Path) -> None:
    """Progress comes as reports, before the result."""
    lines = pull(hub, "hf://org/Tiny_Model", tmp_path, "--output", "json").stdout.splitlines()

    assert ["progress"] * (len(lines) - 1) + ["result"] == [json.loads(line)["event"] for line in lines]


def test_quiet_writes_the_path_alone(hub: FixtureHub, tmp_path: Path) -> None:
    """A script can use the output as it is."""
    run = pull(hub, "hf://org/Tiny_Model", tmp_path, "--output", "quiet")

    assert (0, "", set(FILES)) == (run.exit_code, run.stderr, set(os.listdir(run.stdout.strip())))


def test_people_are_told_where_the_files_are(hub: FixtureHub, tmp_path: Path) -> None:
    """The name is made of the source's last part; the link to use is named; progress goes to standard error."""
    run = pull(hub, "hf://org/Tiny_Model", tmp_path)

    assert str(tmp_path / "models" / "local" / "tiny-model" / "current") in run.stdout
    assert ["Resolving", "Downloading", "Publishing"] == [line.split()[0] for line in run.stderr.splitlines()]
    assert FILES["config.json"] == (tmp_path / "models/local/tiny-model/current/config.json").read_bytes()


def test_people_are_told_what_to_do(hub: FixtureHub, tmp_path: Path) -> None:
    """A refusal says what was expected, what came and what to do."""
    run = pull(hub, "hf://org/gated", tmp_path)

    assert Reason.GATED_ACCESS_REQUIRED.row.exit_code == run.exit_code
    assert "error: GatedAccessRequired: " in run.stderr
    assert f"to do: {Reason.GATED_ACCESS_REQUIRED.row.last_remedy}" in run.stderr


@pytest.mark.parametrize(
    ("source", "arguments", "reason"),
    [
        ("hf://org/nothing", [], Reason.SOURCE_NOT_FOUND),
        ("hf://org/Tiny_Model", ["--revision", "nope"], Reason.REVISION_NOT_FOUND),
        ("hf://org/Tiny_Model@nope", [], Reason.REVISION_NOT_FOUND),
        ("hf://org/Tiny_Model", ["--include", "*.gguf"], Reason.SOURCE_NOT_FOUND),
        ("hf://org/Tiny_Model", ["--exclude", "*"], Reason.SOURCE_NOT_FOUND),
        ("hf://org/Tiny_Model", ["--max-files", "1"], Reason.TOO_MANY_FILES),
        ("hf://org/Tiny_Model", ["--max-file-size", "1KB"], Reason.SIZE_LIMIT_EXCEEDED),
        ("hf://org/Tiny_Model", ["--max-total-size", "1KiB"], Reason.SIZE_LIMIT_EXCEEDED),
        ("hf://org/Tiny_Model", ["--checksum", f"config.json=sha256:{'0' * 64}"], Reason.CHECKSUM_MISMATCH),
        ("hf://org/Tiny_Model", ["--checksum", f"no.json=sha256:{'0' * 64}"], Reason.SPEC_INVALID),
        ("hf://org/Tiny_Model", ["--checksum", "config.json=md5:00"], Reason.SPEC_INVALID),
        ("hf://org/Tiny_Model", ["--max-file-size", "-1"], Reason.SPEC_INVALID),
        ("hf://org/Tiny_Model", ["--max-files", "0"], Reason.SPEC_INVALID),
        ("hf://org/Tiny_Model", ["--deadline", "soon"], Reason.SPEC_INVALID),
        ("hf://org/Tiny_Model", ["--connections", "0"], Reason.SPEC_INVALID),
        ("hf://org/Tiny_Model", ["--retries", "many"], Reason.SPEC_INVALID),
        ("hf://org/Tiny_Model", ["--name", "Tiny"], Reason.SPEC_INVALID),
        ("hf://org/Tiny_Model", ["--name", "../x"], Reason.SPEC_INVALID),
        ("hf://org/Tiny_Model", ["--include", "a\nb"], Reason.SPEC_INVALID),
        ("hf://org/Tiny_Model", ["--allow-network", "loopback"], Reason.SPEC_INVALID),
        ("hf://org/Tiny_Model", ["--allow-port", "0"], Reason.SPEC_INVALID),
        ("hf://org/Tiny_Model", ["--ca-file", "/nowhere"], Reason.SPEC_INVALID),
        ("hf://org/Tiny_Model", ["--token-file", "/nowhere"], Reason.SPEC_INVALID),
        ("hf://org/Tiny_Model", ["--ca-file", "a" * 300], Reason.SPEC_INVALID),
        ("hf://org/Tiny_Model", ["--token-file", "a" * 300], Reason.SPEC_INVALID),
        ("hf://org/Tiny_Model", ["--token-file", "~nobody-of-this-name/token"], Reason.SPEC_INVALID),
        ("hf://org/Tiny_Model@main", ["--revision", "other"], Reason.SPEC_INVALID),
        ("hf://org/../Tiny", [], Reason.SPEC_INVALID),
        ("hf://a/b/c/../d", [], Reason.SPEC_INVALID),
        ("org/Tiny_Model", [], Reason.SPEC_INVALID),
        ("", [], Reason.SPEC_INVALID),
        ("http://[::1", [], Reason.SPEC_INVALID),
        ("http://host.example\uff0fa/b", [], Reason.SPEC_INVALID),
        ("ftp://host.example/file", [], Reason.SOURCE_UNSUPPORTED),
        ("file:///etc/passwd", [], Reason.SOURCE_UNSUPPORTED),
        ("s3://bucket/model", [], Reason.SOURCE_UNSUPPORTED),
        ("https://user:word@host.example/file", [], Reason.SPEC_INVALID),
        ("https://host.example/file?signature=x", [], Reason.SPEC_INVALID),
        ("https://host.example/file", ["--revision", "main"], Reason.SPEC_INVALID),
        ("https://host.example/file", ["--endpoint", "https://hub.example"], Reason.SPEC_INVALID),
    ],
)
def test_refusals_have_their_reason_and_code(
    hub: FixtureHub, tmp_path: Path, source: str, arguments: list[str], reason: Reason
) -> None:
    """Whatever is wrong is a result with its reason, its exit code and its remedy, and nothing is published."""
    run = pull(hub, source, tmp_path / "store", "--output", "json", *arguments)
    last = result(run)

    assert (reason.value, reason.row.exit_code) == (last["reason"], run.exit_code)
    assert (False, reason.row.last_remedy, reason.row.retryable) == (last["ok"], last["remedy"], last["retryable"])
    assert (None, "") == (last["artifact"], run.stderr)
    assert not (tmp_path / "store" / "models" / "local").exists()


@pytest.mark.parametrize("store", ["", "~nobody-of-this-name/models", "relative"])
def test_a_store_that_is_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    """No text, nobody's home and a place in a folder that is gone are refused, and not taken for the current folder."""
    monkeypatch.chdir(tmp_path)
    if store == "relative":
        tmp_path.rmdir()
    run = CliRunner().invoke(main, ["pull", "hf://org/Tiny_Model", store, "--output", "json"])

    assert (Reason.SPEC_INVALID.value, True) == (result(run)["reason"], "STORE" in result(run)["message"])


@pytest.mark.parametrize("output", ["json", "quiet"])
def test_a_folder_of_any_bytes_is_told(hub: FixtureHub, tmp_path: Path, output: str) -> None:
    """A folder whose name is no text is told in a way that leads there."""
    run = pull(hub, "hf://org/Tiny_Model", tmp_path / "\udcff\u00e9", "--output", output)
    told = os.fsdecode(run.stdout_bytes.strip()) if output == "quiet" else result(run)["artifact"]["path"]

    assert (0, set(FILES)) == (run.exit_code, set(os.listdir(told)))


@pytest.mark.parametrize(
    ("output", "where"),
    [("human", "2>&-"), ("human", ">&- 2>&-"), ("human", "2>/dev/full"), ("json", ">&-"), ("json", ">/dev/full")],
)
def test_nobody_to_tell_changes_no_exit_code(hub: FixtureHub, tmp_path: Path, output: str, where: str) -> None:
    """Closed and full streams are no defect: the work is done, and the exit code is that of its end."""
    command = [sys.executable, "-m", "modelfetch", "pull", "hf://org/Tiny_Model", str(tmp_path), "--output", output]
    script = f"{shlex.join([*command, '--endpoint', hub.endpoint, *allowed(hub)])} {where}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=PATIENCE_S)

    assert (0, False) == (done.returncode, "Traceback" in done.stderr)
    assert FILES == {path.name: path.read_bytes() for path in tmp_path.glob("models/local/tiny-model/current/*")}


@pytest.mark.parametrize("drop", ["--allow-http", "--allow-network", "--allow-port"])
def test_loopback_plain_http_and_odd_ports_must_be_allowed(hub: FixtureHub, tmp_path: Path, drop: str) -> None:
    """Each of the three is refused by itself, before anything is asked."""
    kept = " ".join(allowed(hub)).replace("--allow-network ", "--allow-network=").split()
    command = ["pull", "hf://org/Tiny_Model", str(tmp_path), "--endpoint", hub.endpoint, "--output", "json"]
    run = CliRunner().invoke(main, [*command, *(part for part in kept if not part.startswith(drop))])

    assert (Reason.URL_NOT_ALLOWED.value, []) == (result(run)["reason"], hub.requests)


@pytest.mark.parametrize(
    "arguments", [[], ["source"], ["a", "b", "c"], ["a", "b", "--no-such"], ["a", "b", "--output", "xml"]]
)
def test_a_command_line_that_is_none(arguments: list[str]) -> None:
    """Missing and unknown arguments are usage errors: exit code 2, with a hint."""
    run = CliRunner().invoke(main, ["pull", *arguments])

    assert (2, True) == (run.exit_code, "Usage: " in run.stderr)


@pytest.mark.parametrize("how", ["file", "stdin", "environment"])
def test_ways_to_give_a_token(hub: FixtureHub, tmp_path: Path, how: str) -> None:
    """A file, standard input or HF_TOKEN open a gated model; the token is in no output."""
    hub.tokens["reader"] = CANARY
    (tmp_path / "token").write_text(f"{CANARY}\n")
    arguments = {"file": ["--token-file", str(tmp_path / "token")], "stdin": ["--token-file", "-"], "environment": []}[
        how
    ]
    env = {"HF_TOKEN": CANARY} if how == "environment" else {"HF_TOKEN": "hf_other"}
    command = ["pull", "hf://org/gated", str(tmp_path / "store"), *allowed(hub), *arguments]
    run = CliRunner().invoke(main, command, env={**env, "HF_ENDPOINT": hub.endpoint}, input=f"{CANARY}\n")

    assert (0, False) == (run.exit_code, "Canary" in run.output)
    assert {"reader"} == {record.credentials for record in hub.requests if record.port == "hub"}
    assert {"absent"} == {record.credentials for record in hub.requests if record.port == "cdn"}


def test_the_hubs_token_is_not_for_other_servers(hub: FixtureHub, tmp_path: Path) -> None:
    """HF_TOKEN counts for hf:// sources only."""
    source = f"{hub.endpoint}/org/Tiny_Model/resolve/main/config.json"
    run = pull(hub, source, tmp_path, env={"HF_TOKEN": CANARY})

    assert (0, {"absent"}) == (run.exit_code, {record.credentials for record in hub.requests})


def test_an_empty_token_is_told(hub: FixtureHub, tmp_path: Path) -> None:
    """An empty file is no token, and not silently none."""
    (tmp_path / "token").write_text("\n")
    run = pull(hub, "hf://org/gated", tmp_path / "store", "--token-file", str(tmp_path / "token"))

    assert Reason.SECRET_KEY_MISSING.row.exit_code == run.exit_code


def test_a_token_that_is_no_text_is_told(hub: FixtureHub, tmp_path: Path) -> None:
    """Bytes in HF_TOKEN that are no characters end as an unusable token."""
    run = pull(hub, "hf://org/gated", tmp_path / "store", "--output", "json", env={"HF_TOKEN": "\udcff"})

    assert Reason.SECRET_KEY_MISSING.value == result(run)["reason"]


def test_a_file_by_url_with_its_checksum(hub: FixtureHub, tmp_path: Path) -> None:
    """The user's digest makes a file by URL a verified one."""
    source = f"{hub.endpoint}/org/Tiny_Model/resolve/main/model.safetensors"
    good = pull(hub, source, tmp_path, "--checksum", f"model.safetensors={sha256_digest(WEIGHTS)}")
    bad = pull(hub, source, tmp_path / "b", "--checksum", f"model.safetensors=sha256:{'0' * 64}", "--output", "json")

    assert (0, "1 compared with a digest") == (good.exit_code, good.stdout.splitlines()[2].partition("  ")[2])
    assert Reason.CHECKSUM_MISMATCH.value == result(bad)["reason"]


def test_a_dataset_has_its_own_address(hub: FixtureHub, tmp_path: Path) -> None:
    """hf://datasets/… is a dataset."""

    assert 0 == pull(hub, "hf://datasets/org/data", tmp_path, "--name", "rows").exit_code
    assert b"rows" == (tmp_path / "models/local/rows/current/train.parquet").read_bytes()


def test_wrong_bytes_are_never_published(hub: FixtureHub, tmp_path: Path) -> None:
    """A source that serves other bytes than it lists ends in ChecksumMismatch."""
    hub.fail(Corrupt(offset=3), port="cdn")
    run = pull(hub, "hf://org/Tiny_Model", tmp_path, "--output", "json", "--retries", "0")

    assert Reason.CHECKSUM_MISMATCH.value == result(run)["reason"]
    assert [] == list((tmp_path / "models").rglob("*.safetensors"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_and_the_next_run_goes_on(hub: FixtureHub, tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C ends with Cancelled and its code; the same command then brings the rest."""
    rule = hub.fail(Rate(bytes_per_s=2000), port="cdn")
    command = [sys.executable, "-m", "modelfetch", "pull", "hf://org/Tiny_Model", str(tmp_path), "--output", "json"]
    process = subprocess.Popen(
        [*command, "--endpoint", hub.endpoint, *allowed(hub)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + PATIENCE_S
    while not any(record.port == "cdn" and record.bytes_sent for record in hub.requests):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    output, errors = process.communicate(timeout=PATIENCE_S)
    hub.rules.remove(rule)
    again = pull(hub, "hf://org/Tiny_Model", tmp_path)

    assert (Reason.CANCELLED.value, Reason.CANCELLED.row.exit_code, "") == (
        json.loads(output.splitlines()[-1])["reason"],
        process.returncode,
        errors,
    )
    assert 0 == again.exit_code


@pytest.mark.parametrize("module", ["click", "modelfetch.cli.pulling", "pydantic_core"])
def test_an_early_interrupt_ends_without_a_word(tmp_path: Path, module: str) -> None:
    """Ctrl-C while the program is still being imported ends it by the signal, and not with a traceback."""
    code = (
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from modelfetch.__main__ import run\n"
        "sys.argv = ['modelfetch', 'pull', 'hf://org/name', sys.argv[1]]\n"
        "run()\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60)

    assert (-signal.SIGINT, "", "") == (done.returncode, done.stdout, done.stderr)


def test_help_tells_the_exit_codes_of_the_table() -> None:
    """Each code in the help is that of its reason, and every reason that a pull can end with is there."""
    text = EXAMPLES.partition("Exit codes:")[2]
    told = {name: int(code) for code, name in re.findall(r"(\d+) ([A-Z]\w+)", text)}

    assert told == {reason.value: reason.row.exit_code for reason in Reason if reason.value in told}
    assert len(told) > 20


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["pull", "--help"]])
def test_help_needs_no_heavy_import(arguments: list[str]) -> None:
    """Help and version import neither models nor libcurl nor the hub's library."""
    code = (
        "import sys; from modelfetch.cli.main import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit: print(sorted({'pydantic', 'pycurl', 'huggingface_hub', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.splitlines()[-1]
