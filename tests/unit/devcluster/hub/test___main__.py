"""The hub as a program: ready file, signals, flags."""

import json
import os
import signal
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.unit.devcluster.hub.raw import DEADLINE_S, hear

PROGRAM = (sys.executable, "-m", "modelfetch.devcluster.hub")


@contextmanager
def running(ready: Path, *flags: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Yield the program with what its ready file says; end it as its users would, so that it cleans up."""
    command = [*PROGRAM, "--ready-file", str(ready), "--model-size", "4096", "--tiny", "1", *flags]
    # Its temporary folder goes into the test's own, where what is left of it can be seen.
    apart = {**os.environ, "TMPDIR": str(ready.parent)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=apart) as process:
        try:
            deadline = time.monotonic() + DEADLINE_S
            while not ready.exists() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            assert ready.exists(), (
                process.communicate(timeout=DEADLINE_S)[0] if process.poll() is not None else "no answer"
            )
            yield process, json.loads(ready.read_text())
        finally:
            process.terminate()
            process.wait(DEADLINE_S)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_life(tmp_path: Path, ending: signal.Signals) -> None:
    """The program says where it is, serves, ends well at a signal, and leaves no file."""
    ready = tmp_path / "ready.json"
    with running(ready) as (process, facts):
        models = {row["id"] for row in facts["repositories"]}
        mode = stat.S_IMODE(ready.stat().st_mode)
        served = hear(f"{facts['endpoint']}/api/models/acme/small-chat").status
        process.send_signal(ending)
        output, _ = process.communicate(timeout=DEADLINE_S)

        assert (0o600, 200, 0) == (mode, served, process.returncode)
    assert [] == list(tmp_path.iterdir())
    assert {"acme/gated-7b", "tiny/model-000", "sentence-transformers/all-MiniLM-L6-v2"} <= models
    assert facts["endpoint"] in output


def test_rules_from_outside(tmp_path: Path) -> None:
    """A running program can be told to misbehave at the control address of its ready file."""
    body = b'{"match": {"path": "^/api/"}, "actions": [{"do": "status", "status": 503}]}'
    with running(tmp_path / "ready.json") as (_, facts):
        hear(f"{facts['control']}/rules", method="POST", body=body)

        assert 503 == hear(f"{facts['endpoint']}/api/models/acme/small-chat").status


def test_flags(tmp_path: Path) -> None:
    """Own tokens, folders and TLS take the place of what is generated."""
    (tmp_path / "models" / "mine" / "one").mkdir(parents=True)
    (tmp_path / "models" / "mine" / "one" / "config.json").write_text("{}")
    authority, client = trustme.CA(), ssl.create_default_context()
    authority.configure_trust(client)
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    tls = ("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))
    flags = ("--bare", "--folder", str(tmp_path / "models"), "--token", "hf_mine", "--token", "other=hf_other", *tls)
    with running(tmp_path / "ready.json", *flags) as (_, facts):
        heard = hear(f"{facts['endpoint']}/mine/one/resolve/main/config.json", tls=client)

    assert ({"reader": "hf_mine", "other": "hf_other"}, ["mine/one"], b"{}") == (
        facts["tokens"], [row["id"] for row in facts["repositories"]], heard.raw,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--tls-cert", "x"], "--tls-cert and --tls-key go together"),
        (["--folder", "nowhere"], "'nowhere' does not exist"),
        (["--model-size", "5"], "--model-size is at least 512"),
        (["--rate", "0"], "--rate is more than 0"),
        (["--unknown"], "unrecognized arguments"),
    ],
)
def test_wrong_flags(flags: list[str], told: str) -> None:
    """A wrong flag ends the program with code 2 and says what is wrong."""
    ended = subprocess.run([*PROGRAM, *flags], capture_output=True, text=True, timeout=DEADLINE_S, check=False)

    assert (2, True) == (ended.returncode, told in ended.stderr)


def test_help() -> None:
    """The help names every repository and shows how to make the hub misbehave."""
    ended = subprocess.run([*PROGRAM, "--help"], capture_output=True, text=True, timeout=DEADLINE_S, check=False)

    assert 0 == ended.returncode, ended.stderr
    assert "acme/gated-7b" in ended.stdout
    assert '"do":"cut"' in ended.stdout
