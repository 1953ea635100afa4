"""The journal on the volume: lines in the order in which they were appended, durable when it says so."""

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store.fs import Filesystem, Volume
from modelfetch.store.journal import Claim, Granted, Head, Settled, decode, encode
from modelfetch.store.journal_file import JournalFile
from modelfetch.store.processes import Process

PATH = ("journal",)
HEAD = Head("a", "o", Process("b", "n", 1, 1))


@pytest.fixture
def steps() -> list[str]:
    return []


@pytest.fixture
def volume(tmp_path: Path, steps: list[str]) -> Iterator[Volume]:
    with Filesystem(steps.append).open(str(tmp_path)) as opened:
        yield opened


@pytest.fixture
def journal(volume: Volume) -> Iterator[JournalFile]:
    file = JournalFile(volume.create(PATH, step="create"))
    yield file
    file.close()


def test_records_stand_in_the_file_at_once(journal: JournalFile, tmp_path: Path) -> None:
    """A kill after `append` loses nothing: the lines are the file's, one after the other."""
    journal.append([HEAD, Granted()])
    journal.append([])
    journal.append([Settled("k")])

    assert encode([HEAD, Granted(), Settled("k")]) == (tmp_path / "journal").read_bytes()


def test_threads_do_not_mix_their_lines(journal: JournalFile, tmp_path: Path) -> None:
    """Whoever appends, each line is whole and counts once."""
    journal.append([HEAD])

    def append_many(name: int) -> None:
        for number in range(50):
            journal.append([Claim(f"{name}-{number}", number, 1.0)])

    threads = [threading.Thread(target=append_many, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log = decode((tmp_path / "journal").read_bytes())

    assert log is not None
    assert {f"{name}-{n}" for name in range(4) for n in range(50)} == log.claims.keys()


def test_a_sync_is_asked_only_where_there_is_something(journal: JournalFile, steps: list[str]) -> None:
    """An attempt that waits makes no disk busy."""
    journal.append([HEAD])
    journal.sync()
    journal.sync()
    journal.append([Granted()])
    journal.sync()

    assert 2 == steps.count("after journal.sync")


def test_a_sign_of_life_changes_the_time_alone(journal: JournalFile, tmp_path: Path) -> None:
    """Others see by the file's time that the attempt is at work, and by its size that it gets on."""
    journal.append([HEAD])
    file = tmp_path / "journal"
    os.utime(file, (1, 1))
    journal.beat()

    assert (encode([HEAD]), True) == (file.read_bytes(), file.stat().st_mtime > 1)


def test_a_full_volume_leaves_no_gap(tmp_path: Path) -> None:
    """A line that did not fit is no line; the next one stands where it would have stood."""
    failing = iter([OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))])

    def hook(step: str) -> None:
        if step == "before journal.append" and is_full.is_set():
            raise next(failing)

    is_full = threading.Event()
    with Filesystem(hook).open(str(tmp_path)) as volume:
        journal = JournalFile(volume.create(PATH, step="create"))
        journal.append([HEAD])
        is_full.set()
        with pytest.raises(FetchError) as raised:
            journal.append([Granted()])
        is_full.clear()
        journal.append([Settled("k")])
        journal.close()

    assert (Reason.INSUFFICIENT_STORAGE, encode([HEAD, Settled("k")])) == (
        raised.value.reason,
        (tmp_path / "journal").read_bytes(),
    )


def test_a_journal_whose_sync_failed_takes_no_more(tmp_path: Path) -> None:
    """What it says could be lost without a word: the attempt learns it with its next record."""

    def hook(step: str) -> None:
        if step == "before journal.sync":
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with Filesystem(hook).open(str(tmp_path)) as volume:
        journal = JournalFile(volume.create(PATH, step="create"))
        journal.append([HEAD])
        with pytest.raises(FetchError):
            journal.sync()
        with pytest.raises(FetchError) as raised:
            journal.append([Granted()])
        journal.close()

    assert Reason.STORAGE_IO_ERROR == raised.value.reason
