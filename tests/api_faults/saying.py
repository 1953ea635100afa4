"""What a write says, in a word or two that are the same in every run: no name made by a hash, no time, no count.

Comes in: the body of a write. Goes out: words, empty where there is nothing to tell. Pure.
"""

from typing import Any

Object = dict[str, Any]
_ATTEMPT, _TASK = "modelfetch.io/attempt", "modelfetch.io/task"


def says(resource: str, subresource: str, body: Object) -> str:
    """Return what a body says: the attempt of a Job, the state of a status, the reason of an Event, who leads."""
    if subresource == "status":
        return _status(body.get("status") or {})
    if resource == "jobs":
        labels = (body.get("metadata") or {}).get("labels") or {}
        return " ".join(word for word in (labels.get(_TASK, ""), labels.get(_ATTEMPT, "")) if word)
    if resource == "events":
        return str(body.get("reason", "again"))
    if resource == "leases":
        return "held" if (body.get("spec") or {}).get("holderIdentity") else "blank"
    return ""


def _status(status: Object) -> str:
    ready = next((c for c in status.get("conditions") or () if c.get("type") == "Ready"), None)
    if ready is None:
        return ""
    attempt = (status.get("attempt") or {}).get("number")
    words = [str(status.get("phase") or f"Ready={ready.get('status')}"), str(ready.get("reason", ""))]
    if ready.get("reason") == "Progressing":
        words[1] = str(ready.get("message", ""))
    if "inventory" in status:
        words.append("unsettled" if status["inventory"] == "unsettled" else "settled")
    if attempt:
        words.append(f"attempt {attempt}")
    return ", ".join(dict.fromkeys(word for word in words if word))
