"""Pages of a listing: to the same origin, each once, so many at most; and requests that are all ours."""

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.devcluster.hub import FixtureHub, RepoSpec
from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.sources.hub_transport import ENTRY_BYTES, GuardedTransport, Pages
from modelfetch.transfer.guard import parse_url
from tests.loopback import credential, loopback_session

PAGE = parse_url("https://hub.example/api/models/a/b/tree/main?cursor=1")


@pytest.mark.parametrize(
    "link", ["https://hub.example/api?cursor=2", "/api?cursor=2", "?cursor=2", "https://hub.example:443/x"]
)
def test_a_link_to_the_same_origin_is_followed(link: str) -> None:
    """Absolute and relative links of the hub's own origin lead on."""

    assert PAGE.origin == Pages().follow(PAGE, link).origin


@given(
    host=st.sampled_from(["evil.example", "hub.example.evil.example", "hub.example:8443", "sub.hub.example"]),
    path=st.text(),
)
def test_a_link_to_another_origin_is_not(host: str, path: str) -> None:
    """Whatever follows the host, another host or port is refused."""
    with pytest.raises(FetchError) as caught:
        Pages().follow(PAGE, f"https://{host}/{path}")

    assert Reason.REDIRECT_REJECTED == caught.value.reason


def test_a_link_to_http_is_not_followed() -> None:
    """A next page in plain text is another origin."""
    with pytest.raises(FetchError, match="RedirectRejected"):
        Pages().follow(PAGE, "http://hub.example/api?cursor=2")


def test_a_circle_is_noticed() -> None:
    """A page that was linked to before ends the listing."""
    pages = Pages()
    pages.follow(PAGE, "?cursor=2")
    pages.follow(PAGE, "?cursor=3")
    with pytest.raises(FetchError, match="SourceUnavailable"):
        pages.follow(PAGE, "?cursor=2")


def test_a_listing_has_so_many_pages_at_most() -> None:
    """The limit is the number of links that are followed."""
    pages = Pages(limit=3)
    followed = [str(pages.follow(PAGE, f"?cursor={number}")) for number in (2, 3)]
    with pytest.raises(FetchError, match="TooManyFiles"):
        pages.follow(PAGE, "?cursor=4")

    assert 2 == len(followed)


def test_a_listing_has_so_many_bytes_at_most() -> None:
    """All answers together may take as much as their entries, whatever the pages look like."""
    pages = Pages(entries_limit=3)
    pages.look_at(b" " * ENTRY_BYTES * 2)
    pages.look_at(b" " * ENTRY_BYTES)
    with pytest.raises(FetchError, match="TooManyFiles: expected a listing of at most 3 entries"):
        pages.look_at(b" ")


def test_headers_of_the_library_are_left_behind() -> None:
    """A token that the library found, its cookies and its user agent never reach the network; ours does."""
    with FixtureHub([RepoSpec("org/name", {"a": b"a"})]) as hub, loopback_session() as session:
        transport = GuardedTransport(session, credential(hub.endpoint, hub.tokens["reader"]), Pages())
        headers = {"Authorization": f"Bearer {hub.tokens['stranger']}", "Cookie": "a=b", "User-Agent": "hf_hub/2"}
        with httpx2.Client(transport=transport) as client:
            client.get(f"{hub.endpoint}/api/models/org/name", headers=headers)
        [record] = hub.requests

    assert ("reader", False) == (record.credentials, "cookie" in record.headers)
    assert record.headers["user-agent"].startswith("modelfetch/")


def test_only_reading_is_possible() -> None:
    """A library that would write, or send anything, is stopped."""
    with loopback_session() as session:
        client = httpx2.Client(transport=GuardedTransport(session, None, Pages()))
        with client, pytest.raises(FetchError, match="Internal"):
            client.post("https://hub.example/api", content=b"x")
