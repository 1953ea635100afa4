"""Files by URL: the order is the listing, and the guard is asked before anything else."""

import pytest

from modelfetch.api.order import Egress
from modelfetch.api.source import HttpFile, HttpSource
from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.sources.base import RemoteFile
from modelfetch.sources.http import UrlSource
from tests.loopback import loopback_session


def test_the_listing_is_the_orders() -> None:
    """Paths, sizes and digests stand as they were given; a given digest is the user's word."""
    files = [
        HttpFile(url="https://h.example/a", path="x/a", sha256="a" * 64),
        HttpFile(url="https://h.example/b", path="b", size=3),
    ]
    with loopback_session() as session:
        listing = UrlSource(HttpSource(files=files), session, None).list()

    assert (RemoteFile("x/a", None, sha256="a" * 64, asserted_by_user=True), RemoteFile("b", 3)) == listing.files
    assert None is listing.commit


@pytest.mark.parametrize(
    "url",
    ["http://93.184.216.34/x", "https://169.254.169.254/x", "https://10.0.0.1/x", "https://[::1]/x", "https://h.example:22/x",
     "https://0x7f.1/x", "https://2130706433/x", "https://kubernetes.default.svc/x", "https://localhost/x"],
)  # fmt: skip
def test_addresses_are_refused_before_anything_is_asked(url: str) -> None:
    """Plain http, inside addresses in any spelling and other ports end at the listing."""
    source = HttpSource(files=[HttpFile(url=url, path="x")])
    with loopback_session(egress=Egress()) as session, pytest.raises(FetchError) as caught:
        UrlSource(source, session, None).list()

    assert Reason.URL_NOT_ALLOWED == caught.value.reason
