"""Ranges and conditions, by RFC 9110."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.devcluster.hub.content import Content
from modelfetch.devcluster.hub.message import Answer, Reply, Request, reply_to

DATA = bytes(range(100))
DATE = "Mon, 01 Jan 2024 00:00:00 GMT"


def reply(method: str = "GET", etag: str = '"tag"', **headers: str) -> Reply:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = Answer(200, Content.of(DATA), {"Last-Modified": DATE}, etag=etag, ranges=True)
    return reply_to(answer, Request("cdn", method, "/x", sent))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=0-", (206, 0, 100, "bytes 0-99/100")),
        ("bytes=10-19", (206, 10, 20, "bytes 10-19/100")),
        ("bytes=90-500", (206, 90, 100, "bytes 90-99/100")),
        ("bytes=-10", (206, 90, 100, "bytes 90-99/100")),
        ("bytes=-500", (206, 0, 100, "bytes 0-99/100")),
        ("bytes=99-99", (206, 99, 100, "bytes 99-99/100")),
        ("bytes=100-", (416, 0, 0, "bytes */100")),
        ("bytes=-0", (416, 0, 0, "bytes */100")),
        ("bytes=0-1,5-6", (200, 0, 100, None)),
        ("bytes=5-4", (200, 0, 100, None)),
        ("bytes=-", (200, 0, 100, None)),
        ("lines=1-2", (200, 0, 100, None)),
    ],
)
def test_range(asked: str, expected: tuple[int, int, int, str | None]) -> None:
    """One valid range gives 206, one beyond the end 416, and what is no single range the whole file."""
    got = reply(range=asked)

    assert expected == (got.status, got.start, got.stop, dict(got.headers).get("Content-Range"))
    assert got.stop - got.start == got.declared


@given(st.integers(0, 99), st.integers(0, 99))
def test_any_range(first: int, last: int) -> None:
    """Every range inside the file gives exactly its bytes."""
    got = reply(range=f"bytes={first}-{last}")
    expected = DATA[first : last + 1] if first <= last else DATA

    assert expected == got.content.read(got.start, got.stop)


@pytest.mark.parametrize(
    ("etag", "if_range", "status"),
    [
        ('"tag"', '"tag"', 206),
        ('"tag"', '"old"', 200),
        ('W/"tag"', 'W/"tag"', 200),
        ('"tag"', DATE, 206),
        ('"tag"', "Tue, 02 Jan 2024 00:00:00 GMT", 200),
    ],
)
def test_if_range(etag: str, if_range: str, status: int) -> None:
    """If-Range holds for the same strong tag or the same date only; else the whole file comes."""
    assert status == reply(etag=etag, range="bytes=5-", if_range=if_range).status


@pytest.mark.parametrize(("tag", "status"), [('"tag"', 304), ('W/"tag"', 304), ('"other"', 200)])
def test_if_none_match(tag: str, status: int) -> None:
    """A file that the client has is not sent again."""
    got = reply(if_none_match=tag)

    assert (status, 0 if status == 304 else 100) == (got.status, got.stop - got.start)


def test_post_has_no_range() -> None:
    """Only GET and HEAD are answered by parts."""
    assert 200 == reply(method="POST", range="bytes=5-").status


def test_segments() -> None:
    """Percent-encoded parts of the path come decoded, with their slashes."""
    assert ["a", "refs/pr/1", "x y"] == Request("hub", "GET", "/a/refs%2Fpr%2F1/x%20y?q=%2F", {}).segments


def test_query() -> None:
    """The query comes decoded, each name with all its values."""
    assert {"q": ["/", ""], "e": ["1"]} == Request("hub", "GET", "/a?q=%2F&q=&e=1", {}).query
