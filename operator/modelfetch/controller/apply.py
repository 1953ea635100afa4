"""One API call for each action, and the write of a status.

Comes in: actions and statuses of core. Goes out: objects as the server stored them. Every call may be repeated: names
are deterministic, deletes carry the uid, the status is server-side applied as a whole.
"""

import contextlib
import logging
from collections.abc import Callable
from typing import Any

from modelfetch.controller.mirror import Key, controller_of
from modelfetch.core.actions import Action, CreateJob, DeleteJob
from modelfetch.core.job import HASH_ANNOTATION
from modelfetch.core.retry import WAIT_S
from modelfetch.errors import sanitise
from modelfetch.kube.client import Kube, Object
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import JOBS, Resource

HELD_S = WAIT_S - 5.0
"""Seconds for which nobody asks again for what was refused: a little less than whoever waits for it waits."""
FIELD_MANAGER = "modelfetch-operator"
log = logging.getLogger("modelfetch.controller")
_REFUSALS = (400, 403, 422)
_WEBHOOK_FAILED = "failed calling webhook"
"""A status of 500 that may stay: somebody's webhook is down, and the words say whose."""


class Refused(Exception):
    """The API server will not have this Job as things are: quota, policy, admission, or a foreign Job of its name."""

    def __init__(self, why: str, *, was_there: bool = False) -> None:
        """`was_there` where it had made the Job, whose Pod may have started."""
        super().__init__(why)
        self.was_there = was_there


class NotDeleted(Exception):
    """The API server does not let the operator delete this Job: no right, or a policy. In its words."""


Learn = Callable[[Resource, Object], Any]
Lose = Callable[[Resource, Key, str], Any]


class Applier:
    """Acts; `learn` takes in what the server answered, `lose` what is not there though it should be deleted.

    `monotonic` gives seconds.
    """

    def __init__(self, kube: Kube, learn: Learn, lose: Lose, monotonic: Callable[[], float]) -> None:
        self._kube = kube
        self._learn = learn
        self._lose = lose
        self._monotonic = monotonic
        self._kept: dict[str, tuple[float, str]] = {}
        """By uid of a Job that may not be deleted: until when nobody asks again, and why."""
        self._deleted: set[str] = set()
        """Uids of what was deleted here and is not known to be gone."""

    def has_deleted(self, uid: str) -> bool:
        """Return of an object that is gone whether it was deleted here; it is forgotten."""
        is_ours = uid in self._deleted
        self._deleted.discard(uid)
        return is_ours

    async def act(self, namespace: str, action: Action) -> None:
        """Carry out one action.

        Raises Refused or NotDeleted, or KubeError where the outcome is unknown or worth another try.
        """
        if isinstance(action, DeleteJob):
            await self._delete(namespace, action.name, action.uid)
        else:
            await self._create(namespace, action)

    async def _delete(self, namespace: str, name: str, uid: str) -> None:
        """Its Pods end first: while the Job is there, no other is made under its name."""
        kept = self._kept.get(uid)
        if kept is not None and self._monotonic() < kept[0]:
            raise NotDeleted(kept[1])
        self._deleted.add(uid)
        try:
            answer = await self._kube.delete(JOBS, namespace, name, uid=uid, propagation="Foreground")
        except KubeError as error:
            if _is_refusal(error):
                raise self._not_deleted(Key(JOBS.kind, namespace, name), uid, sanitise(error.message)) from None
            raise
        self._kept.pop(uid, None)
        if answer is None:
            self._lose(JOBS, Key(JOBS.kind, namespace, name), uid)
            self._deleted.discard(uid)
        elif (answer.get("metadata") or {}).get("deletionTimestamp"):
            self._learn(JOBS, answer)  # on its way out: to be deleted once, however late its event comes

    def _not_deleted(self, job: Key, uid: str, why: str) -> NotDeleted:
        """Return what is raised; nobody asks again for a while, and what was refused before that is forgotten."""
        log.warning("a Job may not be deleted", extra={"object": str(job), "why": why, "again_in_s": WAIT_S})
        now_s = self._monotonic()
        self._deleted.discard(uid)
        held = {other: kept for other, kept in self._kept.items() if now_s < kept[0]}
        self._kept = held | {uid: (now_s + HELD_S, why)}
        return NotDeleted(why)

    async def _create(self, namespace: str, action: CreateJob) -> None:
        try:
            stored = await self._kube.create(JOBS, namespace, action.manifest)
        except KubeError as error:
            if error.already_exists:
                await self._adopt(namespace, action)
            elif _is_refusal(error):
                raise Refused(sanitise(error.message)) from None
            else:
                raise
        else:
            await self._take(namespace, action, stored)

    async def _take(self, namespace: str, action: CreateJob, stored: Object) -> None:
        """A Job that does not say any more whose it is and what for would run beside another one made in its place."""
        changed = _changed(stored, action.manifest)
        if changed is None:
            self._learn(JOBS, stored)
            return
        with contextlib.suppress(NotDeleted):
            await self._delete(namespace, action.name, stored["metadata"]["uid"])
        why = f"what admits Jobs in this cluster has changed {changed} of Job '{action.name}'"
        raise Refused(why, was_there=True)

    async def _adopt(self, namespace: str, action: CreateJob) -> None:
        """An earlier try of ours may have been committed without its answer; anybody else's Job is not ours."""
        found = await self._kube.find(JOBS, namespace, action.name)
        if found is None:
            raise KubeError(409, "Conflict", f"Job '{action.name}' came and went")
        if _identity(found) != _identity(action.manifest):
            raise Refused(f"a Job '{action.name}' exists that is not this resource's; delete it")
        self._learn(JOBS, found)

    async def status(self, resource: Resource, meta: Any, status: dict[str, Any]) -> None:
        """Write the whole status of the version that was looked at.

        Raises KubeError; a conflict says that the object has changed or is another one, and is worth another look.
        """
        version = {"resourceVersion": meta.resource_version} if meta.resource_version else {}
        body = {
            "metadata": {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid, **version},
            "status": status,
        }
        stored = await self._kube.apply(
            resource, meta.namespace, meta.name, body, manager=FIELD_MANAGER, subresource="status"
        )
        self._learn(resource, stored)


def _is_refusal(error: KubeError) -> bool:
    return error.status in _REFUSALS or _WEBHOOK_FAILED in error.message


def _changed(job: Object, manifest: Object) -> str | None:
    """Return which of our marks is not as it was asked for, None where all are."""
    if controller_of(job) != controller_of(manifest):
        return "the owner"
    for kind in ("labels", "annotations"):
        ours, stored = manifest["metadata"].get(kind) or {}, job["metadata"].get(kind) or {}
        wrong = next((name for name, value in ours.items() if stored.get(name) != value), None)
        if wrong is not None:
            return f"{kind.removesuffix('s')} '{wrong}'"
    return None


def _identity(job: Object) -> tuple[Any, Any]:
    return controller_of(job), (job["metadata"].get("annotations") or {}).get(HASH_ANNOTATION)
