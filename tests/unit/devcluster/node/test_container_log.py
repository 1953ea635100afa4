"""Logs as `kubectl logs` asks for them."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelfetch.devcluster.node.container_log import LINE_LIMIT_BYTES, ContainerLog, LogQuery
from tests.unit.devcluster.node.samples import NOW, run


def write(path: Path, pieces: Sequence[bytes], limit_bytes: int = 1 << 20) -> ContainerLog:
    """Return a closed log that was given these pieces, a second apart."""
    moments = iter(NOW + timedelta(seconds=number) for number in range(len(pieces) + 9))
    log = ContainerLog(path / "0.log", lambda: next(moments), limit_bytes)
    for piece in pieces:
        log.append("stdout", piece)
    log.close()
    return log


async def collect(log: ContainerLog, query: LogQuery) -> bytes:
    """Return all that a reader gets."""
    return b"".join([piece async for piece in log.read(query)])


def read(log: ContainerLog, query: LogQuery) -> bytes:
    """Return all that a reader gets."""
    return run(collect(log, query))


PIECES = [b"one\ntw", b"o\n", b"\n", b"three\nfour"]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (LogQuery(), b"one\ntwo\n\nthree\nfour"),
        (LogQuery(follow=True), b"one\ntwo\n\nthree\nfour"),
        (LogQuery(tail=0), b""),
        (LogQuery(tail=1), b"four"),
        (LogQuery(tail=3), b"\nthree\nfour"),
        (LogQuery(tail=99), b"one\ntwo\n\nthree\nfour"),
        (LogQuery(limit_bytes=5), b"one\nt"),
        (LogQuery(limit_bytes=0), b""),
        (LogQuery(tail=2, limit_bytes=6), b"three\n"),
        (LogQuery(since=NOW + timedelta(seconds=2)), b"\nthree\nfour"),
        (
            LogQuery(tail=2, timestamps=True),
            b"2030-01-02T03:04:08.000000Z three\n2030-01-02T03:04:09.000000Z four",
        ),
    ],
)
def test_read(tmp_path: Path, query: LogQuery, text: bytes) -> None:
    """A reader gets what it asks for."""
    actual = read(write(tmp_path, PIECES), query)

    assert text == actual


@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(0, 30))
@settings(max_examples=60)
def test_output_comes_back(tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], lines: int) -> None:
    """Whatever is written is read, whole and from the end."""
    log, whole = write(tmp_path_factory.mktemp("log"), pieces), b"".join(pieces)

    actual = read(log, LogQuery()), read(log, LogQuery(tail=lines))

    kept = whole.splitlines(keepends=True) if b"\r" not in whole else None
    assert whole == actual[0]
    assert whole.endswith(actual[1])
    assert kept is None or actual[1].count(b"\n") <= lines


def test_a_long_line_stays_one_line(tmp_path: Path) -> None:
    """A line beyond the limit is kept in pieces that read as one line."""
    line = b"x" * (2 * LINE_LIMIT_BYTES + 5)

    actual = read(write(tmp_path, [line[:7], line[7:], b"\nnext\n"]), LogQuery())

    assert line + b"\nnext\n" == actual


def test_a_log_is_bounded(tmp_path: Path) -> None:
    """A log keeps its end, in two files of about half the limit."""
    log = write(tmp_path, [b"%d\n" % number for number in range(1000)], limit_bytes=4000)

    sizes = sum(path.stat().st_size for path in tmp_path.iterdir())
    actual = read(log, LogQuery(tail=3)), read(log, LogQuery()).startswith(b"0\n"), sizes <= 4000
    assert (b"997\n998\n999\n", False, True) == actual


def test_tail_across_the_files(tmp_path: Path) -> None:
    """The last lines are found where the newer file holds too few of them."""
    log = write(tmp_path, [b"%04d\n" % number for number in range(1000)], limit_bytes=4000)
    everything = read(log, LogQuery()).splitlines(keepends=True)

    actual = [read(log, LogQuery(tail=lines)) for lines in range(len(everything) + 1)]

    assert [b"".join(everything[len(everything) - lines :]) for lines in range(len(everything) + 1)] == actual


def test_followers_see_everything(tmp_path: Path) -> None:
    """Readers that follow get every line once and end with the log."""

    async def scenario() -> list[bytes]:
        log = ContainerLog(tmp_path / "0.log", lambda: NOW)
        log.append("stdout", b"before\n")
        readers = [asyncio.create_task(collect(log, LogQuery(follow=True))) for _ in range(2)]
        for number in range(50):
            log.append("stderr", b"%d\n" % number)
            await asyncio.sleep(0)
        log.close()
        return await asyncio.gather(*readers)

    actual = run(scenario())

    assert [b"before\n" + b"".join(b"%d\n" % number for number in range(50))] * 2 == actual


def test_termination_fallback(tmp_path: Path) -> None:
    """The end of a log, for a termination message, is bounded in lines and in bytes."""
    log = write(tmp_path, PIECES)

    actual = log.tail(lines=2, limit_bytes=100), log.tail(lines=9, limit_bytes=6)

    assert (b"three\nfour", b"e\nfour") == actual


def test_a_log_that_is_gone(tmp_path: Path) -> None:
    """A reader that comes after the Pod's folder went sees the end, no error."""
    log = write(tmp_path, PIECES)
    for path in tmp_path.iterdir():
        path.unlink()

    actual = read(log, LogQuery(follow=True)), read(log, LogQuery(tail=2))

    assert (b"", b"") == actual
