"""The seam between sources and the engine: ranged bytes of one remote file.

A source makes a `Reader` for each file of its listing; the engine calls it from its threads. A reader opens one
request per call, checks what the server claims before it hands on the first byte, and classifies every error of its
library as a FetchError; the engine decides about retries, resume and hashing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

Sink = Callable[[memoryview], None]
"""Takes the next bytes in order; the memory is valid during the call only. May raise to stop the transfer."""


@dataclass(frozen=True)
class Identity:
    """Which version of a remote file was served.

    Two answers with different identities must never be stitched together. `etag` is a strong validator or None.
    `size` is the whole file's size in bytes, None when the server did not say.
    """

    etag: str | None = None
    last_modified: str | None = None
    size: int | None = None


@dataclass(frozen=True)
class Span:
    """Bytes [start, end) of a file; end None means to its end."""

    start: int = 0
    end: int | None = None


class Reader(Protocol):
    """Bytes of one remote file, by range; safe to use from several threads."""

    def read(self, span: Span, sink: Sink, expected: Identity | None) -> Identity:
        """Hand the bytes of `span` to `sink` in order and return what was served.

        With `expected`, the request carries If-Range and the answer must be of that identity, else SourceChanged is
        raised before any byte reaches the sink. When the server ignores the range of a `span` that starts after 0 or
        ends before the file does, raises RangeIgnored before any byte. Returns normally only when the span came whole:
        a short or long body is SizeMismatch or SourceUnavailable, a span below the minimum rate is SourceStalled.
        Raises FetchError with `retry_after_s` where the server asked for a delay.
        """


class RangeIgnored(Exception):
    """The server answered a request for a part with the whole file: no error, the engine takes one stream from 0."""
