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
    `last_modified` is a date old enough to tell versions apart, or None. `size` is the whole file's size in bytes,
    None when the server did not say. `web_page` is the media type of an answer that is called a page for people while
    the file is not, None for all others.
    """

    etag: str | None = None
    last_modified: str | None = None
    size: int | None = None
    web_page: str | None = None

    @property
    def is_strong(self) -> bool:
        """Whether a later range can be asked for on the condition that this is still the version."""
        return self.etag is not None or self.last_modified is not None


Opened = Callable[[Identity], None]
"""Told once what is being served, before any byte. May raise to refuse it."""


@dataclass(frozen=True)
class Span:
    """Bytes [start, end) of a file; end None means to its end."""

    start: int = 0
    end: int | None = None


class Reader(Protocol):
    """Bytes of one remote file, by range; safe to use from several threads."""

    def read(self, span: Span, sink: Sink, expected: Identity | None, opened: Opened) -> None:
        """Tell `opened` what is served, then hand the bytes of `span` to `sink` in order.

        With `expected`, the request carries If-Range and the answer must be of that identity, else SourceChanged is
        raised before any byte. Without it the file starts over: nothing learnt by earlier reads (an address after
        redirects, an open connection) is used. When the server ignores the range of a `span` that starts after 0 or
        ends before the file does, or answers with another one, raises RangeIgnored before any byte.
        Returns normally only when the span came whole: a short body is SourceUnavailable, a long one SizeMismatch, a
        span below the minimum rate SourceStalled. Raises FetchError with `retry_after_s` where the server asked for a
        delay. Whatever `opened` and `sink` raise is raised.
        """


class RangeIgnored(Exception):
    """The server cannot be relied on for parts of this file: no error, the engine takes one stream from 0."""
