"""What answers mean: identities, ranges, delays and errors, by tables of headers."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.answers import HEADER_COUNT_LIMIT, ContentRange, Head, HeaderLines
from modelfetch.transfer.reader import Identity
from modelfetch.transfer.url import parse_url

URL = parse_url("https://hub.example/file?sig=canary1")
NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def head(status: int = 200, **headers: str) -> Head:
    """Return a head; underscores in names stand for dashes."""
    return Head(status, tuple((name.replace("_", "-"), value) for name, value in headers.items()), URL)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes 0-9/10", ContentRange(0, 10, 10)),
        ("bytes 5-9/*", ContentRange(5, 10, None)),
        ("bytes 5-5/6", ContentRange(5, 6, 6)),
        ("bytes 9-5/10", None),
        ("bytes 0-10/10", None),
        ("bytes */10", None),
        ("bytes 0-9", None),
        ("bytes=0-9/10", None),
        ("items 0-9/10", None),
        ("bytes -9/10", None),
        ("bytes 0-9/10, bytes 0-9/10", None),
        ("bytes 0-9/" + "9" * 30, None),
        ("bytes ٠-9/10", None),
        ("", None),
    ],
)
def test_reads_content_range(value: str, expected: ContentRange | None) -> None:
    """A Content-Range is read exactly, or not at all."""
    found = head(206, content_range=value).content_range

    assert expected == found


@given(start=st.integers(0, 2**61), length=st.integers(1, 2**61), rest=st.integers(0, 2**61))
def test_content_range_round_trip(start: int, length: int, rest: int) -> None:
    """What a good server writes is what is read."""
    total = start + length + rest
    found = head(206, content_range=f"bytes {start}-{start + length - 1}/{total}").content_range

    assert ContentRange(start, start + length, total) == found


@pytest.mark.parametrize(
    ("value", "strong"),
    [
        ('"abc"', True),
        ('"abc-3"', True),
        ('""', True),
        ('W/"abc"', False),
        ("abc", False),
        ('"a"b"', False),
        ('"a", "b"', False),
        ('"a\x7fb"', False),
        ('"a b"', False),
    ],
)
def test_only_strong_etags_identify(value: str, strong: bool) -> None:
    """A weak or malformed ETag does not tell versions apart."""
    found = head(etag=value).identity()

    assert Identity(etag=value if strong else None) == found


@pytest.mark.parametrize(
    ("changed", "sent", "strong"),
    [
        ("Wed, 31 Dec 2025 12:00:00 GMT", "Thu, 01 Jan 2026 12:00:00 GMT", True),
        ("Thu, 01 Jan 2026 11:59:00 GMT", "Thu, 01 Jan 2026 12:00:00 GMT", True),
        ("Thu, 01 Jan 2026 11:59:01 GMT", "Thu, 01 Jan 2026 12:00:00 GMT", False),
        ("Thu, 01 Jan 2026 13:00:00 GMT", "Thu, 01 Jan 2026 12:00:00 GMT", False),
        ("yesterday", "Thu, 01 Jan 2026 12:00:00 GMT", False),
        ("Wed, 31 Dec 2025 12:00:00 GMT", "", False),
    ],
)
def test_last_modified_must_be_old_enough(changed: str, sent: str, strong: bool) -> None:
    """A date identifies a version only when it is a minute older than the answer."""
    found = head(last_modified=changed, date=sent).identity()

    assert Identity(last_modified=changed if strong else None) == found


@pytest.mark.parametrize(
    ("answer", "size"),
    [
        (head(200, content_length="10"), 10),
        (head(200, content_length="010"), 10),
        (head(200), None),
        (head(200, content_length="-1"), None),
        (head(200, content_length="1e3"), None),
        (head(200, content_length="10", transfer_encoding="chunked"), None),
        (head(206, content_length="3", content_range="bytes 0-2/10"), 10),
        (head(206, content_length="3", content_range="bytes 0-2/*"), None),
        (head(206, content_length="3"), None),
        (head(404, content_length="10"), None),
    ],
)
def test_size_is_of_the_whole_file(answer: Head, size: int | None) -> None:
    """The size is that of the file, never that of a part or of an error page."""
    found = answer.identity().size

    assert size == found


@pytest.mark.parametrize(
    ("answer", "has_end"),
    [
        (head(200, content_length="10"), True),
        (head(200, transfer_encoding="Chunked"), True),
        (replace(head(200), version="2"), True),
        (head(200), False),
        (replace(head(200), version="1.0"), False),
        (head(200, transfer_encoding="gzip"), False),
    ],
)
def test_a_body_that_ends_with_its_connection_has_no_end(answer: Head, has_end: bool) -> None:
    """Only a length, chunks or the frames of a later HTTP tell a whole body from a cut one."""

    assert has_end == answer.has_end


@pytest.mark.parametrize(
    ("value", "date", "expected"),
    [
        ("3", "", 3.0),
        ("0", "", 0.0),
        ("300", "", 300.0),
        ("301", "", 300.0),
        ("86400", "", 300.0),
        ("86401", "", None),
        ("315360000", "", None),
        ("-5", "", None),
        ("3.5", "", None),
        ("soon", "", None),
        ("", "", None),
        ("9" * 40, "", None),
        ("Thu, 01 Jan 2026 12:00:07 GMT", "", 7.0),
        ("Thu, 01 Jan 2026 13:00:00 GMT", "", 300.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", "", 0.0),
        ("Thu, 01 Jan 2036 12:00:00 GMT", "", None),
        ("Sat, 01 Jan 2022 00:00:04 GMT", "Sat, 01 Jan 2022 00:00:00 GMT", 4.0),
        ("Thu, 01 Jan 2026 12:00:07", "", 7.0),
        ("Thu, 99 Foo 2026", "", None),
    ],
)
def test_retry_after_in_all_its_forms(value: str, date: str, expected: float | None) -> None:
    """Seconds and dates are honoured up to five minutes, nonsense and years are as if nothing was asked."""
    found = head(429, retry_after=value, date=date).retry_after_s(NOW)

    assert expected == found


@given(st.text(max_size=40))
def test_any_retry_after_is_bounded(value: str) -> None:
    """Whatever a server writes, the delay is None or between 0 and five minutes."""
    found = head(429, retry_after=value).retry_after_s(NOW)

    assert found is None or 0 <= found <= 300


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, Reason.SOURCE_UNAVAILABLE),
        (401, Reason.SOURCE_UNAUTHORIZED),
        (403, Reason.SOURCE_FORBIDDEN),
        (404, Reason.SOURCE_NOT_FOUND),
        (408, Reason.SOURCE_UNAVAILABLE),
        (410, Reason.SOURCE_NOT_FOUND),
        (425, Reason.SOURCE_UNAVAILABLE),
        (429, Reason.RATE_LIMITED),
        (451, Reason.SOURCE_FORBIDDEN),
        (500, Reason.SOURCE_UNAVAILABLE),
        (503, Reason.SOURCE_UNAVAILABLE),
        (599, Reason.SOURCE_UNAVAILABLE),
    ],
)
def test_statuses_have_reasons(status: int, reason: Reason) -> None:
    """Each error status has the reason that its meaning has for a file."""
    error = head(status).error(NOW)

    assert error is not None
    assert (reason, False) == (error.reason, "canary1" in error.message)


@pytest.mark.parametrize("status", [200, 204, 206, 299])
def test_success_is_no_error(status: int) -> None:
    """2xx means nothing bad."""
    error = head(status).error(NOW)

    assert error is None


@pytest.mark.parametrize(("status", "delay"), [(429, 7.0), (503, 7.0), (403, None)])
def test_delay_counts_where_waiting_helps(status: int, delay: float | None) -> None:
    """Retry-After is taken from answers after which waiting can help."""
    error = head(status, retry_after="7").error(NOW)

    assert error is not None
    assert delay == error.retry_after_s


def collect(*lines: bytes) -> list[Head]:
    """Return the heads that `lines` complete."""
    collector = HeaderLines(URL, 0)
    return [found for line in lines if (found := collector.add(line)) is not None]


def test_collects_a_head() -> None:
    """Status and headers come out as sent, names in lower case."""
    found = collect(b"HTTP/1.1 206 Partial\r\n", b'ETag:  "x" \r\n', b"X-Two: a\r\n", b"x-two: b\r\n", b"\r\n")

    assert [(206, '"x"', "a, b")] == [(one.status, one.get("etag"), one.get("x-two")) for one in found]


def test_passes_over_interim_answers() -> None:
    """100 Continue and 103 Early Hints are not the answer."""
    found = collect(
        b"HTTP/1.1 103 Early\r\n", b"Link: x\r\n", b"\r\n", b"HTTP/2 200 \r\n", b"a: b\r\n", b"\r\n", b"trailer: c\r\n"
    )

    assert [(200, (("a", "b"),))] == [(one.status, one.headers) for one in found]


def test_bounds_the_number_of_headers() -> None:
    """Too many headers are SourceUnavailable."""
    with pytest.raises(FetchError) as caught:
        collect(b"HTTP/1.1 200 OK\r\n", *[b"a: b\r\n"] * HEADER_COUNT_LIMIT)

    assert Reason.SOURCE_UNAVAILABLE == caught.value.reason


def test_bounds_the_bytes_of_headers() -> None:
    """Headers of more than 64 KiB are SourceUnavailable."""
    with pytest.raises(FetchError) as caught:
        collect(b"HTTP/1.1 200 OK\r\n", *[b"a: " + b"b" * 4096 + b"\r\n"] * 16)

    assert Reason.SOURCE_UNAVAILABLE == caught.value.reason


@given(st.lists(st.binary(max_size=40)))
def test_any_lines_are_taken(lines: list[bytes]) -> None:
    """No header line, however broken, is more than a FetchError."""
    found = collect(b"HTTP/1.1 200 OK\r\n", *lines)

    assert len(found) <= 1
