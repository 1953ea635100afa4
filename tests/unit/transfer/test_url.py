"""The one parser of addresses: what it takes, and that it refuses everything two parsers could read differently."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.url import Url, join_url, parse_url

ACCEPTED = [
    ("https://example.com", Url("https", "example.com", 443, "/")),
    ("HTTPS://Example.COM/A/b?c=D", Url("https", "example.com", 443, "/A/b?c=D")),
    ("http://example.com:8080/", Url("http", "example.com", 8080, "/")),
    ("https://example.com?x=1", Url("https", "example.com", 443, "/?x=1")),
    ("https://192.0.2.7/x", Url("https", "192.0.2.7", 443, "/x")),
    ("https://[2001:DB8::1]:8443/x", Url("https", "2001:db8::1", 8443, "/x")),
    ("https://bücher.example/x", Url("https", "xn--bcher-kva.example", 443, "/x")),
    ("https://example.com/modèle", Url("https", "example.com", 443, "/mod%C3%A8le")),
    ("https://my_bucket.example.com/%2e%2e/x", Url("https", "my_bucket.example.com", 443, "/%2e%2e/x")),
]

REFUSED = [
    ("user name", "https://user@example.com/"),
    ("user name and password", "https://user:secret@example.com/"),
    ("empty user name", "https://@example.com/"),
    ("backslash before @", "https://good.example\\@evil.example/"),
    ("backslash in the path", "https://good.example/a\\b"),
    ("fragment before @", "https://good.example#@evil.example/"),
    ("fragment", "https://good.example/#x"),
    ("encoded slash in the host", "https://good.example%2f@evil.example/"),
    ("percent in the host", "https://good%2eexample/"),
    ("tab", "https://good.example/\tx"),
    ("line end", "https://good.example/\r\nHost: evil.example"),
    ("NUL", "https://good.example/\0"),
    ("space", "https://good.example/a b"),
    ("leading space", " https://good.example/"),
    ("zero-width space", "https://good.exam\u200bple/"),
    ("bidi override", "https://good.example/\u202egpj"),
    ("no host", "https:///x"),
    ("no host but a port", "https://:443/x"),
    ("no slashes", "https:good.example"),
    ("ideographic full stop", "https://good。example/"),
    ("full-width letters", "https://ｇood.example/"),
    ("sharp s, mapped away by one standard", "https://straße.example/"),
    ("empty label", "https://good..example/"),
    ("trailing dot", "https://good.example./"),
    ("leading hyphen", "https://-good.example/"),
    ("label of 64", f"https://{'a' * 64}.example/"),
    ("host of 256", f"https://{'a.' * 127}ab/"),
    ("port 0", "https://good.example:0/"),
    ("port 65536", "https://good.example:65536/"),
    ("port with a leading zero", "https://good.example:0443/"),
    ("empty port", "https://good.example:/"),
    ("port that is a word", "https://good.example:https/"),
    ("signed port", "https://good.example:+443/"),
    ("decimal address", "https://2130706433/"),
    ("octal address", "https://0177.0.0.1/"),
    ("hexadecimal address", "https://0x7f.1/"),
    ("hexadecimal number", "https://0x7f000001/"),
    ("short address", "https://127.1/"),
    ("address of five numbers", "https://1.2.3.4.5/"),
    ("IPv6 without brackets", "https://::1/"),
    ("IPv6 with a zone", "https://[fe80::1%25eth0]/"),
    ("bracket that is no address", "https://[::g]/"),
    ("text after the bracket", "https://[::1]x/"),
    ("too long", "https://good.example/" + "a" * 9000),
]


@pytest.mark.parametrize(("text", "url"), ACCEPTED, ids=[text for text, _ in ACCEPTED])
def test_reads_plain_addresses(text: str, url: Url) -> None:
    """A plain address has the parts that it shows, with its scheme's port where it names none."""
    found = parse_url(text)

    assert url == found


@pytest.mark.parametrize("text", [text for _, text in REFUSED], ids=[name for name, _ in REFUSED])
def test_refuses_what_is_not_plain(text: str) -> None:
    """Whatever a second parser could read another way is URLNotAllowed."""
    with pytest.raises(FetchError) as caught:
        parse_url(text)

    assert Reason.URL_NOT_ALLOWED == caught.value.reason


@pytest.mark.parametrize("text", ["ftp://a.example/x", "file:///etc/passwd", "gopher://a", "javascript:x", "", "a/b"])
def test_refuses_other_schemes(text: str) -> None:
    """Schemes other than http and https are SourceUnsupported."""
    with pytest.raises(FetchError) as caught:
        parse_url(text)

    assert Reason.SOURCE_UNSUPPORTED == caught.value.reason


@pytest.mark.parametrize(
    "text",
    [
        "https://u:canary1@h.example/",
        "https://h.example:x/?sig=canary1",
        "https://h.example/a b?sig=canary1",
        "https://h.example/?sig=canary1#f",
        "//u:canary1@h.example",
    ],
)
def test_refusal_keeps_the_secret(text: str) -> None:
    """Neither a password nor a query stands in the message of a refusal."""
    with pytest.raises(FetchError) as caught:
        parse_url(text)

    assert "canary1" not in caught.value.message


def test_where_has_no_query() -> None:
    """What messages show of an address ends before its query."""
    where = parse_url("https://example.com:8443/a/b?sig=secret").where

    assert "https://example.com:8443/a/b" == where


def test_repr_has_no_query() -> None:
    """The parsed address does not show its query by accident."""
    shown = repr(parse_url("https://example.com/a?sig=secret"))

    assert "secret" not in shown


@pytest.mark.parametrize("text", [text for text, _ in ACCEPTED])
def test_text_reads_as_itself(text: str) -> None:
    """What goes to libcurl parses to the very address that was judged."""
    url = parse_url(text)

    assert url == parse_url(str(url))


@given(st.text(max_size=60).map(lambda rest: "https://" + rest))
def test_any_text_is_plain_or_refused(text: str) -> None:
    """Any text either parses to something that parses to itself, or is a FetchError."""
    try:
        url = parse_url(text)
    except FetchError:
        return

    assert url == parse_url(str(url))


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("/y?z", "https://example.com/y?z"),
        ("y", "https://example.com/a/y"),
        ("?z", "https://example.com/a/b?z"),
        ("//cdn.example/y", "https://cdn.example/y"),
        ("https://cdn.example/y", "https://cdn.example/y"),
        ("../../../y", "https://example.com/y"),
    ],
)
def test_joins_references(reference: str, expected: str) -> None:
    """A reference is read as seen at the address that gave it."""
    joined = join_url(parse_url("https://example.com/a/b"), reference)

    assert expected == str(joined)


@pytest.mark.parametrize(
    "reference",
    [
        "", "//evil\\@x", "/a\r\nb", "https://u:p@x/", "file:///etc/passwd", "\thttps://x", "https:///evil/a",
        "https:evil/a", "https:/evil/a", "///evil/a", "//[", "https://[::1", "//good\uff0fevil/a",
    ],
)  # fmt: skip
def test_refuses_references(reference: str) -> None:
    """A reference passes the same parser as any address."""
    with pytest.raises(FetchError):
        join_url(parse_url("https://example.com/a/b"), reference)
