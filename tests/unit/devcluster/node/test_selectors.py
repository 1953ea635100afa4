"""Selectors, affinity and taints, by tables."""

from typing import Any

import pytest

from modelfetch.devcluster.node.selectors import matches_pod, matches_terms, untolerated

NODE = {"metadata": {"name": "n1", "labels": {"zone": "a", "size": "10"}}}


def rule(key: str, operator: str, *values: str) -> dict[str, Any]:
    """Return a match expression."""
    return {"key": key, "operator": operator, "values": list(values)}


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        (rule("zone", "In", "a", "b"), True),
        (rule("zone", "In", "b"), False),
        (rule("none", "In", "a"), False),
        (rule("zone", "NotIn", "a"), False),
        (rule("none", "NotIn", "a"), True),
        (rule("zone", "Exists"), True),
        (rule("none", "Exists"), False),
        (rule("none", "DoesNotExist"), True),
        (rule("zone", "DoesNotExist"), False),
        (rule("size", "Gt", "9"), True),
        (rule("size", "Gt", "10"), False),
        (rule("size", "Lt", "11"), True),
        (rule("none", "Lt", "11"), False),
        (rule("zone", "Gt", "1"), False),
    ],
)
def test_label_expression(expression: dict[str, Any], holds: bool) -> None:
    """An expression on labels holds as Kubernetes defines it."""
    actual = matches_terms([{"matchExpressions": [expression]}], NODE)

    assert holds == actual


def test_terms_are_alternatives() -> None:
    """One term that matches is enough."""
    terms = [{"matchExpressions": [rule("zone", "In", "b")]}, {"matchFields": [rule("metadata.name", "In", "n1")]}]

    actual = matches_terms(terms, NODE)

    assert True is actual


def test_an_empty_term_matches_nothing() -> None:
    """A term without expressions does not stand for every node."""
    actual = matches_terms([{}], NODE)

    assert False is actual


@pytest.mark.parametrize(
    ("spec", "fits"),
    [
        ({}, True),
        ({"nodeSelector": {"zone": "a"}}, True),
        ({"nodeSelector": {"zone": "a", "gpu": "yes"}}, False),
        ({"affinity": {"podAffinity": {}}}, True),
    ],
)
def test_selector(spec: dict[str, Any], fits: bool) -> None:
    """A node needs every label of the selector."""
    actual = matches_pod(spec, NODE)

    assert fits == actual


def test_required_affinity() -> None:
    """Required node affinity decides as well as the selector."""
    required = {"nodeSelectorTerms": [{"matchExpressions": [rule("zone", "In", "b")]}]}

    actual = matches_pod(
        {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}, NODE
    )

    assert False is actual


TAINT = {"key": "k", "value": "v", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        ({"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"}, True),
        ({"key": "k", "value": "v"}, True),
        ({"key": "k", "value": "w"}, False),
        ({"key": "k", "operator": "Exists"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "other", "operator": "Exists"}, False),
        ({"key": "k", "operator": "Exists", "effect": "NoExecute"}, False),
    ],
)
def test_toleration(toleration: dict[str, Any], tolerated: bool) -> None:
    """A toleration takes a taint by key, value and effect, each optional as in Kubernetes."""
    actual = untolerated({"tolerations": [toleration]}, [TAINT])

    assert (None if tolerated else TAINT) == actual


def test_a_preference_keeps_nobody_away() -> None:
    """A PreferNoSchedule taint needs no toleration."""
    actual = untolerated({}, [TAINT | {"effect": "PreferNoSchedule"}])

    assert None is actual
