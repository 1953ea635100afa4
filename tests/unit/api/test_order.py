"""An order travels as one JSON document in an environment variable."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.api import order
from modelfetch.api.fetch import ModelInfo
from modelfetch.api.order import Egress, FetchOrder, Order, RemovalTarget, RemoveOrder, Selection, SurveyOrder
from modelfetch.api.source import HttpFile, HttpSource, HuggingFaceSource
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
            }
        ),
        RemoveOrder(root="a", targets=(RemovalTarget(namespace="a", name="b", owner="c"),)),
        SurveyOrder(namespace="a", live=("0123456789ab",)),
    ],
    ids=["hub", "http", "every field", "remove", "survey"],
)
def test_round_trip(told: Order) -> None:
    """What the operator tells is what the fetcher is told."""

    assert told == order.parse(order.dump(told))


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
