"""Rows 38, 39, 63 and 65: answers that are no file, and files that are other bytes."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from modelfetch.devcluster.hub import Corrupt, Cut, ETag, FixtureHub, Headers, Replace
from modelfetch.hashing import sha256_digest
from modelfetch.reasons import Reason
from tests.fakes.evil_server import Answer, Request, evil_server, file_answer, serve_file
from tests.rows.conftest import FILES, WEIGHTS
from tests.rows.ground import NAME, Ground, reach, require_published, require_refused

PAGE = b"<!DOCTYPE html><html><form action='/login'>please log in</form></html>"
HTML = (("Content-Type", "text/html; charset=utf-8"),)
HUGE_BYTES = 64 << 20
FLAT_KIB = 24 << 10
"""What the highest use of memory of two runs may differ by: far below what came, far above what differs anyway."""


@pytest.mark.parametrize("checksum", [[], [f"--checksum=model.gguf={sha256_digest(WEIGHTS)}"]], ids=["bare", "known"])
@pytest.mark.parametrize("chunked", [False, True])
def test_row_38_login_page_instead_of_a_file(ground: Ground, checksum: list[str], chunked: bool) -> None:
    """Row 38: a page for people under a file's address is FormatNotAllowed, whether or not its digest is known."""
    with evil_server(lambda _request: Answer(200, HTML, PAGE, chunked=chunked)) as server:
        outcome = ground.pull(server.url("/model.gguf"), *reach(server.url()), f"--name={NAME}", *checksum)

    require_refused(outcome, Reason.FORMAT_NOT_ALLOWED, "model.gguf", 'got a web page ("text/html", perhaps to log in)')


@pytest.mark.parametrize("where", [{"port": "cdn"}, {"path": "/resolve/.*/config.json"}, {"path": "/resolve/"}])
@pytest.mark.parametrize("pad", [False, True])
def test_row_38_login_page_instead_of_a_file_of_a_hub(
    ground: Ground, hub: FixtureHub, where: dict[str, str], pad: bool
) -> None:
    """Row 38: for a file of a hub, too, also where the page is as long as the file."""
    hub.fail(Replace(body=PAGE.decode(), pad=pad, content_type="text/html"), **where)  # type: ignore[arg-type]

    require_refused(ground.pull_from(hub, "org/name"), Reason.FORMAT_NOT_ALLOWED, "got a web page")


def test_row_38_the_right_bytes_under_a_wrong_name(ground: Ground, hub: FixtureHub) -> None:
    """Row 38: bytes that have their digest are the file, whatever the server calls them."""
    hub.fail(Headers(values={"Content-Type": "text/html"}), path="/resolve/")
    hub.fail(Headers(values={"Content-Type": "text/html"}), port="cdn")

    require_published(ground.pull_from(hub, "org/name"), FILES)


@pytest.mark.parametrize(
    "head",
    [
        b"X-Big: " + b"x" * (1 << 20) + b"\r\n",
        b"X-Many: x\r\n" * 10_000,
        b"X: \0\0\r\n",
        b"Content-Length: 1\r\nContent-Length: 2\r\n",
        b"Content-Length: 1e9\r\n",
        b"Content-Length: -1\r\n",
    ],
    ids=["1 MB", "10,000", "NUL", "two lengths", "no number", "negative"],
)
def test_row_39_headers_without_measure(ground: Ground, head: bytes) -> None:
    """Row 39: headers beyond all measure, or that contradict each other, are SourceUnavailable."""
    with evil_server(lambda _request: Answer(raw_head=b"HTTP/1.1 200 OK\r\n" + head + b"\r\n", body=b"xyz")) as server:
        outcome = ground.pull(server.url("/file"), *reach(server.url()), f"--name={NAME}")

    require_refused(outcome, Reason.SOURCE_UNAVAILABLE, server.url("/file"))


def version(number: int) -> bytes:
    """Return the content of a file that is another one each time."""
    return bytes([number]) * len(WEIGHTS)


def peak_kib(folder: Path, url: str) -> int:
    """Return the highest use of memory of a `modelfetch pull` in a process of its own."""
    command = [sys.executable, "-m", "modelfetch", "pull", url, str(folder), "--retries=0", *reach(url)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _pid, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss


def test_row_39_memory_stays_flat(tmp_path: Path) -> None:
    """Row 39: 64 MiB of one header, or of a small answer, take no more memory than an ordinary file does."""
    with (
        evil_server(serve_file(WEIGHTS)) as good,
        evil_server(lambda _: Answer(raw_head=b"HTTP/1.1 200 OK\r\nX: " + b"x" * HUGE_BYTES + b"\r\n\r\n")) as huge,
    ):
        ordinary = peak_kib(tmp_path / "good", good.url("/a"))
        attacked = peak_kib(tmp_path / "huge", huge.url("/a"))

    assert 1 == len(huge.requests)
    assert attacked - ordinary < FLAT_KIB


@pytest.mark.parametrize(
    "name", ["../../escaped", "/etc/escaped", "a\r\nSet-Cookie: x=1", "escaped\0", '"; filename="escaped', "nul"]
)
def test_row_39_name_in_a_header(ground: Ground, name: str) -> None:
    """Row 39: the file has the name that the user gave, whatever name a header has for it."""
    head = f'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Disposition: attachment; filename="{name}"\r\n\r\n'
    with evil_server(lambda _request: Answer(raw_head=head.replace("\0", "").encode(), body=b"x")) as server:
        outcome = ground.pull(server.url("/file"), *reach(server.url()), f"--name={NAME}")

    require_published(outcome, {"file": b"x"})


@pytest.mark.parametrize("offset", [0, len(WEIGHTS) // 2, -1])
def test_row_63_one_flipped_bit(ground: Ground, hub: FixtureHub, offset: int) -> None:
    """Row 63: wrong bytes of the right size are fetched twice more from their start, then it is final."""
    hub.fail(Corrupt(offset=offset), port="cdn")
    outcome = ground.pull_from(hub, "org/name")
    asked = [record for record in hub.requests if record.port == "cdn"]

    expected = sha256_digest(WEIGHTS).removeprefix("sha256:")
    require_refused(outcome, Reason.CHECKSUM_MISMATCH, "model.safetensors", f"expected sha256 {expected}, got ")
    assert [len(WEIGHTS)] * 3 == [record.bytes_sent for record in asked]


def test_row_63_one_flipped_bit_of_a_small_file(ground: Ground, hub: FixtureHub) -> None:
    """Row 63: a file that the hub lists by git's id is compared with that."""
    hub.fail(Corrupt(offset=0), path="/resolve/.*/config.json")

    require_refused(ground.pull_from(hub, "org/name"), Reason.CHECKSUM_MISMATCH, "config.json", "expected git blob")


@pytest.mark.parametrize("times", [1, 2])
def test_row_63_a_bit_that_flips_no_more(ground: Ground, hub: FixtureHub, times: int) -> None:
    """Row 63: damage that passes within three tries costs no more than time."""
    hub.fail(Corrupt(offset=5), port="cdn", count=times)

    require_published(ground.pull_from(hub, "org/name"), FILES)


def test_row_63_the_users_digest(ground: Ground, hub: FixtureHub) -> None:
    """Row 63: a digest that the user gives is believed more than the listing, before any byte is fetched."""
    outcome = ground.pull_from(hub, "org/name", f"--checksum=model.safetensors=sha256:{'0' * 64}")

    require_refused(outcome, Reason.CHECKSUM_MISMATCH, f"expected sha256:{'0' * 64}", "model.safetensors", "lists")
    assert [] == [record for record in hub.requests if record.port == "cdn"]


def test_row_63_what_was_verified_is_kept(ground: Ground, hub: FixtureHub) -> None:
    """Row 63: the next pull publishes, and what was right the first time is not asked for again."""
    rule = hub.fail(Corrupt(offset=0), path="/resolve/.*/config.json")
    require_refused(ground.pull_from(hub, "org/name", "--connections=1"), Reason.CHECKSUM_MISMATCH)
    hub.rules.remove(rule)

    require_published(ground.pull_from(hub, "org/name"), FILES)
    assert 1 == len([record for record in hub.requests if record.port == "cdn"])


def test_row_65_file_that_does_not_keep_still(ground: Ground) -> None:
    """Row 65: a file by URL that changes with every answer is taken from one answer, never joined from several."""

    def ever_new(request: Request) -> Answer:
        whole = file_answer(request, version(request.number), f'"{request.number}"')
        return replace(whole, cut_at=50_000) if request.number < 3 else whole

    with evil_server(ever_new) as server:
        outcome = ground.pull(server.url("/file"), *reach(server.url()), f"--name={NAME}", "--retries=3")

    require_published(outcome, {"file": version(len(server.requests) - 1)})
    assert len(server.requests) > 3


def test_row_65_a_new_version_in_between(ground: Ground, hub: FixtureHub) -> None:
    """Row 65: after a cut the rest of another version is not joined to the first half."""
    hub.fail(Cut(after=50_000), port="cdn", nth=1)
    hub.fail(ETag(value='"other"'), port="cdn", nth=2)

    require_published(ground.pull_from(hub, "org/name", "--retries=2"), FILES)
