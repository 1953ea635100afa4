"""Lending buffers: never more than there are, and used again."""

import threading
from mmap import mmap

from modelfetch.transfer.buffers import Buffers


def never() -> bool:
    """Nobody gives up."""
    return False


def test_lends_at_most_its_count() -> None:
    """With all buffers lent, one who gives up gets none."""
    buffers = Buffers(2, 8)
    lent = [buffers.take(never) for _ in range(2)]
    more = buffers.take(lambda: True)

    assert ([8, 8], None) == ([len(buffer or b"") for buffer in lent], more)


def test_uses_a_buffer_again() -> None:
    """A buffer that was given back is the one that is lent next."""
    buffers = Buffers(1, 8)
    first = buffers.take(never)
    assert first is not None
    buffers.give(first)
    second = buffers.take(never)

    assert first is second


def test_waits_for_a_buffer() -> None:
    """Who waits gets the buffer that another thread gives back."""
    buffers = Buffers(1, 8)
    first = buffers.take(never)
    assert first is not None
    got: list[mmap | None] = []
    waiter = threading.Thread(target=lambda: got.append(buffers.take(never)))
    waiter.start()
    buffers.give(first)
    waiter.join()

    assert first is got[0]
