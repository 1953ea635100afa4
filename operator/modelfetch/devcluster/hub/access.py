"""Who may see what, told the way the Hugging Face Hub tells it.

In: a repository and the name of the token that came, if any. Out: None, or the refusal as an answer with the hub's own
error codes and messages. Before: listing.py and resolve.py ask here first.
"""

import json
from collections.abc import Mapping

from modelfetch.devcluster.hub.content import Content
from modelfetch.devcluster.hub.message import Answer, Request
from modelfetch.devcluster.hub.repository import Repository

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="Authentication required", charset="UTF-8"'}


def refusal(status: int, code: str | None, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an error as the hub sends it: the code and the message in headers, the message in a JSON body."""
    codes = {} if code is None else {"X-Error-Code": code}
    challenge = CHALLENGE if status == 401 else {}
    body = Content.of(json.dumps({"error": message}).encode())
    kind = {"Content-Type": "application/json; charset=utf-8", "X-Error-Message": message}
    return Answer(status, body, {**kind, **codes, **challenge, **(headers or {})})


def missing_repository(request: Request) -> Answer:
    """Return the answer for a repository that does not exist, or that this caller may not know of."""
    if request.token is None:
        return refusal(401, "RepoNotFound", "Invalid username or password.")
    return refusal(404, "RepoNotFound", "Repository not found")


def denied(repository: Repository | None, request: Request) -> Answer | None:
    """Return why this caller may not see even the names of the files, None when it may."""
    if request.credentials == "unknown":
        return refusal(401, None, "Invalid credentials in Authorization header")
    if repository is None or (repository.spec.private and request.token not in repository.spec.readers):
        return missing_repository(request)
    if repository.spec.disabled:
        return refusal(403, "DisabledRepo", "Access to this resource is disabled.")
    return None


def denied_bytes(repository: Repository, request: Request) -> Answer | None:
    """Return why this caller may not read the files of a gated repository, None when it may."""
    if not repository.spec.gated or request.token in repository.spec.readers:
        return None
    name, restricted = repository.repo_id, f"Access to {repository.spec.kind} {repository.repo_id} is restricted"
    if request.token is None:
        needs = "You must have access to it and be authenticated to access it. Please log in."
        return refusal(401, "GatedRepo", f"{restricted}. {needs}")
    ask = f"Visit the page of {name} to ask for access."
    return refusal(403, "GatedRepo", f"{restricted} and you are not in the authorized list. {ask}")
