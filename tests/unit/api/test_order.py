"""An order travels as one JSON document in an environment variable."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.api import order
from modelfetch.api.meta import LEAST_STORE_RATE
from modelfetch.api.order import (
    CheckOrder,
    Egress,
    FetchOrder,
    Order,
    OrderTransfer,
    RemovalTarget,
    RemoveOrder,
    Selection,
    SurveyOrder,
)
from modelfetch.api.source import HttpFile, HttpSource, HuggingFaceSource
from modelfetch.api.wanted import ModelInfo
from modelfetch.errors import FetchError
from modelfetch.reasons import Reason

HUB = HuggingFaceSource(repo="org/name", path="onnx")
HTTP = HttpSource(files=[HttpFile(url="https://host.example/a", path="a", size=1)])


def fetch_order(source: HuggingFaceSource | HttpSource = HUB, checksums: dict[str, str] | None = None) -> FetchOrder:
    """Return an order to fetch."""
    return FetchOrder(
        namespace="search", name="minilm", owner="uid", attempt="a1", source=source, checksums=checksums or {}
    )


@pytest.mark.parametrize(
    "told",
    [
        fetch_order(),
        fetch_order(HTTP),
        fetch_order().model_copy(
            update={
                "selection": Selection(include=("*.json",)),
                "egress": Egress(allow_networks=("10.0.0.0/8",), allow_ports=(), allow_http=True),
                "model": ModelInfo(name="MiniLM", tags=["a"], metadata={"owner": "team"}),
                "ended": ("mf-1", "mf-2"),
                "transfer": OrderTransfer().within(10**6),
            }
        ),
        RemoveOrder(root="a", targets=(RemovalTarget(namespace="a", name="b", owner="c"),)),
        SurveyOrder(namespace="a", live=("0123456789ab",)),
        CheckOrder(namespace="a", published=("0123456789ab:0123456789ab",)),
    ],
    ids=["hub", "http", "every field", "remove", "survey", "check"],
)
def test_round_trip(told: Order) -> None:
    """What the operator tells is what the fetcher is told."""

    assert told == order.parse(order.dump(told))


@given(
    files=st.integers(1, 32),
    each=st.integers(1, 16),
    rate=st.none() | st.integers(LEAST_STORE_RATE // 100, 10**9),
)
def test_connections_live_on_the_bandwidth(files: int, each: int, rate: int | None) -> None:
    """However little is granted, no connection gets so little of it that it looks like a stall; none is added."""
    given = OrderTransfer(parallel_files=files, connections_per_file=each)
    granted = given.within(rate)

    assert rate == granted.bandwidth_bytes_per_s
    assert rate is None or rate // (granted.parallel_files * granted.connections_per_file) >= 8192
    assert 1 <= granted.parallel_files <= files
    assert 1 <= granted.connections_per_file <= each


def test_plenty_of_bandwidth_leaves_the_connections() -> None:
    """A bound that all connections can live on changes nothing else."""
    given = OrderTransfer(parallel_files=4, connections_per_file=4)

    assert given.model_copy(update={"bandwidth_bytes_per_s": 131_072}) == given.within(131_072)


@given(text=st.text(max_size=50))
def test_kubernetes_leaves_the_order_alone(text: str) -> None:
    """No text of a user becomes `$(VAR)`, which Kubernetes would replace, and none is changed."""
    told = fetch_order(checksums={text: "sha256:"})
    dumped = order.dump(told)

    assert "$" not in dumped
    assert told == order.parse(dumped)


def test_order_too_large() -> None:
    """An order that does not fit into an environment variable is refused with the reason SpecInvalid and the bound."""
    with pytest.raises(FetchError, match="of at most 98304") as raised:
        order.dump(fetch_order(checksums={f"{n}" * 100: "sha256:" + "0" * 64 for n in range(1000)}))

    assert Reason.SPEC_INVALID == raised.value.reason


def test_failing_makes_no_order_too_large() -> None:
    """An order that is just small enough for attempt 1 is so for attempt 100, too, and for Linux."""
    of_digits = next(n for n in range(98_304, 0, -1) if _fits(fetch_order(checksums={"x" * n: ""})))
    again = fetch_order(checksums={"x" * of_digits: ""}).model_copy(update={"ended": ("mf-" + "a" * 32,) * 16})

    assert again == order.parse(order.dump(again))
    assert len(order.dump(again)) < 128 * 1024


def _fits(told: FetchOrder) -> bool:
    try:
        return bool(order.dump(told))
    except FetchError:
        return False


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "not json",
        json.dumps({"task": "dance"}),
        json.dumps(json.loads(order.dump(fetch_order())) | {"later": True}),
        json.dumps(json.loads(order.dump(fetch_order())) | {"attempt": "../x"}),
    ],
    ids=["empty", "no JSON", "unknown task", "unknown field", "bad attempt"],
)
def test_order_of_another_version(text: str) -> None:
    """An order that is not understood is refused whole, never obeyed in part."""
    with pytest.raises(FetchError, match="expected an order that this fetcher understands") as raised:
        order.parse(text)

    assert Reason.VERSION_SKEW == raised.value.reason
