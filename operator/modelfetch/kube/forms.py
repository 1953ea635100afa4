"""Objects as everybody behind this door may read them: what is not of its form counts as absent.

Comes in: a body as it is stored, perhaps by a webhook, by hand, or under an older definition of its kind. Goes out: the
same body, or a copy without what nobody can read. Only what is read as it stands is named here; a spec or a status of
ours that is taken in as a whole is judged there, so of a spec nothing is left out that somebody has to be told of.
"""

from collections.abc import Callable, Mapping
from typing import Any

from modelfetch.api.meta import is_moment

Form = Callable[[Any], Any]
"""Returns a value, as far as it is of the form; NOTHING where there is nothing of it."""

NOTHING = object()
CONTAINER_STATUSES = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
"""Where a Pod's status tells of its containers."""
EVER = "1970-01-01T00:00:00Z"
"""Where a time has to stand and none does: so long ago that nobody waits for it."""


def fitted(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return an object of a kind in its form; one whose form is not known here as it is."""
    form = _FORMS.get(kind)
    return body if form is None else dict(form(body))


def _text(value: Any) -> Any:
    return value if isinstance(value, str) else NOTHING


def _whole(value: Any) -> Any:
    return value if type(value) is int else NOTHING


def _flag(value: Any) -> Any:
    return value if isinstance(value, bool) else NOTHING


def _time(value: Any) -> Any:
    return value if isinstance(value, str) and is_moment(value) else NOTHING


def _no_longer_than(length: int) -> Form:
    return lambda value: value if isinstance(value, str) and len(value) <= length else NOTHING


def _instead(form: Form, other: Any) -> Form:
    """What is there and not of the form counts as `other`, which somebody else refuses and tells of."""

    def fit(value: Any) -> Any:
        fit = form(value)
        return other if fit is NOTHING else fit

    return fit


def _each(form: Form) -> Form:
    """Only items of the form."""

    def fit(value: Any) -> Any:
        if not isinstance(value, list):
            return NOTHING
        items = [form(item) for item in value]
        return [item for item in items if item is not NOTHING]

    return fit


def _texts(value: Any) -> Any:
    """Names with a text each."""
    if not isinstance(value, dict):
        return NOTHING
    return {name: text for name, text in value.items() if isinstance(text, str)}


def _part(forms: Mapping[str, Form], needs: str = "", always: Mapping[str, Any] | None = None) -> Form:
    """Fields of these forms, others as they are; nothing without the field `needs`; `always` where one is missing."""

    def fit(value: Any) -> Any:
        if not isinstance(value, dict):
            return NOTHING
        fit = {name: forms[name](item) if name in forms else item for name, item in value.items()}
        fit = {**(always or {}), **{name: item for name, item in fit.items() if item is not NOTHING}}
        return NOTHING if needs and needs not in fit else fit

    return fit


_OWNER = _part({"uid": _text, "controller": _flag}, needs="uid")
_META = _part(
    {
        "labels": _texts,
        "annotations": _texts,
        "ownerReferences": _each(_OWNER),
        "creationTimestamp": _time,
        "deletionTimestamp": _time,
        "deletionGracePeriodSeconds": _whole,
    },
    always={"creationTimestamp": EVER},
)
_CONDITION = _part(
    {"type": _text, "status": _text, "reason": _text, "message": _text, "lastTransitionTime": _time},
    needs="type",
    always={"lastTransitionTime": EVER},
)
_WAITING = _part({"reason": _text, "message": _text})
_TERMINATED = _part({"exitCode": _whole, "reason": _text, "message": _text, "startedAt": _time, "finishedAt": _time})
_STATE = _part({"waiting": _WAITING, "running": _part({}), "terminated": _TERMINATED})
_CONTAINERS = _each(_part({"name": _text, "state": _STATE}))
_POD_STATUS = _part(
    {
        "phase": _text,
        "reason": _text,
        "message": _text,
        "conditions": _each(_CONDITION),
        **dict.fromkeys(CONTAINER_STATUSES, _CONTAINERS),
    }
)
_UNCOUNTED = _part({"failed": _each(_text), "succeeded": _each(_text)})
_COUNTS = dict.fromkeys(("active", "failed", "succeeded", "terminating"), _whole)
_JOB_STATUS = _part({"conditions": _each(_CONDITION), "uncountedTerminatedPods": _UNCOUNTED, **_COUNTS})
_OUR_STATUS = _part(
    {
        "phase": _text,
        "conditions": _each(_part({"type": _text, "status": _text, "reason": _text}, needs="type")),
        "attempt": _part({"number": _whole}),
        "artifact": _part({"digest": _text, "publishedAt": _text}),
        "display": _part({}),
    }
)
_NO_NAME = {"name": ""}
_STORE_REF = _instead(_part({"name": _instead(_text, "")}), _NO_NAME)
_LEASE_SPEC = _part(
    {
        "holderIdentity": _text,
        "leaseDurationSeconds": _whole,
        "leaseTransitions": _whole,
        "acquireTime": _text,
        "renewTime": _text,
    }
)
_SAID = dict.fromkeys(("reason", "message", "lastTimestamp", "eventTime"), _text)

_FORMS: dict[str, Form] = {
    "ModelFetch": _part(
        {"metadata": _META, "spec": _instead(_part({"storeRef": _STORE_REF}), {}), "status": _OUR_STATUS}
    ),
    "ModelStore": _part({"metadata": _META, "status": _OUR_STATUS}),
    "Job": _part({"metadata": _META, "status": _JOB_STATUS}),
    "Pod": _part(
        {"metadata": _META, "spec": _part({"nodeName": _no_longer_than(253)}), "status": _POD_STATUS},
        always={"spec": {}},
    ),
    "PersistentVolumeClaim": _part(
        {"spec": _part({"volumeName": _no_longer_than(253)}), "status": _part({"phase": _text})}
    ),
    "Event": _part({**_SAID, "count": _whole}),
    "Lease": _part({"spec": _LEASE_SPEC}),
}
