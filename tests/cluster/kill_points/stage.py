"""What a scenario is told with: a user who applies, edits and deletes, and waits for what the API server says.

Comes in: a namespace, its witness, its cast, its operators. Goes out: `Stage`. Every wait is for a state that comes
about whoever was killed meanwhile.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from modelfetch.api.fetch import RECONCILE_ANNOTATION
from modelfetch.controller.leadership import CHECK_ANNOTATION
from modelfetch.core.job import FETCH_LABEL
from modelfetch.core.store import inventory
from modelfetch.kube.client import Kube, Object
from modelfetch.kube.objects import CLAIMS, JOBS, LEASES, MODELFETCHES, MODELSTORES, PODS, Resource
from tests.cluster.kill_points.kubelet import Cast
from tests.cluster.kill_points.shift import Shift
from tests.cluster.kill_points.witness import Witness
from tests.simulation import pods

CLAIM, STORE, LEASE = "models", "default", "modelfetch-operator"
QUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota")
_COUNTED = "count/jobs.batch"
_USER = "a-user"
_RETRY = {"initialDelay": "1s", "maxDelay": "1s"}


@dataclass(frozen=True)
class Stage:
    """One namespace, and everybody in it."""

    kube: Kube
    namespace: str
    witness: Witness
    cast: Cast
    shift: Shift

    # What users do

    async def apply(self, resource: Resource, name: str, **parts: Any) -> None:
        """Apply an object as its user wants it from now on."""
        body = {"metadata": {"name": name}, **parts}  # a part may be the metadata
        await self.kube.apply(resource, self.namespace, name, body, manager=_USER)

    async def claim(self) -> None:
        """Apply the claim; it is Pending, as one is that waits for its first consumer."""
        spec = {"accessModes": ["ReadWriteMany"], "storageClassName": "", "volumeName": "played"}
        await self.apply(CLAIMS, CLAIM, spec={**spec, "resources": {"requests": {"storage": "1Gi"}}})

    async def store(self, slots: int = 3) -> None:
        """Apply the store, and return once its status says something: fetches that come then know it."""
        await self.apply(MODELSTORES, STORE, spec={"claimName": CLAIM, "slots": slots})
        await self.witness.until(lambda: self.status(MODELSTORES, STORE).get("conditions"), "a status of the store")

    async def fetch(self, name: str, *, asked: str = "", **spec: Any) -> None:
        """Apply a fetch; `asked` is the value of the annotation by which a look is asked for."""
        annotations = {RECONCILE_ANNOTATION: asked} if asked else {}
        spec = {"source": {"uri": f"hf://acme/{name}"}, "retry": _RETRY, **spec}
        meta = {"name": name, "annotations": annotations}
        await self.apply(MODELFETCHES, name, metadata=meta, spec=spec)

    async def delete(self, name: str) -> None:
        """Delete a fetch; it is gone when this returns, since nothing holds it (I10)."""
        body = self.witness.find(MODELFETCHES, name)
        assert body is not None
        await self.kube.delete(MODELFETCHES, self.namespace, name)
        await self.witness.until(lambda: not self._is_there(body), f"the end of '{name}'", within_s=5.0)

    def _is_there(self, body: Object) -> bool:
        found = self.witness.find(MODELFETCHES, body["metadata"]["name"])
        return found is not None and found["metadata"]["uid"] == body["metadata"]["uid"]

    def release(self, name: str) -> None:
        """The attempts of a fetch that were held go on."""
        self.cast.release(name)
        self.witness.news()

    async def lose(self, name: str) -> None:
        """What is published of a fetch goes, and who leads has to look for all: nobody has a Lease to go by."""
        del self.cast.volumes[CLAIM].models[name]
        await self.kube.delete(LEASES, self.namespace, LEASE)

    # What comes of it

    async def comes(self, name: str, phase: str, reason: str = "") -> Object:
        """Return the status of a fetch once it speaks of the newest spec, is in this phase, and Ready for a reason."""
        await self.witness.until(lambda: self._is_in(name, phase, reason), f"'{name}' comes to {phase} {reason}")
        return self.status(MODELFETCHES, name)

    async def comes_with(self, name: str, commit: str) -> None:
        """Return once a fetch is Ready with this commit."""

        def has_it() -> bool:
            artifact = self.status(MODELFETCHES, name).get("artifact") or {}
            return self._is_in(name, "Ready", "") and artifact.get("revision") == commit

        await self.witness.until(has_it, f"'{name}' comes with {commit}")

    async def comes_again(self, name: str) -> None:
        """Return once a fetch is Ready by its second attempt."""

        def is_there() -> bool:
            attempt = self.status(MODELFETCHES, name).get("attempt") or {}
            return self._is_in(name, "Ready", "") and attempt.get("number") == 2

        await self.witness.until(is_there, f"'{name}' comes again")

    async def nobody_asks(self) -> None:
        """Return once the Lease does not ask any more to look for what is Ready."""
        while await self._is_asked_to_look():
            await asyncio.sleep(0.05)

    async def _is_asked_to_look(self) -> bool:
        lease = await self.kube.get(LEASES, self.namespace, LEASE)
        return CHECK_ANNOTATION in (lease["metadata"].get("annotations") or {})

    def _is_in(self, name: str, phase: str, reason: str) -> bool:
        body, status = self.witness.find(MODELFETCHES, name), self.status(MODELFETCHES, name)
        if body is None or status.get("observedGeneration") != body["metadata"]["generation"]:
            return False
        asked = (body["metadata"].get("annotations") or {}).get(RECONCILE_ANNOTATION)
        ready: Object = next((c for c in status.get("conditions") or () if c["type"] == "Ready"), {})
        is_heard = asked is None or asked == status.get("lastHandledReconcileAt")
        return is_heard and status.get("phase") == phase and reason in ("", ready.get("reason"))

    def status(self, resource: Resource, name: str) -> Object:
        """Return the status of an object, empty where it has none."""
        return dict((self.witness.find(resource, name) or {}).get("status") or {})

    async def settled(self) -> None:
        """Return once the store's inventory is that of who is there, all Pods have ended, nothing is left to remove."""
        await self.witness.until(self._is_settled, "all is settled")

    def _is_settled(self) -> bool:
        uids = {body["metadata"]["uid"] for body in self.witness.all(MODELFETCHES)}
        is_counted = self.status(MODELSTORES, STORE).get("inventory") == inventory(uids)
        have_ended = all(map(pods.is_finished, self.witness.all(JOBS))) and all(
            map(pods.has_ended, self.witness.all(PODS))
        )
        return is_counted and have_ended and self._owners() <= uids

    def _owners(self) -> set[str]:
        bodies = [*self.witness.all(JOBS), *self.witness.all(PODS)]
        return {body["metadata"]["labels"].get(FETCH_LABEL, "(the store)") for body in bodies}

    async def quota(self, jobs: int) -> None:
        """Return when so many Jobs, and no more, are allowed in the namespace."""
        await self.apply(QUOTAS, "jobs", spec={"hard": {_COUNTED: str(jobs)}})
        while not await self._is_in_force(jobs):
            await asyncio.sleep(0.05)

    async def _is_in_force(self, jobs: int) -> bool:
        body = await self.kube.get(QUOTAS, self.namespace, "jobs")
        return bool(body["status"].get("hard", {}).get(_COUNTED) == str(jobs))
