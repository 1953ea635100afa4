"""`python -m modelfetch.devcluster.node`: flags, composition, and the order of start and end.

In: a kubeconfig and the identity of one node. Out: a running node until SIGTERM or SIGINT; a second signal hurries it.
It ends with status 0 and leaves no process and no file; killed, its guardian does the same without the farewells.
"""

import argparse
import asyncio
import fcntl
import json
import logging
import os
import shutil
import signal
import ssl
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modelfetch import __version__
from modelfetch.devcluster.node.binding import Binder, ClusterView, view_of
from modelfetch.devcluster.node.events import Events
from modelfetch.devcluster.node.informer import Informer, OnChange
from modelfetch.devcluster.node.kubelet_api import KubeletApi, access_for
from modelfetch.devcluster.node.memory import find_limiter
from modelfetch.devcluster.node.pods import Node, Pods
from modelfetch.devcluster.node.process import Guardian, Host
from modelfetch.devcluster.node.registration import Registration
from modelfetch.devcluster.node.settings import Capacity, Settings
from modelfetch.devcluster.processes import MARK
from modelfetch.kube.client import Kube, Object
from modelfetch.kube.connection import ConnectionUnknown, connect
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import PODS
from modelfetch.logs import configure

_RETRY_S = 1.0
_FAREWELL_S = 5.0
_PODS = "110"
"""A kubelet's default."""
_log = logging.getLogger(__name__)

_LIMITS = """\
The node runs Pods whose containers have exactly --image, as processes of this user. What a kernel cannot give to a
plain process is not there: mounts (environment values and arguments that are a mount's path, or lie below it, name the
real directory instead), the container's own file system, network and users, readOnly on a claim, an emptyDir's size
limit, CPU limits. Memory limits use a cgroup where this user may make one, else RLIMIT_DATA; the log says which.
Volumes: persistentVolumeClaim (on hostPath and local volumes), hostPath, emptyDir, secret, configMap, downwardAPI,
projected; files are written once, when the Pod starts. Pods with init containers, probes or hooks are refused.
The node also places Pods, because the embedded cluster has no scheduler: by node selector, required node affinity,
taints, requests and claims; not by Pod affinity or topology spread.

Rights it needs: nodes (get, list, watch, create, patch, status), pods (list, watch, delete, status, binding), leases in
kube-node-lease, events, persistentvolumeclaims and persistentvolumes (get, list, watch, patch), storageclasses (list,
watch), secrets and configmaps (get), serviceaccounts/token, tokenreviews and subjectaccessreviews (create)."""


def parse_arguments(argv: list[str]) -> argparse.Namespace:
    """Return the flags; prints help or a complaint and exits as argparse does."""
    parser = argparse.ArgumentParser(
        prog="python -m modelfetch.devcluster.node",
        description="A Kubernetes node that runs Pods of one image as local processes: no root, no container runtime.",
        epilog=_LIMITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--kubeconfig", required=True, help="how to reach the API server and as whom")
    add("--name", required=True, help="the Node's name; several nodes may run side by side")
    add("--image", default=f"ghcr.io/modelfetch/modelfetch:{__version__}", help="the image that is run (%(default)s)")
    add("--work-dir", required=True, type=Path, help="where the node keeps its own folder, named like the node")
    add("--python-env", type=Path, default=Path(sys.prefix), help="its bin folder leads the PATH of Pods (%(default)s)")
    add("--kubelet-port", type=int, default=0, help="port of the kubelet API on 127.0.0.1; 0 takes a free one")
    add("--tls-cert", type=Path, required=True, help="PEM certificate of the kubelet API")
    add("--tls-key", type=Path, required=True, help="PEM key of the kubelet API")
    add("--client-ca", type=Path, required=True, help="PEM authority of those who may ask for logs (the API server)")
    add("--ready-file", type=Path, help="written (JSON: name, pid, port) when the node is registered and follows Pods")
    add("--heartbeat-interval", type=float, default=10.0, metavar="SECONDS", help="between renewals (%(default)s)")
    add("--cpu", default=str(os.cpu_count() or 1), help="cores offered to Pods (%(default)s, what this machine has)")
    add("--memory", default=_machine_memory(), help="memory offered to Pods (%(default)s, what this machine has)")
    add("--pods", default=_PODS, help="number of Pods at one time (%(default)s)")
    return parser.parse_args(argv)


def _machine_memory() -> str:
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') // 1024}Ki"


class Program:
    """One run of the node."""

    def __init__(self, arguments: argparse.Namespace, clock: Callable[[], datetime]) -> None:
        self._arguments, self._clock = arguments, clock
        self._connection = connect(arguments.kubeconfig)
        self._settings = Settings(
            name=arguments.name,
            image=arguments.image,
            work_dir=(arguments.work_dir / arguments.name).absolute(),
            python_env=arguments.python_env.absolute(),
            capacity=Capacity(arguments.cpu, arguments.memory, arguments.pods),
            server=self._connection.server,
            heartbeat_s=arguments.heartbeat_interval,
            marks={MARK: os.environ[MARK]} if MARK in os.environ else {},
        )
        self._stop, self._hurry = asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        """Return after a clean end; raises SystemExit where the node cannot start."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        folder = self._settings.work_dir
        lock = _own_folder(folder)
        guardian = await Guardian.start()
        guardian.adopt("folder", folder)
        try:
            async with Kube(self._connection) as kube:
                await self._serve(kube, guardian)
        finally:
            await guardian.close()
            os.close(lock)

    def _signalled(self) -> None:
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    async def _serve(self, kube: Kube, guardian: Guardian) -> None:
        name, clock = self._settings.name, self._clock
        limiter = find_limiter(Path("/proc/self/cgroup").read_text(), Path("/proc/self/mounts").read_text())
        _log.info("memory limits: %s", limiter.description)
        events = Events(kube, name, clock)
        pods = Pods(Node(kube, self._settings, Host(guardian, limiter), events, clock))
        binder = Binder(kube, events, name, clock)
        api = KubeletApi(pods, access_for(kube, name), clock)
        port = await api.start(self._arguments.kubelet_port, self._tls())
        registration = Registration(kube, self._settings, port, clock)
        informer = Informer(kube, PODS, _both(pods.observe, binder.wake))
        try:
            if await self._unless_stopped(_persistently(registration.register)):
                await self._work(view_of(kube, informer, binder), binder, registration, pods)
        finally:
            await api.stop()

    async def _work(self, view: ClusterView, binder: Binder, registration: Registration, pods: Pods) -> None:
        informers = (view.pods, view.nodes, view.claims, view.volumes, view.classes)
        jobs = [binder.run(view), registration.run(), *(informer.run() for informer in informers)]
        tasks = [asyncio.create_task(job) for job in jobs]
        say_ready = asyncio.create_task(self._say_ready(view))
        try:
            stop = asyncio.create_task(self._stop.wait())
            ended, _ = await asyncio.wait([stop, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                # None of the tasks ends by itself: what did is a bug, and shows here after everything is cleaned up.
                task.result()
        finally:
            say_ready.cancel()
            await self._farewell(tasks, registration, pods)

    async def _farewell(self, tasks: list[asyncio.Task[None]], registration: Registration, pods: Pods) -> None:
        # The binder and the heartbeats first: the node must not take what it would only kill.
        for task in tasks[:2]:
            task.cancel()
        if self._arguments.ready_file:
            self._arguments.ready_file.unlink(missing_ok=True)
        try:
            await asyncio.wait_for(registration.withdraw(), _FAREWELL_S)
        except (KubeError, TimeoutError) as error:
            _log.info("the API server does not hear that the node stops: %s", error)
        await pods.shut_down(self._hurry)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _say_ready(self, view: ClusterView) -> None:
        for informer in (view.pods, view.nodes, view.claims, view.volumes, view.classes):
            await informer.synced.wait()
        _log.info("node %s is ready", self._settings.name)
        if path := self._arguments.ready_file:
            private = path.with_name(f".{path.name}.{os.getpid()}")
            private.write_text(json.dumps({"name": self._settings.name, "pid": os.getpid()}))
            private.replace(path)

    async def _unless_stopped(self, start: Coroutine[Any, Any, None]) -> bool:
        task, stop = asyncio.create_task(start), asyncio.create_task(self._stop.wait())
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not task.done():
            task.cancel()
            return False
        task.result()
        return True

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self._arguments.client_ca)
        # Optional, because /healthz needs none and others may come with a token.
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_cert_chain(self._arguments.tls_cert, self._arguments.tls_key)
        return context


def _both(first: OnChange, second: OnChange) -> OnChange:
    def call(item: Object, exists: bool) -> None:
        first(item, exists)
        second(item, exists)

    return call


async def _persistently(step: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Return when the step has worked; an API server that is not ready yet is waited for."""
    while True:
        try:
            await step()
        except KubeError as error:
            _log.warning("the node is registered again in %.0f s: %s", _RETRY_S, error)
            await asyncio.sleep(_RETRY_S)
        else:
            return


def _own_folder(folder: Path) -> int:
    """Return the lock on an empty folder of mode 0700; raises SystemExit where another node has it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit(f"another process node works in '{folder}': choose another --name or --work-dir") from None
    shutil.rmtree(folder / "pods", ignore_errors=True)
    (folder / "pods").mkdir()
    return lock


def main() -> None:
    """Run the node that argv describes."""
    arguments = parse_arguments(sys.argv[1:])
    configure(sys.stderr, "console")
    try:
        program = Program(arguments, lambda: datetime.now(UTC))
        asyncio.run(program.run())
    except (ConnectionUnknown, OSError) as error:
        raise SystemExit(f"the process node cannot run: {error}") from error
