"""The log of requests: complete, in order, and without secrets."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from modelfetch.devcluster.hub import FixtureHub
from tests.unit.devcluster.hub.raw import follow, hear


@pytest.mark.parametrize(
    ("sent", "noted"),
    [
        (None, "absent"),
        ("Bearer {reader}", "reader"),
        ("Bearer {stranger}", "stranger"),
        ("Bearer hf_canaryCanaryCanary", "unknown"),
        ("Basic Y2FuYXJ5OmNhbmFyeQ==", "other"),
    ],
)
def test_credentials(hub: FixtureHub, config_url: str, sent: str | None, noted: str) -> None:
    """Credentials are noted by kind and name; the secret itself is nowhere in the journal."""
    secret = None if sent is None else sent.format(**hub.tokens)
    hear(config_url, {} if secret is None else {"Authorization": secret, "Cookie": "canary=1"})
    text = json.dumps([record.describe() for record in hub.requests])

    assert noted == hub.requests[0].credentials
    assert secret is None or secret.split()[1] not in text
    assert "canary=1" not in text


def test_record(hub: FixtureHub, weights_url: str) -> None:
    """A record has port, method, path, query, range, status, bytes and headers of its request."""
    follow(weights_url, {"Range": "bytes=5-9", "User-Agent": "raw"})
    hub_record, cdn_record = hub.requests

    assert ("hub", "HEAD", "/acme/tiny/resolve/main/model.safetensors", 302, 0) == (
        hub_record.port, hub_record.method, hub_record.path, hub_record.status, hub_record.bytes_sent,
    )  # fmt: skip
    assert ("cdn", "GET", "bytes=5-9", 206, 5, "raw") == (
        cdn_record.port, cdn_record.method, cdn_record.range, cdn_record.status, cdn_record.bytes_sent,
        cdn_record.headers["user-agent"],
    )  # fmt: skip
    assert "Signature=" in cdn_record.query


def test_bytes_of_a_client_that_left(hub: FixtureHub, weights_url: str) -> None:
    """Bytes are counted when a client has them, so that a complete answer is never short in the journal."""
    with ThreadPoolExecutor(8) as pool:
        sizes = list(pool.map(lambda _: len(follow(weights_url).raw), range(40)))

    assert sizes == [record.bytes_sent for record in hub.requests if record.port == "cdn"]


def test_waiting_ends_without_a_request(hub: FixtureHub) -> None:
    """Waiting for requests that do not come ends at the deadline."""
    assert (False, True) == (hub.journal.wait_for(1, 0.0), hub.journal.wait_until_idle(0.0))
