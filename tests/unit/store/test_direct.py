"""Writes past the page cache: the same bytes in the file, whatever their size, place and memory."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelfetch.pages import pages
from modelfetch.store.direct import BLOCK_BYTES, LEAST_BYTES, DirectAccess
from modelfetch.store.fs import Filesystem, Volume

SIZE = LEAST_BYTES + 1
TOLD_BY_STAT = {"ext2/ext3", "xfs"}
"""What stat(1) calls the file systems that take direct writes."""


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Volume]:
    with Filesystem().open(str(tmp_path / "store")) as opened:
        yield opened


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield opened
    os.close(opened)


def takes_direct(folder: Path) -> bool:
    """Tell whether writes in the folder go past the cache."""
    told = subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True, text=True, check=True)
    return told.stdout.strip() in TOLD_BY_STAT


def random_pages(size: int, skip: int = 0) -> memoryview:
    """Return `size` random bytes that start `skip` bytes after a page."""
    room = memoryview(pages(size + skip))[skip:]
    room[:] = os.urandom(size)
    return room


@settings(max_examples=60, deadline=None)
@given(
    writes=st.lists(
        st.tuples(
            st.integers(0, 3).map(lambda blocks: blocks * BLOCK_BYTES) | st.integers(0, 20_000),
            st.sampled_from([1, BLOCK_BYTES, LEAST_BYTES - 1, LEAST_BYTES, SIZE, LEAST_BYTES + 3 * BLOCK_BYTES + 17]),
            st.sampled_from([0, 16]),
        ),
        max_size=6,
    )
)
def test_the_file_has_what_was_written_last(
    tmp_path_factory: pytest.TempPathFactory, writes: list[tuple[int, int, int]]
) -> None:
    """Direct writes and those through the cache, over each other in any order, leave what plain writes would.

    So read both ways.
    """
    expected = bytearray()
    with Filesystem().open(str(tmp_path_factory.mktemp("direct"))) as volume:
        file = volume.create(("file",), step="s")
        for offset, size, skip in writes:
            data = random_pages(size, skip)
            file.write_at(offset, data, step="s")
            expected[len(expected) :] = bytes(max(0, offset + size - len(expected)))
            expected[offset : offset + size] = data
        rooms = memoryview(bytearray(len(expected) + 1)), random_pages(len(expected) + LEAST_BYTES)
        read = [bytes(room[: file.read_at(0, room, step="s")]) for room in rooms]
        file.finish(step="s")

    assert [expected, expected] == read


def test_whole_blocks_go_past_the_cache(tmp_path: Path, fd: int) -> None:
    """Where the file system is known, all but the last bytes of a large write are taken; elsewhere nothing is."""
    access = DirectAccess(fd)
    taken = access.write_some(random_pages(SIZE), 0)
    access.close()

    assert taken == (LEAST_BYTES if takes_direct(tmp_path) else None)


def test_nothing_is_taken_in_memory() -> None:
    """A file system in memory has no disk to write to."""
    fd = os.memfd_create("file")
    taken = DirectAccess(fd).write_some(random_pages(SIZE), 0)
    os.close(fd)

    assert taken is None


@pytest.mark.parametrize(("size", "offset"), [(LEAST_BYTES - 1, 0), (SIZE, 1)], ids=["small", "between blocks"])
def test_what_does_not_pay_or_fit_is_left(fd: int, size: int, offset: int) -> None:
    """Small writes, and those that begin between two blocks, go through the cache; a later one may pass it."""
    access = DirectAccess(fd)

    assert access.write_some(random_pages(size), offset) is None


def test_memory_off_a_page_is_refused_once(volume: Volume, fd: int) -> None:
    """The kernel does not take it: nothing is written, and nothing is tried again."""
    access = DirectAccess(fd)
    first = access.write_some(random_pages(SIZE, skip=16), 0)
    second = access.write_some(random_pages(SIZE), 0)
    access.close()

    assert (None, None, 0) == (first, second, os.fstat(fd).st_size)
