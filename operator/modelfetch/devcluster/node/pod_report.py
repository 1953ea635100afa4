"""Writes one Pod's status until the API server has it: the newest state only, patiently, for this uid only."""

import asyncio
import logging
from collections.abc import Callable

from modelfetch.devcluster.node.objects import key, uid
from modelfetch.devcluster.node.registration import MANAGER
from modelfetch.kube.client import Kube, Object
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import PODS

_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.2, 5.0
_log = logging.getLogger(__name__)


class PodReport:
    """`make` turns the Pod as last written into its status now; states in between may be left out, never the last."""

    def __init__(self, kube: Kube, pod: Object, make: Callable[[Object], Object]) -> None:
        self._kube, self._pod, self._make = kube, pod, make
        self._wanted, self._written = 0, 0
        self._wake, self._done = asyncio.Event(), asyncio.Event()
        self._done.set()

    def changed(self) -> None:
        """Have the present state written."""
        self._wanted += 1
        self._done.clear()
        self._wake.set()

    async def settled(self) -> None:
        """Return once the newest state is written, or the Pod is found to be gone."""
        await self._done.wait()

    async def run(self) -> None:
        """Write whenever there is news, until cancelled."""
        delay = _FIRST_DELAY_S
        while True:
            await self._wake.wait()
            writing = self._wanted
            if not await self._write():
                await asyncio.sleep(delay)
                delay = min(delay * 2, _LONGEST_DELAY_S)
                continue
            delay, self._written = _FIRST_DELAY_S, writing
            if self._written == self._wanted:
                self._wake.clear()
                self._done.set()

    async def _write(self) -> bool:
        namespace, name = key(self._pod)
        body = {"metadata": {"name": name, "uid": uid(self._pod)}, "status": self._make(self._pod)}
        try:
            self._pod = await self._kube.apply(PODS, namespace, name, body, manager=MANAGER, subresource="status")
        except KubeError as error:
            if error.is_not_found or error.is_conflict:
                # The Pod is gone, or another one has its name: nobody wants this status any more.
                return True
            _log.warning("status of %s/%s is written again later: %s", namespace, name, error)
            return False
        return True
