"""`modelfetch-operator`: the composition root of the operator.

Comes in: flags and environment, read by flags.py. Everything is handed down from here: the connection, the clock, the
settings. One process watches, decides and writes; it downloads nothing.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import kopf

from modelfetch import __version__, logs
from modelfetch.controller import flags, watch
from modelfetch.controller.loop import Loop, resync_for_ever, start_workers
from modelfetch.core.observed import Settings
from modelfetch.kube.client import Kube, KubeError
from modelfetch.kube.connection import Connection, ConnectionUnknown, connect

WORKERS = 16
"""Reconciles at the same time; each waits for the API server most of its time. Chosen by gut."""
START_RETRY_S = 5.0

log = logging.getLogger("modelfetch.controller")


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """Return the time of day, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never jump."""
        return time.monotonic()


async def run(args: argparse.Namespace, settings: Settings, connection: Connection) -> None:
    """Run until SIGTERM or SIGINT; afterwards no task of ours is left."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    namespaces = tuple(args.namespace)
    async with AsyncExitStack() as stack:
        kube = await stack.enter_async_context(Kube(connection))
        loop = Loop(kube, settings, SystemClock(), namespaces)
        if not await _prime(loop, stop):
            return
        tasks = [
            *start_workers(loop, WORKERS),
            asyncio.create_task(resync_for_ever(loop), name="resync"),
            asyncio.create_task(_watch(loop, args, connection, stop), name="watch"),
        ]
        log.info("the operator runs", extra={"version": __version__, "namespaces": namespaces or "all"})
        try:
            await _until_stopped(stop, tasks)
        finally:
            loop.queue.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _prime(loop: Loop, stop: asyncio.Event) -> bool:
    """Wait for the API server as long as it takes; False when asked to stop meanwhile."""
    while not stop.is_set():
        try:
            await loop.prime()
        except KubeError as error:
            log.warning("cannot list our resources yet", extra={"why": str(error), "again_in_s": START_RETRY_S})
            try:
                await asyncio.wait_for(stop.wait(), START_RETRY_S)
            except TimeoutError:
                continue
        else:
            return True
    return False


async def _watch(loop: Loop, args: argparse.Namespace, connection: Connection, stop: asyncio.Event) -> None:
    await kopf.operator(
        registry=watch.registry(loop.seen, connection),
        settings=watch.settings(),
        clusterwide=not args.namespace,
        namespaces=args.namespace,
        standalone=True,
        liveness_endpoint=f"http://0.0.0.0:{args.probe_port}/healthz" if args.probe_port else None,
        stop_flag=stop,
    )
    # Kopf takes SIGTERM and SIGINT over, and returns when one came; on anything else it raises.
    stop.set()


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
    """Run the operator; exit code 0 after a signal, 2 on wrong flags or variables, 1 on anything else."""
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
    asyncio.run(run(args, flags.settings_of(args), connection))
