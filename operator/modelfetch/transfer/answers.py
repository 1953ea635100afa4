"""What a server's answer means: header lines in, typed heads and FetchErrors out. No I/O.

Comes before: curl.py, which feeds the lines as they arrive. Comes after: http_reader.py and the sources, which ask a
`Head` for the version, the range and the error that it states.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.reader import Identity
from modelfetch.transfer.url import Url

HEADER_BYTES_LIMIT = 64 * 1024
HEADER_COUNT_LIMIT = 256
"""Bounds of one answer's headers; hubs send about 40 of 6 KiB."""

RETRY_AFTER_CAP_S = 300.0
"""The longest wait that a server is granted: the window of the Hugging Face Hub's rate limits."""

RETRY_AFTER_ABSURD_S = 86_400.0
"""A request for more than a day is a mistake of the server, and treated as if it had asked for nothing."""

STRONG_AGE_S = 60.0
"""A Last-Modified date this much older than the answer tells versions apart (RFC 9110, 8.8.2.2; 60 s by gut)."""

_STATUS_LINE = re.compile(rb"HTTP/([0-9.]+) ([1-9][0-9]{2})(?: |\r|\n|$)")
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]*"')
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)

_HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
_HTML_NAMES = (".html", ".htm", ".xhtml")

_REASONS = {
    401: Reason.SOURCE_UNAUTHORIZED,
    402: Reason.SOURCE_FORBIDDEN,
    403: Reason.SOURCE_FORBIDDEN,
    404: Reason.SOURCE_NOT_FOUND,
    410: Reason.SOURCE_NOT_FOUND,
    429: Reason.RATE_LIMITED,
    451: Reason.SOURCE_FORBIDDEN,
}

TRANSIENT_STATUSES = frozenset({408, 425, 429}) | frozenset(range(500, 600))
"""Answers after which the same request may succeed later."""


_BUSY = frozenset({429, 503})


class Busy(FetchError):
    """The server asks for fewer requests."""


@dataclass(frozen=True)
class ContentRange:
    """Bytes [start, end) of `total`; None where the server wrote `*`."""

    start: int
    end: int
    total: int | None


@dataclass(frozen=True)
class Head:
    """Status and headers of the answer that counts, and the address that gave it; names are lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    url: Url
    redirects: int = 0
    version: str = "1.1"
    """Of HTTP."""

    def get(self, name: str) -> str | None:
        """Return the header `name` (lower case), repeated ones joined by a comma, or None."""
        values = [value for key, value in self.headers if key == name]
        return ", ".join(values) if values else None

    @property
    def is_redirect(self) -> bool:
        """Whether this answer sends elsewhere."""
        return self.status in {301, 302, 303, 307, 308}

    @property
    def content_type(self) -> str:
        """The media type in lower case, without parameters; empty when absent."""
        return (self.get("content-type") or "").partition(";")[0].strip().lower()

    @property
    def length(self) -> int | None:
        """The body's length as stated, None when it is not."""
        value = self.get("content-length")
        stated = value is not None and _DIGITS.fullmatch(value) and self.get("transfer-encoding") is None
        return int(value) if stated and value is not None else None

    @property
    def has_end(self) -> bool:
        """Whether a body that was cut can be told from a whole one; one that ends with its connection cannot."""
        chunked = "chunked" in (self.get("transfer-encoding") or "").lower()
        return self.length is not None or chunked or not self.version.startswith("1.")

    @property
    def content_range(self) -> ContentRange | None:
        """The range that a 206 says it carries, None when it says nothing or nonsense."""
        match = _CONTENT_RANGE.fullmatch((self.get("content-range") or "").strip())
        if match is None or int(match[2]) < int(match[1]):
            return None
        total = None if match[3] == "*" else int(match[3])
        if total is not None and int(match[2]) >= total:
            return None
        return ContentRange(int(match[1]), int(match[2]) + 1, total)

    def identity(self) -> Identity:
        """Return which version of the file this is, by strong validators only."""
        etag = self.get("etag")
        carried = self.content_range if self.status == 206 else None
        size = carried.total if carried is not None else (self.length if self.status == 200 else None)
        return Identity(
            etag=etag if etag is not None and _STRONG_ETAG.fullmatch(etag) else None,
            last_modified=self._strong_last_modified(),
            size=size,
            web_page=self.web_page,
            serves_parts=self.status == 206 or (self.get("accept-ranges") or "").strip().lower() == "bytes",
            is_shared=self.version == "2",
        )

    @property
    def web_page(self) -> str | None:
        """The media type where it is a web page's and the address does not end in one's name, else None."""
        is_page = self.content_type in _HTML_TYPES and not self.url.path.lower().endswith(_HTML_NAMES)
        return self.content_type if is_page else None

    def _strong_last_modified(self) -> str | None:
        value, changed, sent = self.get("last-modified"), self.date("last-modified"), self.date("date")
        if changed is None or sent is None:
            return None
        return value if (sent - changed).total_seconds() >= STRONG_AGE_S else None

    def date(self, name: str) -> datetime | None:
        """Return the HTTP date in the header `name`, or None where there is none that can be read."""
        return _parse_date(self.get(name) or "")

    def retry_after_s(self, now: datetime) -> float | None:
        """Return how long the server asks to wait, in seconds, at most RETRY_AFTER_CAP_S; None when it does not say.

        A date is compared with the answer's own Date where it has one (both are the server's clock), else with `now`.
        A date in the past is 0.
        """
        value = (self.get("retry-after") or "").strip()
        if _DIGITS.fullmatch(value):
            delay = float(value)
        elif (until := _parse_date(value)) is not None:
            delay = max(0.0, (until - (self.date("date") or now)).total_seconds())
        else:
            return None
        return None if delay > RETRY_AFTER_ABSURD_S else min(delay, RETRY_AFTER_CAP_S)

    def error(self, now: datetime) -> FetchError | None:
        """Return what this status means for a request that expected content, None for 2xx."""
        if 200 <= self.status < 300:
            return None
        reason = _REASONS.get(self.status, Reason.SOURCE_UNAVAILABLE)
        delay = self.retry_after_s(now) if self.status in TRANSIENT_STATUSES else None
        kind = Busy if self.status in _BUSY else FetchError
        return kind(reason, f'expected the file, got status {self.status} from "{self.url.where}"', retry_after_s=delay)


def no_web_page(expected: str, kind: str, detail: str) -> FetchError:
    """Return the error of a web page of the media type `kind` in place of what was `expected`."""
    return FetchError(
        Reason.FORMAT_NOT_ALLOWED, f'expected {expected}, got a web page ("{kind}", perhaps to log in){detail}'
    )


@dataclass(frozen=True)
class Response:
    """A small answer with its whole body."""

    head: Head
    body: bytes

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.head.status


class HeaderLines:
    """Collects the header lines of one request's answer, within bounds."""

    def __init__(self, url: Url, redirects: int) -> None:
        self._url = url
        self._redirects = redirects
        self._bytes = 0
        self._count = 0
        self._status: int | None = None
        self._version = ""
        self._headers: list[tuple[str, str]] = []
        self._done = False

    def add(self, line: bytes) -> Head | None:
        """Take the next line; return the head when it is complete and not an interim (1xx) one.

        Raises FetchError(SourceUnavailable) past the bounds. Lines after the head (trailers) are counted and dropped.
        """
        self._count += 1
        self._bytes += len(line)
        if self._bytes > HEADER_BYTES_LIMIT or self._count > HEADER_COUNT_LIMIT:
            raise FetchError(
                Reason.SOURCE_UNAVAILABLE,
                f"expected at most {HEADER_COUNT_LIMIT} headers of {HEADER_BYTES_LIMIT} bytes, "
                f'got more from "{self._url.where}"',
            )
        if self._done:
            return None
        if line.strip(b"\r\n"):
            self._take(line)
            return None
        return self._finish()

    def _take(self, line: bytes) -> None:
        start = _STATUS_LINE.match(line)
        if self._status is None and start is not None:
            self._version, self._status = start[1].decode(), int(start[2])
            return
        name, _colon, value = line.decode("latin-1").partition(":")
        self._headers.append((name.strip().lower(), value.strip()))

    def _finish(self) -> Head | None:
        status, headers = self._status, tuple(self._headers)
        self._status, self._headers = None, []
        if status is None or status < 200:
            return None
        self._done = True
        return Head(status, headers, self._url, self._redirects, self._version)


def _parse_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
