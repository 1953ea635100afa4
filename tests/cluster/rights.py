"""What the operator may do, by deploy/rbac.yaml, and what it did, by the API server's own audit log.

In: the manifests; the summary of a cluster that was started with `--audit`. Out: rights, one for each verb; calls.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelfetch.devcluster.parts import OPERATOR_ACCOUNT
from modelfetch.devcluster.summary import Summary
from tests.api_faults.call import WRITES
from tests.cluster.chart import manifests, of_kind
from tests.cluster.operator_process import ACCOUNT

Right = tuple[str, str, str]
"""API group, resource with its subresource, verb."""
_REFUSED = '"forbid"'
"""Stands in the line of a call that was refused, and in few others: no other line need be parsed."""


@dataclass(frozen=True)
class Call:
    """One request of the operator that names a resource."""

    right: Right
    namespace: str | None
    name: str | None
    code: int
    decision: str
    uri: str
    credential: str
    """Of the token that was shown."""


def rights(rules: list[dict[str, Any]]) -> set[Right]:
    """Return what rules grant, one right each."""
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def granted() -> set[Right]:
    """Return what deploy/rbac.yaml grants to the operator on the cluster."""
    (role,) = [r for r in of_kind(manifests("rbac.yaml"), "ClusterRole") if r["metadata"]["name"] == OPERATOR_ACCOUNT]
    return rights(role["rules"])


def granted_beside_it() -> set[Right]:
    """Return what it grants in the operator's own namespace: its Lease."""
    (lease,) = of_kind(manifests("rbac.yaml"), "Role")
    return rights(lease["rules"])


def for_a_lease(namespace: str) -> list[dict[str, Any]]:
    """Return the Role, and its binding, by which an operator may have its Lease in this namespace, too."""
    bodies = [body for body in manifests("rbac.yaml") if body["metadata"]["name"] == "modelfetch-leases"]
    return [{**body, "metadata": {**body["metadata"], "namespace": namespace}} for body in bodies]


def calls_of(summary: Summary, since: int = 0) -> list[Call]:
    """Return every request that operators of this cluster have made, discovery left out; `since` comes of `now`."""
    return list(_calls(summary, "", since))


def writes_of(summary: Summary, since: int = 0) -> list[Call]:
    """Return what operators of this cluster have written, their Lease left out."""
    return [call for call in calls_of(summary, since) if call.right[2] in WRITES and call.right[1] != "leases"]


def now(summary: Summary) -> int:
    """Return the place in the audit log behind all that was asked so far."""
    return _log(summary).stat().st_size


def refused(summary: Summary) -> list[str]:
    """Return the calls of the operator that this cluster has refused, whichever test it worked for."""
    return [f"{call.right} at {call.uri}" for call in _calls(summary, _REFUSED) if call.decision != "allow"]


def _log(summary: Summary) -> Path:
    return Path(summary.logs) / "audit.jsonl"


def _calls(summary: Summary, holding: str, since: int = 0) -> Iterator[Call]:
    with _log(summary).open("rb") as lines:
        lines.seek(since)
        for line in lines:
            event = json.loads(line) if holding.encode() in line else {}
            about = event.get("objectRef")
            if about and event["user"].get("username") == ACCOUNT:
                resource = "/".join(filter(None, (about["resource"], about.get("subresource"))))
                right = (about.get("apiGroup", ""), resource, event["verb"])
                decision = event["annotations"]["authorization.k8s.io/decision"]
                (credential,) = event["user"].get("extra", {}).get("authentication.kubernetes.io/credential-id", [""])
                code, uri = event["responseStatus"]["code"], event["requestURI"]
                yield Call(right, about.get("namespace"), about.get("name"), code, decision, uri, credential)
