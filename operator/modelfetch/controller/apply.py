"""One API call for each action, and the write of a status.

Comes in: actions and statuses of core. Goes out: objects as the server stored them. Every call may be repeated: names
are deterministic, deletes carry the uid, the status is server-side applied as a whole.
"""

from collections.abc import Callable
from typing import Any

from modelfetch.core.actions import Action, CreateJob, DeleteJob
from modelfetch.core.job import HASH_ANNOTATION
from modelfetch.errors import sanitise
from modelfetch.kube.client import Kube, KubeError, Object, Resource
from modelfetch.kube.objects import JOBS

FIELD_MANAGER = "modelfetch-operator"
_REFUSALS = (400, 403, 422)
_WEBHOOK_FAILED = "failed calling webhook"
"""A status of 500 that may stay: somebody's webhook is down, and the words say whose."""


class Refused(Exception):
    """The API server will not have this Job as things are: quota, policy, admission, or a foreign Job of its name."""


Learn = Callable[[Resource, Object], Any]


class Applier:
    """Acts; `learn` takes in what the server answered."""

    def __init__(self, kube: Kube, learn: Learn) -> None:
        self._kube = kube
        self._learn = learn

    async def act(self, namespace: str, action: Action) -> None:
        """Carry out one action. Raises Refused, or KubeError where the outcome is unknown or worth another try."""
        if isinstance(action, DeleteJob):
            await self._kube.delete(JOBS, namespace, action.name, uid=action.uid, propagation="Foreground")
        else:
            await self._create(namespace, action)

    async def _create(self, namespace: str, action: CreateJob) -> None:
        try:
            self._learn(JOBS, await self._kube.create(JOBS, namespace, action.manifest))
        except KubeError as error:
            if error.already_exists:
                await self._adopt(namespace, action)
            elif error.status in _REFUSALS or _WEBHOOK_FAILED in error.message:
                raise Refused(sanitise(error.message)) from None
            else:
                raise

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


def _identity(job: Object) -> tuple[Any, Any]:
    meta = job["metadata"]
    owner = next((o.get("uid") for o in meta.get("ownerReferences") or () if o.get("controller")), None)
    return owner, (meta.get("annotations") or {}).get(HASH_ANNOTATION)
