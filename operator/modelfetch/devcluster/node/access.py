"""Who may read logs from this node: the API server, and nobody on the word of the connection alone.

In: a verified client certificate or a bearer token. Out: yes or no, by the API server's own TokenReview and
SubjectAccessReview for nodes/proxy, as a kubelet in webhook mode asks. Answers are kept for a minute.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelfetch.devcluster.node.objects import ACCESS_REVIEWS, TOKEN_REVIEWS
from modelfetch.kube.client import Kube
from modelfetch.kube.objects import Resource

KEPT_S = 60.0


@dataclass(frozen=True)
class Caller:
    """A name and its groups."""

    user: str
    groups: tuple[str, ...] = ()


def certificate_caller(certificate: Mapping[str, Any] | None) -> Caller | None:
    """Return who a verified certificate names (CN, and O as groups); None without one."""
    names = [pair for rdn in (certificate or {}).get("subject", ()) for pair in rdn]
    users = [value for kind, value in names if kind == "commonName"]
    groups = tuple(value for kind, value in names if kind == "organizationName")
    return Caller(users[0], groups) if users else None


@dataclass
class Access:
    """Asks the API server; `monotonic` gives seconds."""

    kube: Kube
    node: str
    monotonic: Callable[[], float]
    _known: dict[Caller, tuple[float, bool]] = field(default_factory=dict)

    async def token_caller(self, token: str) -> Caller | None:
        """Return who the token belongs to, None when the API server does not know it; raises KubeError."""
        answer = await self.kube.create(TOKEN_REVIEWS, None, _review(TOKEN_REVIEWS, token=token))
        status = answer.get("status", {})
        if not status.get("authenticated"):
            return None
        user = status["user"]
        return Caller(user["username"], tuple(user.get("groups") or ()))

    async def may_read(self, caller: Caller) -> bool:
        """True when the caller has nodes/proxy on this node; raises KubeError."""
        until, allowed = self._known.get(caller, (0.0, False))
        if until > self.monotonic():
            return allowed
        wanted = {"verb": "get", "resource": "nodes", "subresource": "proxy", "name": self.node}
        groups = [*caller.groups, "system:authenticated"]
        body = _review(ACCESS_REVIEWS, user=caller.user, groups=groups, resourceAttributes=wanted)
        answer = await self.kube.create(ACCESS_REVIEWS, None, body)
        allowed = bool(answer.get("status", {}).get("allowed"))
        self._known[caller] = (self.monotonic() + KEPT_S, allowed)
        return allowed


def _review(resource: Resource, **spec: object) -> dict[str, object]:
    return {"apiVersion": resource.api_version, "kind": resource.kind, "spec": spec}
