"""A Reader that tells the size of a file whose listing did not, as soon as the server says it."""

from collections.abc import Callable
from dataclasses import dataclass

from modelfetch.transfer.reader import Identity, IsOver, Opened, Reader, Sink, Span, never


@dataclass(frozen=True)
class SizedReader:
    """Wraps `reader`; `learn` takes the size in bytes whenever an answer states it."""

    reader: Reader
    learn: Callable[[int], None]

    def read(self, span: Span, sink: Sink, expected: Identity | None, opened: Opened, is_over: IsOver = never) -> None:
        """Read as the wrapped reader does."""

        def opened_and_learnt(identity: Identity) -> None:
            opened(identity)
            if identity.size is not None:
                self.learn(identity.size)

        self.reader.read(span, sink, expected, opened_and_learnt, is_over)
