"""A bounded number of equal buffers, so that memory stays the same whatever the size of a file."""

from collections.abc import Callable
from mmap import mmap
from threading import Condition

from modelfetch.pages import pages

_LOOK_S = 0.2

Relief = Callable[[], bool]
"""Gives back a buffer whose content can be had otherwise; returns False where there is none."""


class Buffers:
    """Lends buffers of `size` bytes, at most `count` at a time; made when first needed, then used again."""

    def __init__(self, count: int, size: int) -> None:
        self._size = size
        self._unmade = count
        self._free: list[mmap] = []
        self._reliefs: list[Relief] = []
        self._changed = Condition()

    @property
    def is_short(self) -> bool:
        """Whether the last buffer is lent: whoever only keeps one should give it back."""
        return not self._free and not self._unmade

    def relieve_by(self, relief: Relief) -> None:
        """From now on `relief` is called when somebody finds no buffer."""
        with self._changed:
            self._reliefs.append(relief)

    def forget(self, relief: Relief) -> None:
        """`relief` is not called any more, except by those who are about to."""
        with self._changed:
            self._reliefs.remove(relief)

    def take(self, give_up: Callable[[], bool]) -> mmap | None:
        """Return a buffer, waiting for one while `give_up` is false; None when it became true."""
        while (buffer := self._take_free()) is None:
            if give_up():
                return None
            if not any(relief() for relief in tuple(self._reliefs)):
                self._wait()
        return buffer

    def give(self, buffer: mmap) -> None:
        """The buffer may be lent again; the caller has no view of it any more."""
        with self._changed:
            self._free.append(buffer)
            self._changed.notify()

    def _take_free(self) -> mmap | None:
        with self._changed:
            if self._free:
                return self._free.pop()
            if not self._unmade:
                return None
            self._unmade -= 1
            return pages(self._size)

    def _wait(self) -> None:
        with self._changed:
            if self.is_short:
                # Looked at from time to time: what makes us give up does not know this condition.
                self._changed.wait(_LOOK_S)
