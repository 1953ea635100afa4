"""One child process: started in a session of its own, watched, stopped with grace, and never left behind.

In: program, arguments, environment, folder, memory limit. Out: its output in a log and its `Exit`. The launcher ties
the process to the node's life; the guardian ends its group when the node dies; here the whole group and cgroup are
killed as soon as the first process has ended, as a container ends with its first process.
"""

import asyncio
import json
import logging
import os
import shutil
import signal
import sys
from asyncio import StreamReader
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from modelfetch.devcluster.node import guardian, launch
from modelfetch.devcluster.node.container_log import ContainerLog
from modelfetch.devcluster.node.memory import Cgroup, Enclosure, Limiter

_PIPE_BYTES = 64 << 10
_DRAIN_S = 2.0
"""How long output is read after the end of all known processes: one that escaped may hold the pipe for ever."""
_SCRIPT = (sys.executable, "-I", "-S")
_log = logging.getLogger(__name__)


class StartFailed(Exception):
    """The program could not be started; the message is a container runtime's."""


@dataclass(frozen=True)
class Command:
    """What to run. `argv[0]` is looked up in the PATH of `env`, relative to `cwd`."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Exit:
    """How a process ended: code as a shell gives it, the signal or 0, and whether it was killed for memory."""

    code: int
    signal: int = 0
    oom_killed: bool = False


class Guardian:
    """The helper process that cleans up when the node is killed."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    async def start(cls) -> Self:
        """Start the helper; it lives until `close` or the node's end."""
        process = await asyncio.create_subprocess_exec(
            *_SCRIPT, guardian.__file__, stdin=asyncio.subprocess.PIPE, start_new_session=True, cwd="/"
        )
        return cls(process)

    def adopt(self, kind: str, value: object) -> None:
        """Have this `group`, `cgroup` or `folder` ended with the node."""
        self._tell(f"+{kind} {value}")

    def release(self, kind: str, value: object) -> None:
        """Take back `adopt`: it is gone already."""
        self._tell(f"-{kind} {value}")

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None, "the helper is started with a pipe"
        if not self._process.stdin.is_closing():
            self._process.stdin.write(line.encode() + b"\n")

    async def close(self) -> None:
        """Afterwards everything adopted and not released is gone, and the helper has ended."""
        assert self._process.stdin is not None, "the helper is started with a pipe"
        self._process.stdin.close()
        await self._process.wait()


@dataclass(frozen=True)
class Host:
    """What processes need of the node."""

    guardian: Guardian
    limiter: Limiter


@dataclass(frozen=True)
class _Pipe:
    """Our end of a pipe out of a process."""

    stream: StreamReader
    transport: asyncio.ReadTransport


@dataclass(frozen=True)
class _Spawned:
    """A process and its output; `problem` is what the launcher complained about."""

    process: Process
    stdout: _Pipe
    stderr: _Pipe
    problem: str


class Child:
    """A started process."""

    def __init__(self, spawned: _Spawned, enclosure: Enclosure, host: Host, log: ContainerLog) -> None:
        self._spawned, self._enclosure, self._host = spawned, enclosure, host
        self.pid = spawned.process.pid
        self._ended = asyncio.create_task(self._follow(log), name=f"child-{self.pid}")

    @classmethod
    async def start(cls, command: Command, name: str, log: ContainerLog, host: Host) -> Self:
        """Return the running process; raises StartFailed, after which nothing is left of it."""
        program = find_program(command)
        try:
            enclosure = host.limiter.enclose(name, command.memory_bytes)
        except OSError as error:
            raise StartFailed(f"memory limit: {error}") from error
        if isinstance(enclosure, Cgroup):
            host.guardian.adopt("cgroup", enclosure.folder)
        try:
            spawned = await _spawn(command, program, enclosure)
        except StartFailed:
            await _discard(enclosure, host)
            raise
        host.guardian.adopt("group", spawned.process.pid)
        child = cls(spawned, enclosure, host, log)
        if spawned.problem:
            await child.wait()
            raise StartFailed(f'exec: "{command.argv[0]}": {spawned.problem}')
        return child

    async def wait(self) -> Exit:
        """Return how it ended; by then its whole group and cgroup are gone and its output is in the log."""
        return await asyncio.shield(self._ended)

    def ask_to_end(self) -> None:
        """Send SIGTERM to the group."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to the group and to whatever else the cgroup holds; nothing once it has ended."""
        self._signal(signal.SIGKILL)
        for member in [] if self._ended.done() else self._enclosure.members():
            try:
                os.kill(member, signal.SIGKILL)
            except ProcessLookupError:
                # It ended by itself between the two lines.
                continue

    def _signal(self, number: signal.Signals) -> None:
        if self._ended.done():
            return
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            # The group has ended; wait() tells how.
            return

    async def _follow(self, log: ContainerLog) -> Exit:
        pipes = {"stdout": self._spawned.stdout, "stderr": self._spawned.stderr}
        copies = asyncio.gather(*(_copy(pipe.stream, name, log) for name, pipe in pipes.items()))
        code = await self._spawned.process.wait()
        oom_killed = code == -signal.SIGKILL and self._enclosure.was_oom_killed()
        self.kill()
        try:
            await asyncio.wait_for(copies, _DRAIN_S)
        except TimeoutError:
            _log.warning("output of process %d is held open by a process that left its group", self.pid)
        for pipe in pipes.values():
            pipe.transport.close()
        log.close()
        await _discard(self._enclosure, self._host)
        self._host.guardian.release("group", self.pid)
        return Exit(128 - code, -code, oom_killed) if code < 0 else Exit(code)


async def _discard(enclosure: Enclosure, host: Host) -> None:
    await enclosure.remove()
    if isinstance(enclosure, Cgroup):
        host.guardian.release("cgroup", enclosure.folder)


def find_program(command: Command) -> str:
    """Return the program's file as exec would find it from the folder it runs in; raises StartFailed."""
    if not command.argv:
        raise StartFailed("no command specified")
    name = command.argv[0]
    parts = [command.cwd / part for part in command.env.get("PATH", "").split(os.pathsep) if part]
    found = shutil.which(str(command.cwd / name) if "/" in name else name, path=os.pathsep.join(map(str, parts)))
    if found is None:
        raise StartFailed(f'exec: "{name}": executable file not found in $PATH')
    return found


async def _spawn(command: Command, program: str, enclosure: Enclosure) -> _Spawned:
    # The pipes are our own: with asyncio's, `wait` would also wait for every process that has inherited them.
    readers, writers = zip(*(os.pipe() for _ in range(3)), strict=True)
    report, stdout, stderr = writers
    order = enclosure.launch_steps() | {
        "parent": os.getpid(),
        "report": report,
        "program": program,
        "argv": list(command.argv),
    }
    pipes = [await _pipe(reader) for reader in readers]
    try:
        process = await asyncio.create_subprocess_exec(
            *_SCRIPT,
            launch.__file__,
            json.dumps(order),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=dict(command.env),
            cwd=command.cwd,
            start_new_session=True,
            pass_fds=(report,),
        )
    except OSError as error:
        for pipe in pipes:
            pipe.transport.close()
        raise StartFailed(f'exec: "{command.argv[0]}": {error.strerror}') from error
    finally:
        for writer in writers:
            os.close(writer)
    said, out, err = pipes
    # It ends at exec, or with the launcher.
    problem = (await said.stream.read()).decode(errors="replace")
    said.transport.close()
    return _Spawned(process, out, err, problem)


async def _pipe(descriptor: int) -> _Pipe:
    stream = StreamReader(limit=_PIPE_BYTES)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(descriptor, "rb", buffering=0)
    )
    return _Pipe(stream, transport)


async def _copy(source: StreamReader, stream: str, log: ContainerLog) -> None:
    while data := await source.read(_PIPE_BYTES):
        try:
            log.append(stream, data)
        except OSError as error:
            # A full disk must not stop the process by way of its output.
            _log.warning("output of a container is lost: %s", error)
