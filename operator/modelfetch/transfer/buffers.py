"""A bounded number of equal buffers, so that memory stays the same whatever the size of a file."""

from collections.abc import Callable
from threading import Condition

_LOOK_S = 0.2


class Buffers:
    """Lends buffers of `size` bytes, at most `count` at a time; made when first needed, then used again."""

    def __init__(self, count: int, size: int) -> None:
        self._size = size
        self._unmade = count
        self._free: list[bytearray] = []
        self._changed = Condition()

    def take(self, give_up: Callable[[], bool]) -> bytearray | None:
        """Return a buffer, waiting for one while `give_up` is false; None when it became true."""
        with self._changed:
            while not self._free and not self._unmade:
                if give_up():
                    return None
                # Looked at from time to time: what makes us give up does not know this condition.
                self._changed.wait(_LOOK_S)
            if self._free:
                return self._free.pop()
            self._unmade -= 1
            return bytearray(self._size)

    def give(self, buffer: bytearray) -> None:
        """The buffer may be lent again; the caller has no view of it any more."""
        with self._changed:
            self._free.append(buffer)
            self._changed.notify()
