"""`modelfetch-operator`: the composition root of the operator.

Settings come from flags, each with an environment variable of the same meaning; everything else is handed down from
here: the connection, the clock, the settings. One process watches, decides and writes; it downloads nothing.
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
from modelfetch.api.order import Egress
from modelfetch.controller import watch
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


def parser() -> argparse.ArgumentParser:
    """Return the flags; every one says which environment variable stands for it."""
    flags = argparse.ArgumentParser(
        prog="modelfetch-operator",
        description="Watch ModelFetch and ModelStore resources, run fetch Jobs, keep the status true.",
        epilog="Without --kubeconfig: KUBECONFIG, else the Pod's ServiceAccount.",
    )
    flags.add_argument("--version", action="version", version=f"modelfetch-operator {__version__}")
    flags.add_argument("--kubeconfig", help="file that says where the API server is")
    flags.add_argument(
        "--namespace",
        action="append",
        default=_listed("MODELFETCH_NAMESPACES"),
        help="watch this namespace only; repeatable; all if absent (MODELFETCH_NAMESPACES, separated by commas)",
    )
    flags.add_argument(
        "--image",
        default=os.environ.get("MODELFETCH_IMAGE", f"ghcr.io/modelfetch/modelfetch:{__version__}"),
        help="image of the fetch Pods (MODELFETCH_IMAGE; default %(default)s)",
    )
    flags.add_argument(
        "--image-pull-policy",
        default=os.environ.get("MODELFETCH_IMAGE_PULL_POLICY", "IfNotPresent"),
        choices=["Always", "IfNotPresent", "Never"],
        help="pull policy of the fetch Pods (MODELFETCH_IMAGE_PULL_POLICY; default %(default)s)",
    )
    flags.add_argument(
        "--run-as-user",
        default=os.environ.get("MODELFETCH_RUN_AS_USER", "65532"),
        help="uid and gid of the fetch Pods, or 'namespace' to let the namespace decide, as OpenShift wants "
        "(MODELFETCH_RUN_AS_USER; default %(default)s)",
    )
    flags.add_argument(
        "--huggingface-endpoint",
        default=os.environ.get("MODELFETCH_HUGGINGFACE_ENDPOINT", "https://huggingface.co"),
        help="hub of hf:// sources that name none (MODELFETCH_HUGGINGFACE_ENDPOINT; default %(default)s)",
    )
    flags.add_argument(
        "--allow-network",
        action="append",
        default=_listed("MODELFETCH_ALLOW_NETWORKS"),
        metavar="CIDR",
        help="private network that fetch Pods may connect to; repeatable (MODELFETCH_ALLOW_NETWORKS)",
    )
    flags.add_argument(
        "--allow-port",
        action="append",
        default=_listed("MODELFETCH_ALLOW_PORTS"),
        metavar="PORT",
        help="port beside 80 and 443 that fetch Pods may connect to, or 'any'; repeatable (MODELFETCH_ALLOW_PORTS)",
    )
    flags.add_argument(
        "--allow-http",
        action=argparse.BooleanOptionalAction,
        default=os.environ.get("MODELFETCH_ALLOW_HTTP", "").lower() in ("1", "true", "yes"),
        help="whether sources may be plain http:// (MODELFETCH_ALLOW_HTTP; default: no)",
    )
    flags.add_argument(
        "--progress-interval",
        type=float,
        default=float(os.environ.get("MODELFETCH_PROGRESS_INTERVAL", "10")),
        metavar="SECONDS",
        help="time between two writes of one resource's progress; a change of its phase is written at once "
        "(MODELFETCH_PROGRESS_INTERVAL; default %(default)s)",
    )
    flags.add_argument(
        "--probe-port",
        type=int,
        default=int(os.environ.get("MODELFETCH_PROBE_PORT", "8080")),
        help="port of /healthz; 0 for none (MODELFETCH_PROBE_PORT; default %(default)s)",
    )
    flags.add_argument(
        "--log-format",
        choices=["json", "console"],
        default=os.environ.get("MODELFETCH_LOG_FORMAT", "json"),
        help="form of the log (MODELFETCH_LOG_FORMAT; default %(default)s)",
    )
    return flags


def _listed(variable: str) -> list[str]:
    return [item.strip() for item in os.environ.get(variable, "").split(",") if item.strip()]


def settings_of(args: argparse.Namespace) -> Settings:
    """Return the administrator's settings; raises ValueError on a port or user that is no number."""
    ports: tuple[int, ...] = (80, 443, *(int(port) for port in args.allow_port if port != "any"))
    return Settings(
        image=args.image,
        image_pull_policy=args.image_pull_policy,
        egress=Egress(
            allow_networks=tuple(args.allow_network),
            allow_ports=() if "any" in args.allow_port else ports,
            allow_http=args.allow_http,
        ),
        huggingface_endpoint=args.huggingface_endpoint,
        run_as_user=None if args.run_as_user == "namespace" else int(args.run_as_user),
        progress_interval_s=args.progress_interval,
    )


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
    """Run the operator; exit code 0 after a signal, 2 on wrong flags, 1 on anything else."""
    flags = parser()
    args = flags.parse_args(argv)
    logs.configure(sys.stderr, args.log_format)
    # Kopf tells of every event that a handler has taken in; ours only enqueue, so that says nothing.
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    try:
        settings, connection = settings_of(args), connect(args.kubeconfig)
    except (ValueError, ConnectionUnknown) as error:
        flags.error(str(error))
    asyncio.run(run(args, settings, connection))
