"""The hub's own door: a running hub can be told to misbehave, and asked what it saw."""

import json

import pytest

from modelfetch.devcluster.hub import Cut, FixtureHub
from tests.unit.devcluster.hub.raw import follow, hear


def test_post_rule(hub: FixtureHub, weights_url: str) -> None:
    """A rule sent as JSON is in force at once, shows its hits, and ends when it is deleted."""
    rule = {"match": {"port": "cdn", "path": "safetensors"}, "actions": [{"do": "cut", "after": 3}]}
    names = hear(f"{hub.endpoint}/_fixture/rules", method="POST", body=json.dumps(rule).encode()).json["names"]
    cut = follow(weights_url).raw
    rows = hear(f"{hub.endpoint}/_fixture/rules").json
    hear(f"{hub.endpoint}/_fixture/rules/{names[0]}", method="DELETE")

    assert (3, [(names[0], 1)]) == (len(cut), [(row["name"], row["hits"]) for row in rows])
    assert len(follow(weights_url).raw) > 3


def test_post_rules(hub: FixtureHub) -> None:
    """Several rules may be sent at once, and all deleted at once."""
    rules = [{"name": name, "actions": [{"do": "delay", "seconds": 0}]} for name in ("a", "b")]
    heard = hear(f"{hub.endpoint}/_fixture/rules", method="POST", body=json.dumps(rules).encode())

    assert ["a", "b"] == heard.json["names"]
    assert 200 == hear(f"{hub.endpoint}/_fixture/rules", method="DELETE").status
    assert [] == hub.rules.describe()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"actions": [{"do": "cutt"}]}', "'cut'"),
        (b'{"actions": [{"do": "cut", "after": -1}]}', "greater than or equal to 0"),
        (b'{"actions": [{"do": "cut", "after": 1}], "math": {}}', "math"),
        (b"{", "Invalid JSON"),
    ],
)
def test_wrong_rule(hub: FixtureHub, body: bytes, told: str) -> None:
    """A wrong rule is refused with what is wrong in it, and nothing is in force."""
    heard = hear(f"{hub.endpoint}/_fixture/rules", method="POST", body=body)

    assert (422, True, []) == (heard.status, told in heard.json["error"], hub.rules.describe())


def test_requests(hub: FixtureHub, config_url: str) -> None:
    """The journal can be read from outside, later requests and single paths alone, and be forgotten."""
    for url in (config_url, f"{hub.endpoint}/nowhere"):
        hear(url, {"Range": "bytes=0-3"})
    door = f"{hub.endpoint}/_fixture/requests"
    rows = hear(door).json

    assert [(1, "bytes=0-3", 206, 4), (2, "bytes=0-3", 404)] == [
        (rows[0]["number"], rows[0]["range"], rows[0]["status"], rows[0]["bytes_sent"]),
        (rows[1]["number"], rows[1]["range"], rows[1]["status"]),
    ]
    assert ([2], [1]) == tuple(
        [row["number"] for row in hear(door + query).json] for query in ("?since=1", "?path=config")
    )
    assert 200 == hear(door, method="DELETE").status
    assert [] == hear(door).json


@pytest.mark.parametrize("query", ["since=x", "path=("])
def test_wrong_question(hub: FixtureHub, query: str) -> None:
    """A question that cannot be understood is refused."""
    assert 422 == hear(f"{hub.endpoint}/_fixture/requests?{query}").status


def test_expire_urls(hub: FixtureHub, weights_url: str) -> None:
    """URLs of the CDN can be made to expire from outside."""
    location = hear(weights_url).headers["location"]
    hear(f"{hub.endpoint}/_fixture/expire-urls", method="POST")

    assert 403 == hear(location).status


def test_revoke(hub: FixtureHub) -> None:
    """A token can be revoked from outside, once."""
    door = f"{hub.endpoint}/_fixture/revoke/reader"

    assert (200, 404) == (hear(door, method="POST").status, hear(door, method="POST").status)
    assert "reader" not in hub.tokens


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/_fixture/x"), ("PUT", "/_fixture/rules"), ("DELETE", "/_fixture/rules/x")]
)
def test_no_such_door(hub: FixtureHub, method: str, path: str) -> None:
    """What is no door, or no rule, is 404."""
    assert 404 == hear(hub.endpoint + path, method=method).status


def test_control_is_beyond_the_rules(hub: FixtureHub) -> None:
    """No rule meets the control's own requests, and the journal leaves them out."""
    hub.fail(Cut(after=0))

    assert "GET /_fixture/rules" in hear(f"{hub.endpoint}/_fixture").json
    assert [] == hub.requests
