"""One container of a Pod: from its specification to a process, and what its status says meanwhile.

In: the Pod, its volumes, a `Stop`. Out: a `ContainerView` for every change. It waits, with the kubelet's reasons, while
the image is not ours or a reference does not resolve; it restarts by the Pod's policy with the kubelet's delays.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from modelfetch.devcluster.node.container_log import ContainerLog
from modelfetch.devcluster.node.events import Events
from modelfetch.devcluster.node.objects import key, uid
from modelfetch.devcluster.node.process import Child, Command, Exit, Host, StartFailed, find_program
from modelfetch.devcluster.node.quantity import parse_quantity
from modelfetch.devcluster.node.references import Facts, Sources, Unresolved, env_values
from modelfetch.devcluster.node.rewriting import Mount, Rewriter, expand
from modelfetch.devcluster.node.settings import Clock, Settings
from modelfetch.devcluster.node.status import (
    LOST,
    ContainerView,
    Running,
    State,
    Terminated,
    Waiting,
    termination_message,
)
from modelfetch.devcluster.node.stop import Stop
from modelfetch.devcluster.node.volumes import container_mounts
from modelfetch.kube.client import Object
from modelfetch.kube.errors import KubeError

FETCHER = "modelfetch-fetcher"
_CREATING = Waiting("ContainerCreating")
_RETRY_S, _LONGEST_RETRY_S = 1.0, 10.0
_CRASH_DELAY_S, _LONGEST_CRASH_DELAY_S = 10.0, 300.0
"""The kubelet's delays between restarts."""
_FALLBACK_LINES, _FALLBACK_BYTES = 80, 2048
"""What a kubelet takes from the log in place of a termination message."""


@dataclass(frozen=True)
class PodContext:
    """What containers of one Pod share. `pod` gives the newest state of the object."""

    pod: Callable[[], Object]
    folder: Path
    settings: Settings
    sources: Sources
    host: Host
    events: Events
    clock: Clock
    changed: Callable[[], None]


class Container:
    """Runs one container; `view` is what it is doing."""

    def __init__(self, name: str, context: PodContext) -> None:
        self._context, self._name = context, name
        self._run = 0
        self._log: ContainerLog | None = None
        self._previous_log: ContainerLog | None = None
        self.view = ContainerView(name, self._spec["image"], _CREATING)

    @property
    def _spec(self) -> Object:
        containers = self._context.pod()["spec"]["containers"]
        return dict(next(container for container in containers if container["name"] == self._name))

    def log(self, *, previous: bool) -> ContainerLog | None:
        """Return the log of the last run, or of the one before."""
        return self._previous_log if previous else self._log

    def give_up(self) -> None:
        """Say of a container that never started, or is between two runs, how it ended."""
        if not isinstance(self.view.state, Terminated):
            self._show(_or_lost(self.view.last))

    async def run(self, volumes: Mapping[str, Path], stop: Stop) -> None:
        """Return when the container has ended for good, or an end was asked for and reached."""
        while not stop.is_requested():
            command = await self._until_ready(volumes, stop)
            if command is None:
                break
            ended = await self._run_once(command, stop)
            if stop.is_requested() or not self._starts_again(ended):
                return
            await self._wait_after_crash(ended, stop)
            self._run += 1
        self.give_up()

    def _show(self, state: State, **more: Any) -> None:
        if (view := replace(self.view, image=self._spec["image"], state=state, **more)) != self.view:
            self.view = view
            self._context.changed()

    async def _until_ready(self, volumes: Mapping[str, Path], stop: Stop) -> Command | None:
        delay = _RETRY_S
        while True:
            problem = await self._attempt(volumes)
            if isinstance(problem, Command):
                return problem
            await self._wait_for(problem)
            if await stop.pause(delay):
                return None
            delay = min(delay * 1.5, _LONGEST_RETRY_S)

    async def _attempt(self, volumes: Mapping[str, Path]) -> Command | Waiting:
        if self._spec["image"] != self._context.settings.image:
            return self._refused_image()
        try:
            return _with_fallback(await self._command(volumes), self._context.settings.python_env)
        except Unresolved as problem:
            return Waiting("CreateContainerConfigError", str(problem))
        except OSError as error:
            return Waiting("CreateContainerError", f"{error.filename}: {error.strerror}")
        except KubeError as error:
            return Waiting("ContainerCreating", f"the API server does not answer: {error.message}")

    def _refused_image(self) -> Waiting:
        image, ours = self._spec["image"], self._context.settings.image
        message = f'this node runs only the image "{ours}", as local processes; "{image}" cannot be had here'
        before = self.view.state
        if isinstance(before, Waiting) and before.reason in ("ErrImagePull", "ImagePullBackOff"):
            return Waiting("ImagePullBackOff", f'Back-off pulling image "{image}": ErrImagePull: {message}')
        return Waiting("ErrImagePull", message)

    async def _wait_for(self, problem: Waiting) -> None:
        self._show(problem)
        pod, events = self._context.pod(), self._context.events
        if problem.reason == "ErrImagePull":
            await events.warn(pod, "Failed", f'Failed to pull image "{self._spec["image"]}": {problem.message}')
        elif problem.reason.startswith("CreateContainer"):
            await events.warn(pod, "Failed", f"Error: {problem.message}")

    async def _command(self, volumes: Mapping[str, Path]) -> Command:
        spec, context = self._spec, self._context
        facts = Facts(context.pod(), context.settings.capacity)
        raw = await env_values(spec, facts, context.sources)
        plain: dict[str, str] = {}
        for name, value in raw:
            plain[name] = expand(value, plain)
        rewrite = Rewriter([*container_mounts(spec, volumes, plain), self._termination_mount()])
        env = self._base_env(rewrite)
        for name, value in raw:
            env[name] = expand(rewrite(value), env)
        argv = [expand(rewrite(word), env) for word in [*(spec.get("command") or []), *(spec.get("args") or [])]]
        limit = spec.get("resources", {}).get("limits", {}).get("memory")
        return Command(argv, env, self._working_dir(rewrite), int(parse_quantity(limit)) if limit else None)

    @property
    def _folder(self) -> Path:
        return self._context.folder / "containers" / self._name

    def _termination_mount(self) -> Mount:
        path = self._folder / f"termination-{self._run}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return Mount(self._spec.get("terminationMessagePath", "/dev/termination-log"), path)

    def _base_env(self, rewrite: Rewriter) -> dict[str, str]:
        settings, (_, pod_name) = self._context.settings, key(self._context.pod())
        own = {"TMPDIR": rewrite("/tmp"), "HOME": str(self._folder / "home")}
        if own["TMPDIR"] == "/tmp":
            own["TMPDIR"] = str(self._folder / "tmp")
        for folder in own.values():
            Path(folder).mkdir(parents=True, exist_ok=True)
        host, _, port = settings.server.removeprefix("https://").rpartition(":")
        path = os.pathsep.join([str(settings.python_env / "bin"), "/usr/local/bin", "/usr/bin", "/bin"])
        return (
            own
            | dict(settings.marks)
            | {
                "PATH": path,
                "HOSTNAME": pod_name,
                "LANG": "C.UTF-8",
                "KUBERNETES_SERVICE_HOST": host,
                "KUBERNETES_SERVICE_PORT": port,
            }
        )

    def _working_dir(self, rewrite: Rewriter) -> Path:
        wanted = self._spec.get("workingDir") or "/"
        real = rewrite(wanted)
        folder = Path(real) if real != wanted else self._folder / "root" / wanted.lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    async def _run_once(self, command: Command, stop: Stop) -> Terminated:
        run, pod = self._run, self._context.pod()
        name = f"modelfetch-{uid(pod)}-{self._name}-{run}"
        self._previous_log, self._log = self._log, ContainerLog(self._folder / f"{run}.log", self._context.clock)
        container_id, started = f"process://{name}", self._context.clock()
        try:
            child = await Child.start(command, name, self._log, self._context.host)
        except StartFailed as problem:
            self._log.close()
            ended = Terminated(128, "StartError", container_id, str(problem), 0, started, self._context.clock())
            await self._context.events.warn(pod, "Failed", f"Error: {problem}")
        else:
            self._show(Running(started), container_id=container_id, restarts=run)
            how = await self._until_end(child, stop)
            ended = self._terminated(how, container_id, started)
        self._show(ended, container_id=container_id, restarts=run)
        return ended

    async def _until_end(self, child: Child, stop: Stop) -> Exit:
        end = asyncio.create_task(child.wait())
        try:
            await _first(end, stop.wait())
            if not end.done():
                child.ask_to_end()
                await _first(end, stop.expired())
        finally:
            child.kill()
        return await end

    def _terminated(self, how: Exit, container_id: str, started: datetime) -> Terminated:
        reason = "OOMKilled" if how.oom_killed else "Completed" if how.code == 0 else "Error"
        message = self._message(failed=how.code != 0)
        return Terminated(how.code, reason, container_id, message, how.signal, started, self._context.clock())

    def _message(self, *, failed: bool) -> str:
        path = self._folder / f"termination-{self._run}"
        try:
            raw = path.read_bytes()
        except OSError:
            # The container may have removed it or put something else there; then it left no message.
            raw = b""
        fallback = self._spec.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        if not raw and failed and fallback and self._log is not None:
            raw = self._log.tail(lines=_FALLBACK_LINES, limit_bytes=_FALLBACK_BYTES)
        return termination_message(raw)

    def _starts_again(self, ended: Terminated) -> bool:
        policy = self._context.pod()["spec"].get("restartPolicy", "Always")
        return policy == "Always" or (policy == "OnFailure" and ended.exit_code != 0)

    async def _wait_after_crash(self, ended: Terminated, stop: Stop) -> None:
        delay = min(_CRASH_DELAY_S * 2**self._run, _LONGEST_CRASH_DELAY_S)
        namespace, name = key(self._context.pod())
        text = f"back-off {delay:.0f}s restarting failed container={self._name} pod={name}_{namespace}"
        self._show(Waiting("CrashLoopBackOff", text), last=ended)
        await self._context.events.warn(self._context.pod(), "BackOff", text)
        await stop.pause(delay)


def _or_lost(last: Terminated | None) -> Terminated:
    return LOST if last is None else last


async def _first(end: asyncio.Task[Exit], other: Coroutine[Any, Any, None]) -> None:
    """Return when either is done; only `other` is given up then."""
    task = asyncio.create_task(other)
    try:
        await asyncio.wait({end, task}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        task.cancel()


def _with_fallback(command: Command, python_env: Path) -> Command:
    """Return the command that runs the fetcher's module where its console script is not installed."""
    if command.argv and command.argv[0] == FETCHER:
        try:
            find_program(command)
        except StartFailed:
            argv = [str(python_env / "bin" / "python"), "-m", "modelfetch.fetcher", *command.argv[1:]]
            return Command(argv, command.env, command.cwd, command.memory_bytes)
    return command
