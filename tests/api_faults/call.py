"""A request as the API understands it: verb, resource, names; from its method, its URL and its body.

Comes in: what stands on the wire. Goes out: `Call`. Pure.
"""

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.api_faults.saying import says

READS = frozenset(("get", "list"))
WRITES = frozenset(("create", "update", "patch", "delete", "deletecollection"))
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}
_OF_NAMESPACES = ("status", "finalize")
_FETCH_NAME = "modelfetch.io/fetch-name"
_HASHED = re.compile(r"^mf-(?:rm-)?[0-9a-f]{32}$|\.[0-9a-f]{16}$")
"""What the name of a Job or Event has from somebody's uid, so that it is another one in each run."""


@dataclass(frozen=True)
class Call:
    """What a client wants. `about` is the ModelFetch that a Job or Pod says it is for, else the object's own name.

    `says` is what the body of a write has to tell.
    """

    verb: str
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    about: str = ""
    says: str = ""

    @property
    def sentence(self) -> str:
        """The call in words that are the same in every run."""
        words = [self.verb, self.kind, _HASHED.sub("", self.about)]
        return " ".join(filter(None, words)) + (f": {self.says}" if self.says else "")

    @property
    def kind(self) -> str:
        """The resource as RBAC names it: `jobs`, `modelfetches/status`."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def read_call(method: str, target: str, body: bytes) -> Call:
    """Return the call of a request; of what is no resource, such as /version, the path is the name."""
    url = urlsplit(target)
    steps = [unquote(step) for step in url.path.strip("/").split("/")]
    skip = {"api": 2, "apis": 3}.get(steps[0], len(steps))
    scoped = steps[skip:]
    if not scoped:
        return Call(method.lower(), name=url.path, about=url.path)
    namespace = ""
    if scoped[0] == "namespaces" and len(scoped) > 2 and scoped[2] not in _OF_NAMESPACES:
        namespace, scoped = scoped[1], scoped[2:]
    resource, name, subresource = (*scoped, "", "")[:3]
    sent = _document(body)
    name = name or str((sent.get("metadata") or {}).get("name", ""))
    verb = _verb(method, named=len(scoped) > 1, watches=parse_qs(url.query).get("watch", [""])[0] in ("true", "1"))
    told = says(resource, subresource, sent) if verb in WRITES else ""
    return Call(verb, resource, subresource, namespace, name, about(sent) or name, told)


def about(body: dict[str, Any]) -> str:
    """Return the name of the ModelFetch that an object is for, else its own, else nothing."""
    meta = body.get("metadata") or {}
    return str((meta.get("annotations") or {}).get(_FETCH_NAME) or meta.get("name", ""))


def _verb(method: str, *, named: bool, watches: bool) -> str:
    if method == "GET":
        return "watch" if watches else "get" if named else "list"
    if method == "DELETE":
        return "delete" if named else "deletecollection"
    return _VERBS.get(method, method.lower())


def _document(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
