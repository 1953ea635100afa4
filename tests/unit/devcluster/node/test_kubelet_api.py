"""What the parameters of a log request mean; the server itself is shown in tests/cluster."""

from datetime import timedelta

import pytest

from modelfetch.devcluster.node.container_log import LogQuery
from modelfetch.devcluster.node.kubelet_api import log_query
from tests.unit.devcluster.node.samples import NOW


@pytest.mark.parametrize(
    ("given", "query"),
    [
        ({}, LogQuery()),
        ({"follow": "true", "timestamps": "true"}, LogQuery(follow=True, timestamps=True)),
        ({"follow": "false"}, LogQuery()),
        ({"tailLines": "3", "limitBytes": "9"}, LogQuery(tail=3, limit_bytes=9)),
        ({"sinceSeconds": "5"}, LogQuery(since=NOW - timedelta(seconds=5))),
        ({"sinceTime": "2030-01-02T03:04:05Z"}, LogQuery(since=NOW)),
    ],
)
def test_query(given: dict[str, str], query: LogQuery) -> None:
    """Each parameter has its meaning."""
    actual = log_query(given, NOW)

    assert query == actual


@pytest.mark.parametrize("given", [{"tailLines": "x"}, {"sinceTime": "noon"}])
def test_nonsense(given: dict[str, str]) -> None:
    """A parameter that cannot be read is refused."""
    with pytest.raises(ValueError, match=r"noon|x"):
        log_query(given, NOW)
