"""The seam between sources and the engine: ranged bytes of one remote file.

A source makes a `Reader` for each file of its listing; the engine calls it from its threads. A reader opens one
request per call, checks what the server claims before it hands on the first byte, and classifies every error of its
library as a FetchError; the engine decides about retries, resume and hashing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

Sink = Callable[[memoryview], None]
"""Takes the next bytes in order; the memory is valid during the call only. May raise to stop the transfer."""


@dataclass(frozen=True)
class Identity:
    """Which version of a remote file was served.

    Two answers with different identities must never be stitched together. `etag` is a strong validator or None.
    `last_modified` is a date old enough to tell versions apart, or None. `size` is the whole file's size in bytes,
    None when the server did not say. `web_page` is the media type of an answer that is called a page for people while
    the file is not, None for all others. The rest says how the server can be asked, and tells no versions apart:
    whether it serves parts, and whether one connection carries several requests at once.
    """

    etag: str | None = None
    last_modified: str | None = None
    size: int | None = None
    web_page: str | None = None
    serves_parts: bool = field(default=False, compare=False)
    is_shared: bool = field(default=False, compare=False)

    @property
    def is_strong(self) -> bool:
        """Whether a later range can be asked for on the condition that this is still the version."""
        return self.etag is not None or self.last_modified is not None


IsOver = Callable[[], bool]
"""Tells, at any time, whether nobody wants the bytes any more."""


def never() -> bool:
    """Return False: the bytes are wanted to the end."""
    return False


Opened = Callable[[Identity], None]
"""Told once what is being served, before any byte. May raise to refuse it."""


@dataclass(frozen=True)
class Span:
    """Bytes [start, end) of a file; end None means to its end."""

    start: int = 0
    end: int | None = None


class Reader(Protocol):
    """Bytes of one remote file, by range; safe to use from several threads."""

    def read(self, span: Span, sink: Sink, expected: Identity | None, opened: Opened, is_over: IsOver = never) -> None:
        """Tell `opened` what is served, then hand the bytes of `span` to `sink` in order.

        With `expected`, the request carries If-Range and the answer must be of that identity, else SourceChanged is
        raised before any byte. Without it the file starts over: nothing learnt by earlier reads (an address after
        redirects, an open connection) is used. When the server ignores the range of a `span` that starts after 0 or
        ends before the file does, or answers with another one, raises RangeIgnored before any byte.
        Returns normally only when the span came whole: a short body is SourceUnavailable, a long one SizeMismatch, a
        span below the minimum rate SourceStalled. Raises FetchError with `retry_after_s` where the server asked for a
        delay. Whatever `opened` and `sink` raise is raised. Soon after `is_over` became true, Cancelled is raised, also
        where no byte comes.
        """


class RangeIgnored(Exception):
    """The server cannot be relied on for parts of this file: no error, the engine takes one stream from 0."""
