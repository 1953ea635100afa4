"""`modelfetch-operator`: the composition root of the operator.

Comes in: flags and environment, read by flags.py. Everything is handed down from here: the connection, the clock, the
settings. One process watches, decides and writes; it downloads nothing.
"""

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
import time
import uuid
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import kopf

from modelfetch import __version__, logs
from modelfetch.controller import flags, watch
from modelfetch.controller.leadership import Alone, Leadership, LeadershipLost, Place
from modelfetch.controller.loop import Loop, resync_for_ever
from modelfetch.controller.metrics import Metrics, Sources
from modelfetch.controller.namespaces import NamespacesChanged
from modelfetch.controller.probes import Answers, Probes
from modelfetch.core.observed import Settings
from modelfetch.kube.client import Kube
from modelfetch.kube.connection import Connection, ConnectionUnknown, connect
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import MODELFETCHES

WORKERS = 16
"""Reconciles at the same time; each waits for the API server most of its time. Chosen by gut."""
START_RETRY_S = 5.0
FIRST_LOOKS_S = 30.0
"""Seconds after which the watches begin at the latest, however much was listed."""
KOPF_ENDS_S = 10.0
"""For Kopf, which takes seconds to end."""

log = logging.getLogger("modelfetch.controller")


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """Return the time of day, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never jump."""
        return time.monotonic()

    def elapsed(self) -> float:
        """Return seconds that never jump and go on while the machine sleeps."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)


async def run(args: argparse.Namespace, settings: Settings, connection: Connection) -> None:
    """Run until SIGTERM or SIGINT; afterwards no task of ours is left. Raises LeadershipLost."""
    stop = asyncio.Event()
    _stop_on_signals(stop)
    clock, metrics = SystemClock(), Metrics()
    async with AsyncExitStack() as stack:
        about_leases = await stack.enter_async_context(Kube(connection, tell=metrics.requested))
        place = Place(args.lease_namespace or connection.namespace, args.lease_name, args.identity or _identity())
        leadership = Leadership(about_leases, place, clock.now, clock.elapsed) if args.leader_election else Alone()
        kube = await stack.enter_async_context(Kube(connection, leadership.window_s, metrics.requested))
        loop = Loop(kube, settings, clock, tuple(args.namespace), metrics)
        metrics.serve(sources_of(loop, leadership))
        answers = Answers(
            problem=loop.vigil.silent,
            is_ready=lambda: kube.has_answered or about_leases.has_answered,
            metrics=metrics.text,
        )
        await stack.enter_async_context(Probes(args.probe_port, answers))
        if await leadership.win(stop):
            await _lead(loop, leadership, _operate(loop, connection, stop, leadership.asks), stop)


def _stop_on_signals(stop: asyncio.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


def sources_of(loop: Loop, leadership: Leadership | Alone) -> Sources:
    """Return what a scrape asks."""
    return Sources(
        fetches=lambda: loop.mirror.all(MODELFETCHES),
        queue=lambda: (len(loop.queue), loop.queue.oldest_s()),
        watch_ages_s=loop.vigil.ages_s,
        is_leader=lambda: leadership.is_held,
    )


async def _lead(
    loop: Loop, leadership: Leadership | Alone, operating: Coroutine[Any, Any, None], stop: asyncio.Event
) -> None:
    """Operate while this replica leads and is not asked to stop; the Lease is nobody's afterwards."""
    keeping = asyncio.create_task(leadership.keep(loop.has_checked), name="lease")
    working = asyncio.create_task(operating, name="operate")
    try:
        await _until_stopped(stop, (keeping, working))
    finally:
        is_over = await loop.end()
        keeping.cancel()
        # Now, not when Kopf has ended, which takes it seconds: nothing can be written any more.
        if is_over:
            await leadership.give_up(loop.has_checked)
        else:  # what may still arrive must not arrive after another's first write
            leadership.leave()
        stop.set()
        await asyncio.wait({working}, timeout=KOPF_ENDS_S)
        working.cancel()
        await asyncio.gather(keeping, working, return_exceptions=True)


async def _operate(loop: Loop, connection: Connection, stop: asyncio.Event, asked: str) -> None:
    """Fill the mirror, then watch and reconcile for ever; returns only when asked to stop.

    `asked` is with what words the Lease asks to look for what is Ready.
    """
    listed_in_s = await _prime(loop, stop)
    if listed_in_s is None:
        return
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(loop.work(), name=f"worker-{number}") for number in range(WORKERS)]
        tasks.append(group.create_task(loop.recorder.post_for_ever(), name="events"))
        tasks.append(group.create_task(loop.begin_checks(asked), name="checks"))
        await _look_at_all(loop, stop)
        log.info("the operator runs", extra={"version": __version__, "namespaces": loop.namespaces.open or "all"})
        tasks.append(group.create_task(_resync(loop, listed_in_s, stop), name="resync"))
        if not stop.is_set():
            await _watch(loop, connection, stop)
        await loop.end()
        for task in tasks:
            task.cancel()


async def _resync(loop: Loop, listed_in_s: float, stop: asyncio.Event) -> None:
    """List everything now and then; asks to stop, and so to be started again, where there is more to watch, or less."""
    try:
        await resync_for_ever(loop, listed_in_s)
    except NamespacesChanged as changed:
        log.warning("ends, to be started again: rights in a namespace have changed", extra={"object": str(changed)})
        stop.set()


async def _prime(loop: Loop, stop: asyncio.Event) -> float | None:
    """Wait for the API server as long as it takes; return how long its lists took, None when asked to stop."""
    while not stop.is_set():
        began = time.monotonic()
        try:
            await loop.prime()
        except KubeError as error:
            log.warning("cannot list our resources yet", extra={"why": str(error), "again_in_s": START_RETRY_S})
            try:
                await asyncio.wait_for(stop.wait(), START_RETRY_S)
            except TimeoutError:
                continue
        else:
            return time.monotonic() - began
    return None


async def _look_at_all(loop: Loop, stop: asyncio.Event) -> None:
    """Have all that were listed looked at before Kopf lists them, too, which takes its time and says nothing new."""
    looking = asyncio.create_task(loop.queue.until_begun(), name="looks")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait([looking, stopping], timeout=FIRST_LOOKS_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (looking, stopping):
            task.cancel()


async def _watch(loop: Loop, connection: Connection, stop: asyncio.Event) -> None:
    ready = asyncio.Event()
    taking_signals_back = asyncio.create_task(_take_signals_back(ready, stop), name="signals")
    await kopf.operator(
        registry=watch.registry(loop.seen, connection),
        settings=watch.settings(),
        clusterwide=not loop.namespaces.open,
        namespaces=loop.namespaces.open,
        standalone=True,
        ready_flag=ready,
        stop_flag=stop,
    )
    taking_signals_back.cancel()
    # Kopf takes SIGTERM and SIGINT over, and returns when one came; on anything else it raises.
    stop.set()


async def _take_signals_back(ready: asyncio.Event, stop: asyncio.Event) -> None:
    """Once Kopf has set its own handlers, put ours in their place: it takes seconds until it returns."""
    await ready.wait()
    _stop_on_signals(stop)


async def _until_stopped(stop: asyncio.Event, tasks: Sequence["asyncio.Task[None]"]) -> None:
    """Return when asked to stop; raise what a task died of, since none of them may end by itself."""
    waiting = asyncio.create_task(stop.wait(), name="stop")
    try:
        done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {waiting}:
            if not stop.is_set():
                task.result()
                raise RuntimeError(f"task '{task.get_name()}' ended by itself")
    finally:
        waiting.cancel()


def main(argv: Sequence[str] | None = None) -> None:
    """Run the operator; exit code 0 after a signal, 2 on wrong flags or variables, 1 on anything else.

    A replica that led and does not any more ends with 1: it is started again and waits.
    """
    args = flags.parse(sys.argv[1:] if argv is None else argv, os.environ)
    logs.configure(sys.stderr, args.log_format)
    # Kopf tells of every event that a handler has taken in; ours only enqueue, so that says nothing. Nor does a line
    # for every probe of the kubelet.
    for chatty in ("kopf.objects", "aiohttp.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        connection = connect(args.kubeconfig)
    except ConnectionUnknown as error:
        flags.parser().error(str(error))
    try:
        asyncio.run(run(args, flags.settings_of(args), connection))
    except LeadershipLost as lost:
        # Everything known may be old by now: a fresh process waits for its turn.
        log.error("does not lead any more and ends", extra={"why": str(lost)})
        sys.exit(1)


def _identity() -> str:
    """Return a name that no other process has, where none was given."""
    return f"{socket.gethostname()}_{uuid.uuid4()}"
