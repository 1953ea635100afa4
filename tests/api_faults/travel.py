"""Time travel: a read as it would have been answered at an earlier revision of the cluster.

etcd keeps revisions for minutes, and the API server lists at any of them that is asked for exactly. Comes in: a read
and a revision. Goes out: the request to make instead, and how its answer is read. Pure.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from tests.api_faults.call import Call
from tests.api_faults.exchange import Answered, failure


def then(call: Call, target: str, revision: int) -> str:
    """Return the target that is answered from `revision`; of a list's later pages, which know their own, the same."""
    url = urlsplit(target)
    query = dict(parse_qsl(url.query, keep_blank_values=True))
    if call.verb == "watch":
        return _with(target, query | {"resourceVersion": str(revision)})
    if "continue" in query:
        return target
    at = {"resourceVersion": str(revision), "resourceVersionMatch": "Exact"}
    if call.verb == "list":
        return _with(target, query | at)
    collection = url.path.rsplit("/", 1)[0]
    return _with(collection, {"fieldSelector": f"metadata.name={call.name}", **at})


def read_then(call: Call, answered: Answered) -> Answered:
    """Return the answer to the read itself: an object comes out of the list of one that stood for it."""
    if call.verb != "get" or answered.status != 200:
        return answered
    listed = json.loads(answered.body)
    if not listed["items"]:
        return failure(404, "NotFound", f'{call.resource} "{call.name}" not found')
    typed = {"apiVersion": listed["apiVersion"], "kind": str(listed["kind"]).removesuffix("List")}
    return replace(answered, body=json.dumps({**typed, **listed["items"][0]}).encode())


def _with(target: str, query: Mapping[str, str]) -> str:
    url = urlsplit(target)
    return urlunsplit(url._replace(query=urlencode(query)))
