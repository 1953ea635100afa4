"""One replica leads, the others wait: a Lease, renewed while it is held, blanked at the end.

Comes in: a client of its own, so that no reconcile is in its way. Goes out: `win`, `keep`, `give_up`, and how long the
reconciles may still write. A former leader has stopped writing before another may begin: whatever happens to the API
server, the network or this process (paused, clock set), its writes end WRITES_S after its last renewal was sent, and
nobody takes the Lease before LEASE_S after that one arrived.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from modelfetch.controller.mirror import version_of
from modelfetch.core.lease import Sight, held, released, sighted
from modelfetch.kube.client import REQUEST_TIMEOUT_S, Kube, KubeError, Object
from modelfetch.kube.objects import LEASES

RENEW_S = 3.0
"""Between two renewals: three may fail before writing ends."""
LOOK_S = 1.0
"""Between two looks of a replica that waits: what a clean stop costs at most."""
CALL_S = 3.0
"""For one call about the Lease; a request that hangs must not outlast the leadership."""
WRITES_S = 10.0
"""Seconds after a renewal was sent within which writes may reach the API server; 5 less than LEASE_S, for those that
are on their way in the server when their client gives up."""

log = logging.getLogger("modelfetch.controller")


class LeadershipLost(Exception):
    """Another replica leads, or the API server could not be told in time that this one does, or has forgotten things.

    After a backup of etcd was restored a watch from a version that is still to come brings nothing, and what is known
    may be of a history that is no more (row F26 of docs/faults.md): a process that starts anew sees what there is.
    """


@dataclass(frozen=True)
class Place:
    """Which Lease, and as whom."""

    namespace: str
    name: str
    identity: str


class Leadership:
    """This replica's part; `elapsed` is seconds that go on while the process or the machine sleeps."""

    def __init__(self, kube: Kube, place: Place, now: Callable[[], datetime], elapsed: Callable[[], float]) -> None:
        self.place = place
        self._kube = kube
        self._now = now
        self._elapsed = elapsed
        self._lease: Object = {}
        self._sight: Sight | None = None
        self._renewed: float | None = None

    @property
    def is_held(self) -> bool:
        """True while this replica leads."""
        return self._renewed is not None

    def window_s(self) -> float:
        """Return the seconds within which a write may still arrive; 0.0 or less: none may be sent."""
        return 0.0 if self._renewed is None else self._renewed + WRITES_S - self._elapsed()

    async def win(self, stop: asyncio.Event) -> bool:
        """Wait until this replica leads, as long as it takes; False when asked to stop meanwhile."""
        told = ""
        while not stop.is_set():
            obstacle = await self._try_to_win()
            if obstacle is None:
                return True
            if obstacle != told:
                log.info("waits to lead", extra={"why": obstacle, "lease": f"{self.place.namespace}/{self.place.name}"})
                told = obstacle
            await _pause(stop, LOOK_S)
        return False

    async def keep(self) -> None:
        """Renew for ever; raises LeadershipLost."""
        while True:
            await asyncio.sleep(RENEW_S)
            try:
                async with asyncio.timeout(CALL_S):
                    await self._renew()
            except (KubeError, TimeoutError) as error:
                left_s = self.window_s()
                log.warning("cannot renew the Lease", extra={"why": _why(error), "writes_end_in_s": round(left_s, 1)})
                if left_s <= 0:
                    self._renewed = None
                    raise LeadershipLost(f"the Lease could not be renewed for {WRITES_S:g} s: {_why(error)}") from None

    async def give_up(self) -> None:
        """Nobody holds the Lease afterwards, where this replica did; it writes nothing from now on."""
        if self._renewed is None or self._sight is None:
            return
        self._renewed = None
        try:
            async with asyncio.timeout(CALL_S):
                await self._replace(released(self._sight, self._now()))
        except (KubeError, TimeoutError) as error:
            log.warning("could not blank the Lease; others wait until it is stale", extra={"why": _why(error)})

    async def _try_to_win(self) -> str | None:
        """Return what is in the way, None where this replica leads now."""
        try:
            async with asyncio.timeout(CALL_S):
                found = await self._kube.find(LEASES, self.place.namespace, self.place.name)
                sight = self._take_in(found) if found is not None else None
                if sight is not None and not sight.may_be_taken(self.place.identity, self._elapsed()):
                    return f"'{sight.holder}' leads"
                await self._hold(sight)
        except (KubeError, TimeoutError) as error:
            return _why(error)
        return None

    async def _hold(self, before: Sight | None) -> None:
        sent = self._elapsed()
        spec = held(self.place.identity, before, self._now())
        self._take_in(await (self._replace(spec) if before is not None else self._create(spec)))
        # From when it was sent: it may have arrived long before its answer did.
        self._renewed = sent

    async def _renew(self) -> None:
        assert self._sight is not None, "what is renewed has been won"
        try:
            await self._hold(self._sight)
        except KubeError as error:
            if not (error.is_conflict or error.is_not_found):
                raise
            await self._renew_what_was_changed()

    async def _renew_what_was_changed(self) -> None:
        """Somebody's label or annotation is no change of leader."""
        known = self._lease
        found = await self._kube.find(LEASES, self.place.namespace, self.place.name)
        sight = self._take_in(found) if found is not None else None
        if sight is None or sight.holder != self.place.identity:
            self._renewed = None
            raise LeadershipLost("the Lease was deleted" if sight is None else f"'{sight.holder}' leads")
        if version_of(self._lease) < version_of(known):
            raise LeadershipLost("the API server has an older Lease than it had: etcd was restored from a backup")
        await self._hold(sight)

    def _take_in(self, lease: Object) -> Sight:
        self._lease = lease
        self._sight = sighted(lease, self._sight, self._elapsed())
        return self._sight

    async def _create(self, spec: Object) -> Object:
        meta = {"name": self.place.name, "namespace": self.place.namespace}
        body = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": meta, "spec": spec}
        return await self._kube.create(LEASES, self.place.namespace, body)

    async def _replace(self, spec: Object) -> Object:
        """Replace exactly the version that was seen: of two that try at once one gets a conflict."""
        return await self._kube.replace(LEASES, self.place.namespace, self.place.name, {**self._lease, "spec": spec})


class Alone:
    """The part of an operator that has no other replica: it leads from the start and never stops."""

    is_held = True

    def window_s(self) -> float:
        """Return the time that any request may take."""
        return REQUEST_TIMEOUT_S

    async def win(self, _stop: asyncio.Event) -> bool:
        """Lead at once."""
        return True

    async def keep(self) -> None:
        """Go on for ever."""
        await asyncio.Event().wait()

    async def give_up(self) -> None:
        """Nothing is held."""


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return


def _why(error: Exception) -> str:
    return str(error) or f"no answer within {CALL_S:g} s"
