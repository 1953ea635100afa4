"""Does a node fit a selector, an affinity term, a taint: pure, in Kubernetes' meaning."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

Json = dict[str, Any]


def matches_terms(terms: Sequence[Json], node: Json) -> bool:
    """True when one of the node selector terms matches; a term without expressions matches nothing."""
    return any(_matches_term(term, node) for term in terms)


def matches_pod(spec: Json, node: Json) -> bool:
    """True when the node has the labels of the Pod's nodeSelector and meets its required node affinity."""
    labels = node["metadata"].get("labels", {})
    wanted = spec.get("nodeSelector") or {}
    if any(labels.get(name) != value for name, value in wanted.items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return required is None or matches_terms(required["nodeSelectorTerms"], node)


def untolerated(spec: Json, taints: Sequence[Json]) -> Json | None:
    """Return the first taint that keeps the Pod away, None where all are tolerated or only preferences."""
    tolerations = spec.get("tolerations") or []
    for taint in taints:
        hard = taint["effect"] in ("NoSchedule", "NoExecute")
        if hard and not any(_tolerates(toleration, taint) for toleration in tolerations):
            return taint
    return None


def _tolerates(toleration: Json, taint: Json) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    return bool(toleration.get("key")) and toleration.get("value", "") == taint.get("value", "")


def _matches_term(term: Json, node: Json) -> bool:
    labels = node["metadata"].get("labels", {})
    fields = {"metadata.name": node["metadata"]["name"]}
    by_label, by_field = term.get("matchExpressions") or [], term.get("matchFields") or []
    if not by_label and not by_field:
        return False
    return all(_holds(rule, labels) for rule in by_label) and all(_holds(rule, fields) for rule in by_field)


def _holds(rule: Json, values: Mapping[str, str]) -> bool:
    present, operator = rule["key"] in values, rule["operator"]
    actual, wanted = values.get(rule["key"], ""), list(rule.get("values") or [])
    if operator in ("Exists", "DoesNotExist"):
        return bool(present == (operator == "Exists"))
    if operator == "NotIn":
        return not present or actual not in wanted
    if operator == "In":
        return present and actual in wanted
    return present and _compares(operator, actual, wanted[0])


def _compares(operator: str, actual: str, wanted: str) -> bool:
    try:
        left, right = Decimal(actual), Decimal(wanted)
    except InvalidOperation:
        return False
    return left > right if operator == "Gt" else left < right
