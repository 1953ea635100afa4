"""ModelStore as pydantic takes it."""

from typing import Any

import pytest
from pydantic import ValidationError

from modelfetch.api.store import ModelStore, Resources, Toleration
from tests.gen import store


def test_resource_is_read_with_defaults() -> None:
    """A stored object becomes a resource with every default in place and an untouched status."""
    read = ModelStore.model_validate(store("fast"))

    assert ("fast", "models", None, 3) == (read.metadata.name, read.spec.claim_name, read.spec.path, read.spec.slots)
    assert -1 == read.status.observed_generation


@pytest.mark.parametrize(
    ("requests", "limits", "fits"),
    [
        ({"cpu": "1"}, {"cpu": "1000m"}, True),
        ({"cpu": "1001m"}, {"cpu": "1"}, False),
        ({"memory": "1Gi"}, {"memory": "1G"}, False),
        ({"memory": "1Gi"}, {"cpu": "1"}, True),
        ({"cpu": "0.1"}, {"cpu": "100m"}, True),
        ({"ephemeral-storage": "2k"}, {"ephemeral-storage": "1Ki"}, False),
    ],
)
def test_requests_fit_into_limits(requests: dict[str, str], limits: dict[str, str], fits: bool) -> None:
    """Amounts are compared as amounts, whatever their units; what stands on one side only is fine."""
    try:
        Resources.model_validate({"requests": requests, "limits": limits})
        is_accepted = True
    except ValidationError:
        is_accepted = False

    assert fits == is_accepted


@pytest.mark.parametrize(
    "toleration",
    [
        {},
        {"operator": "Equal", "value": "x"},
        {"key": "a", "operator": "Exists", "value": "x"},
        {"key": "a", "effect": "NoSchedule", "tolerationSeconds": 1},
        {"key": "a b"},
    ],
)
def test_tolerations_that_no_pod_may_have(toleration: dict[str, Any]) -> None:
    """What the API server would refuse in the Pod is refused in the store, where its author sees it."""
    with pytest.raises(ValidationError):
        Toleration.model_validate(toleration)
