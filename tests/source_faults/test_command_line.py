"""The same faults through `modelfetch pull` itself: exit code, what people read, what programs read."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from modelfetch.cli.main import main
from modelfetch.hashing import sha256_digest
from modelfetch.reasons import Reason
from tests.fakes.evil_server import Script, evil_server
from tests.rows.ground import reach
from tests.source_faults.scene import SECRETS, SIGNATURE, TOKEN, damaged
from tests.source_faults.scripts import LARGE, changed, cut_in_file, flipped, good, signed, status

CHECKSUM = f"--checksum=file={sha256_digest(LARGE)}"

ENDS: dict[str, tuple[Script, Reason]] = {
    "f65": (status(404), Reason.SOURCE_NOT_FOUND),
    "f66": (status(403), Reason.SOURCE_FORBIDDEN),
    "f68": (status(429, Retry_After="60"), Reason.RATE_LIMITED),
    "f69": (status(503), Reason.SOURCE_UNAVAILABLE),
    "f70": (cut_in_file(LARGE, 1_000_000, times=9), Reason.SOURCE_UNAVAILABLE),
    "f72": (good(flipped(LARGE, 7)), Reason.CHECKSUM_MISMATCH),
    "f81": (
        changed(good(LARGE), lambda answer: answer.with_headers(content_encoding="gzip")),
        Reason.FORMAT_NOT_ALLOWED,
    ),
}


def pull(folder: Path, url: str, *options: str) -> Result:
    """Return how the command line ended; each request is tried once."""
    token = folder / "token"
    token.write_text(TOKEN)
    given = ["--retries=0", f"--token-file={token}", "--name=model", *reach(url), *options]
    return CliRunner().invoke(main, ["pull", url, str(folder / "store"), *given])


@pytest.mark.parametrize(("script", "reason"), ENDS.values(), ids=ENDS.keys())
@pytest.mark.parametrize("output", ["human", "json", "quiet"])
def test_a_fault_ends_with_its_exit_code(tmp_path: Path, script: Script, reason: Reason, output: str) -> None:
    """Every output names the reason and shows neither token nor signature; the store holds no wrong byte."""
    with evil_server(script) as cdn, evil_server(signed(cdn.url("/file"))) as origin:
        options = (f"--output={output}", CHECKSUM, *reach(cdn.url()))
        done = pull(tmp_path, origin.url(), *options)

    assert (reason.row.exit_code, True) == (done.exit_code, reason.value in done.output), done.output
    assert [] == [secret for secret in (*SECRETS, SIGNATURE) if secret in done.output]
    assert [] == damaged(tmp_path / "store")
    if output == "json":
        assert reason.value == json.loads(done.stdout.splitlines()[-1])["reason"]


def test_a_fault_that_passes_is_not_told(tmp_path: Path) -> None:
    """What trying again has mended is no error: exit code 0 and the path."""
    script = changed(good(LARGE), lambda answer: replace(answer, cut_at=5_000_000))
    with evil_server(script) as server:
        done = pull(tmp_path, server.url(), "--retries=3", "--output=quiet")

    assert (0, "") == (done.exit_code, done.stderr)
    assert LARGE == (Path(done.stdout.strip()) / "file").read_bytes()
