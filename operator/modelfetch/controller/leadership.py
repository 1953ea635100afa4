"""One replica leads, the others wait: a Lease, renewed while it is held, blanked at the end.

The Lease tells, too, that what is Ready has to be looked for on the volumes: etcd was restored from a backup under a
leader, or nobody led for so long that it may have been. Whoever leads does that, until it is done.

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
from modelfetch.core.lease import LEASE_S, Sight, held, released, sighted
from modelfetch.kube.client import REQUEST_TIMEOUT_S, Kube, Object
from modelfetch.kube.errors import KubeError
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

CHECK_ANNOTATION = "modelfetch.io/check-published"
"""On the Lease while what is Ready has to be looked for: the API server may have forgotten what was removed since.

Its value says who asked for that and when, so that one who asks again is heard.
"""

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
        self._is_in_the_past = False
        """Whether the API server had a newer Lease before: it was restored from a backup."""

    @property
    def is_held(self) -> bool:
        """True while this replica leads."""
        return self._renewed is not None

    @property
    def asks(self) -> str:
        """With what words the Lease asks to look for all that is Ready, empty once that was done."""
        return str(_annotations(self._lease).get(CHECK_ANNOTATION, ""))

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

    async def keep(self, has_checked: Callable[[str], bool]) -> None:
        """Renew for ever; raises LeadershipLost.

        `has_checked` is asked with the words of the Lease, until it is so: then the Lease does not ask any more.
        """
        while True:
            await asyncio.sleep(RENEW_S)
            try:
                async with asyncio.timeout(CALL_S):
                    await self._renew(has_checked)
            except (KubeError, TimeoutError) as error:
                left_s = self.window_s()
                log.warning("cannot renew the Lease", extra={"why": _why(error), "writes_end_in_s": round(left_s, 1)})
                if left_s <= 0:
                    self._renewed = None
                    raise LeadershipLost(f"the Lease could not be renewed for {WRITES_S:g} s: {_why(error)}") from None

    async def give_up(self, has_checked: Callable[[str], bool]) -> None:
        """Nobody holds the Lease afterwards, where this replica did; it writes nothing from now on.

        Where `has_checked` says so of its words, the Lease does not ask any more.
        """
        if self._renewed is None or self._sight is None:
            return
        self._renewed = None
        try:
            async with asyncio.timeout(CALL_S):
                await self._replace(released(self._sight, self._now()), self._asks_still(has_checked))
        except (KubeError, TimeoutError) as error:
            log.warning("could not blank the Lease; others wait until it is stale", extra={"why": _why(error)})

    def leave(self) -> None:
        """This replica writes nothing from now on; others wait until the Lease is stale, as after a kill."""
        self._renewed = None

    async def _try_to_win(self) -> str | None:
        """Return what is in the way, None where this replica leads now."""
        try:
            async with asyncio.timeout(CALL_S):
                found = await self._kube.find(LEASES, self.place.namespace, self.place.name)
                sight = self._take_in(found) if found is not None else None
                if sight is not None and not self._may_take(sight):
                    await self._tell_of_the_past()
                    return f"'{sight.holder}' leads" if sight.holder else "etcd was restored: whoever led may not know"
                was_led = sight is not None and sight.was_led(self._now())
                await self._hold(sight, self._asks_then() or ("" if was_led else self._words()))
                self._is_in_the_past = False  # nothing was known yet of what the server has forgotten
        except (KubeError, TimeoutError) as error:
            return _why(error)
        return None

    def _may_take(self, sight: Sight) -> bool:
        """One that is nobody's in a backup was somebody's when etcd was restored, who may not have noticed that yet."""
        now = self._elapsed()
        if self._is_in_the_past and not sight.holder and not self.asks and now - sight.since < LEASE_S:
            return False
        return sight.may_be_taken(self.place.identity, now)

    async def _tell_of_the_past(self) -> None:
        """Whoever leads next has to know, also where it is one who was not there."""
        if self._is_in_the_past and self._sight is not None and self._sight.holder:
            self._take_in(await self._replace(self._lease.get("spec") or {}, self._asks_then()))
            self._is_in_the_past = False

    async def _hold(self, before: Sight | None, asks: str) -> None:
        sent = self._elapsed()
        spec = held(self.place.identity, before, self._now())
        write = self._create if before is None else self._replace
        self._take_in(await write(spec, asks))
        # From when it was sent: it may have arrived long before its answer did.
        self._renewed = sent

    async def _renew(self, has_checked: Callable[[str], bool]) -> None:
        """Renew; raises LeadershipLost once a Lease of the past says by our word what has to be done."""
        assert self._sight is not None, "what is renewed has been won"
        try:
            await self._hold(self._sight, self._asks_still(has_checked))
        except KubeError as error:
            if not (error.is_conflict or error.is_not_found):
                raise
            await self._hold(await self._look_what_was_changed(), self._asks_still(has_checked))
        if self._is_in_the_past:
            raise LeadershipLost("the API server had an older Lease than before: etcd was restored from a backup")

    async def _look_what_was_changed(self) -> Sight:
        """Return the Lease as it is: somebody's label or annotation is no change of leader."""
        found = await self._kube.find(LEASES, self.place.namespace, self.place.name)
        sight = self._take_in(found) if found is not None else None
        if sight is None or sight.holder != self.place.identity:
            self._renewed = None
            await self._tell_of_the_past()
            raise LeadershipLost("the Lease was deleted" if sight is None else f"'{sight.holder}' leads")
        return sight

    def _take_in(self, lease: Object) -> Sight:
        if self._lease and version_of(lease) < version_of(self._lease):
            self._is_in_the_past = True
        self._lease = lease
        self._sight = sighted(lease, self._sight, self._elapsed())
        return self._sight

    def _asks_still(self, has_checked: Callable[[str], bool]) -> str:
        return "" if self.asks and has_checked(self.asks) and not self._is_in_the_past else self._asks_then()

    def _asks_then(self) -> str:
        """Return the words that the Lease is to ask with: others, where it is of the past."""
        return self._words() if self._is_in_the_past else self.asks

    def _words(self) -> str:
        return f"{self.place.identity} {self._now().isoformat()}"

    async def _create(self, spec: Object, asks: str) -> Object:
        meta = {"name": self.place.name, "namespace": self.place.namespace}
        body = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": meta, "spec": spec}
        return await self._kube.create(LEASES, self.place.namespace, _asking(body, asks))

    async def _replace(self, spec: Object, asks: str) -> Object:
        """Replace exactly the version that was seen: of two that try at once one gets a conflict."""
        body = _asking({**self._lease, "spec": spec}, asks)
        return await self._kube.replace(LEASES, self.place.namespace, self.place.name, body)


class Alone:
    """The part of an operator that has no other replica: it leads from the start and never stops."""

    is_held = True
    asks = ""
    """There is no Lease that would ask for anything."""

    def window_s(self) -> float:
        """Return the time that any request may take."""
        return REQUEST_TIMEOUT_S

    async def win(self, _stop: asyncio.Event) -> bool:
        """Lead at once."""
        return True

    async def keep(self, _has_checked: Callable[[str], bool]) -> None:
        """Go on for ever."""
        await asyncio.Event().wait()

    async def give_up(self, _has_checked: Callable[[str], bool]) -> None:
        """Nothing is held."""

    def leave(self) -> None:
        """Nobody waits for it to end."""


def _annotations(lease: Object) -> Object:
    return (lease.get("metadata") or {}).get("annotations") or {}


def _asking(lease: Object, asks: str) -> Object:
    """Return the Lease with these words that what is Ready has to be looked for, or without any."""
    others = {name: value for name, value in _annotations(lease).items() if name != CHECK_ANNOTATION}
    annotations = others | ({CHECK_ANNOTATION: asks} if asks else {})
    return {**lease, "metadata": {**lease["metadata"], "annotations": annotations}}


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return


def _why(error: Exception) -> str:
    return str(error) or f"no answer within {CALL_S:g} s"
