"""The Reader of a file behind an HTTP address: ranges, conditions and identities by RFC 9110.

Comes before: sources, which know the address and what an error of their hub means. Comes after: engine.py.
An address that redirects (a hub's to its CDN) is resolved once and its target used for further ranges; when that stops
working (signed addresses expire) it is resolved again.
"""

from collections.abc import Callable
from dataclasses import dataclass

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.answers import Head, no_web_page
from modelfetch.transfer.curl import Request, Session
from modelfetch.transfer.guard import Credential, Url
from modelfetch.transfer.reader import Identity, IsOver, Opened, RangeIgnored, Sink, Span, never
from modelfetch.transfer.segments import SEGMENT_BYTES

RESOLUTIONS = 3
"""How often one read may ask the source's own address where the file is."""

_EXPIRED = frozenset({400, 401, 403, 404, 410})
"""What storage services answer to a signed address that is no longer valid."""

Classify = Callable[[Head], FetchError | None]
"""What an error status of the source's own address means there; None for the ordinary meaning."""


@dataclass(frozen=True)
class _Place:
    """Where to ask; `resolved` where an earlier redirect led here."""

    url: Url
    credential: Credential | None
    resolved: bool
    fresh: bool


@dataclass(frozen=True)
class _Wanted:
    """What one read is asked for."""

    span: Span
    expected: Identity | None
    is_over: IsOver


class _Expired(Exception):
    def __init__(self, error: FetchError) -> None:
        super().__init__(error.message)
        self.error = error


class HttpReader:
    """Reads one file; `compared` says whether its size or digest is known.

    Else a web page in its place is refused, and a body whose end is only that of its connection. A file whose listed
    `size` is below a segment may come over a connection that others use at the same time.
    """

    def __init__(
        self,
        session: Session,
        url: Url,
        credential: Credential | None = None,
        *,
        compared: bool = True,
        classify: Classify | None = None,
        size: int | None = None,
    ) -> None:
        self._session = session
        self._url = url
        self._credential = credential
        self._compared = compared
        self._classify = classify
        self._is_small = size is not None and size < SEGMENT_BYTES
        self._resolved: _Place | None = None
        self._used = False

    def read(self, span: Span, sink: Sink, expected: Identity | None, opened: Opened, is_over: IsOver = never) -> None:
        """Hand over the bytes of `span`, as Reader.read says; a signed address that expired is resolved again."""
        resolutions = 0
        while True:
            place = self._place(expected)
            resolutions += not place.resolved
            try:
                return self._read_at(place, _Wanted(span, expected, is_over), sink, opened)
            except _Expired as expired:
                self._resolved = None
                if resolutions >= RESOLUTIONS:
                    raise expired.error from None
            except FetchError:
                # Another node of the CDN may do better.
                self._resolved = None
                raise

    def _place(self, expected: Identity | None) -> _Place:
        if expected is not None and self._resolved is not None:
            return self._resolved
        fresh, self._used = self._used and expected is None, True
        return _Place(self._url, self._credential, resolved=False, fresh=fresh)

    def _read_at(self, place: _Place, wanted: "_Wanted", sink: Sink, opened: Opened) -> None:
        body = _Body(sink, self._url)

        def judge(head: Head) -> Sink:
            self._require_success(head, place)
            body.extent = _checked_extent(head, wanted.span, wanted.expected)
            self._require_file(head)
            if head.redirects:
                self._resolved = _resolved_place(head, place)
            opened(head.identity())
            return body.take

        headers = _conditions(wanted.span, wanted.expected)
        request = Request(
            place.url,
            "GET",
            headers,
            place.credential,
            fresh=place.fresh,
            is_small=self._is_small,
            is_large=not self._is_small,
            is_over=wanted.is_over,
        )
        self._session.stream(request, judge)
        body.require_whole()

    def _require_success(self, head: Head, place: _Place) -> None:
        error = head.error(self._session.clock.now())
        if error is None or head.status == 416:
            return
        at_source = head.url.origin == self._url.origin
        if head.status in _EXPIRED and (place.resolved or not at_source):
            raise _Expired(error)
        meaning = self._classify(head) if self._classify is not None and at_source else None
        raise meaning or error

    def _require_file(self, head: Head) -> None:
        if self._compared:
            return
        if head.web_page is not None:
            raise no_web_page("a file", head.web_page, f' from "{head.url.where}"')
        if not head.has_end:
            raise FetchError(
                Reason.SIZE_MISMATCH,
                f'expected a sha256, or an answer that says where it ends, got neither for "{head.url.where}"',
            )


@dataclass(frozen=True)
class _Extent:
    """How many bytes the answer says it carries, and how many make the span whole; None when nobody said."""

    carried: int | None
    wanted: int | None


class _Body:
    """Counts what arrives against what was announced."""

    def __init__(self, sink: Sink, url: Url) -> None:
        self._sink = sink
        self._url = url
        self._received = 0
        self.extent = _Extent(None, None)

    def take(self, data: memoryview) -> None:
        carried = self.extent.carried
        if carried is not None and self._received + len(data) > carried:
            raise FetchError(Reason.SIZE_MISMATCH, f'expected {carried} bytes, got more from "{self._url.where}"')
        self._received += len(data)
        self._sink(data)

    def require_whole(self) -> None:
        wanted = self.extent.wanted
        if wanted is not None and self._received < wanted:
            raise FetchError(
                Reason.SOURCE_UNAVAILABLE,
                f'expected {wanted} bytes, got {self._received} from "{self._url.where}" before it ended',
            )


def _conditions(span: Span, expected: Identity | None) -> dict[str, str]:
    if span == Span():
        return {}
    end = "" if span.end is None else span.end - 1
    headers = {"Range": f"bytes={span.start}-{end}"}
    validator = expected and (expected.etag or expected.last_modified)
    return {**headers, "If-Range": validator} if validator else headers


def _checked_extent(head: Head, span: Span, expected: Identity | None) -> _Extent:
    """Return what the answer carries of `span`, or raise what its status and headers mean for this request."""
    if expected is not None and head.status in {200, 206} and not _is_same(head, expected):
        raise FetchError(
            Reason.SOURCE_CHANGED,
            f'expected the version that the transfer began with, got another of "{head.url.where}"',
        )
    if head.status == 200:
        return _whole_extent(head, span)
    if span == Span():
        raise FetchError(
            Reason.SOURCE_UNAVAILABLE, f'expected the whole file, got status {head.status} from "{head.url.where}"'
        )
    if head.status != 206:
        raise RangeIgnored(f"status {head.status}")
    return _partial_extent(head, span, expected)


def _whole_extent(head: Head, span: Span) -> _Extent:
    if span.start > 0 or (span.end is not None and (head.length is None or head.length > span.end)):
        raise RangeIgnored("status 200")
    return _Extent(head.length, head.length)


def _partial_extent(head: Head, span: Span, expected: Identity | None) -> _Extent:
    got = head.content_range
    if got is None or got.start != span.start or (span.end is not None and got.end > span.end):
        raise RangeIgnored("another range")
    carried = got.end - got.start
    if head.length not in {None, carried}:
        raise RangeIgnored("a length that contradicts the range")
    total = got.total if got.total is not None or expected is None else expected.size
    ends = [end for end in (span.end, total) if end is not None]
    if not ends:
        raise RangeIgnored("a range of nobody knows how much")
    return _Extent(carried, min(ends) - span.start)


def _is_same(head: Head, expected: Identity) -> bool:
    served = head.identity()
    if None not in {served.size, expected.size} and served.size != expected.size:
        return False
    if expected.etag is not None:
        return served.etag == expected.etag
    return expected.last_modified is None or head.get("last-modified") == expected.last_modified


def _resolved_place(head: Head, asked: _Place) -> _Place:
    # Over more than one hop the credential may have been dropped on the way.
    bound = asked.credential is not None and head.redirects == 1 and head.url.origin == asked.credential.origin
    return _Place(head.url, asked.credential if bound else None, resolved=True, fresh=False)
