"""Child processes: how they start, end, and that nothing of them stays."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from modelfetch.devcluster.node.container_log import ContainerLog, LogQuery
from modelfetch.devcluster.node.memory import CgroupLimiter, DataLimiter, Limiter, find_limiter
from modelfetch.devcluster.node.process import Child, Command, Exit, Guardian, Host, StartFailed
from tests.unit.devcluster.node.samples import NOW, run

T = TypeVar("T")
PATH = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])
PATIENCE_S = 20.0


def machine_limiter() -> Limiter:
    """Return what this machine can do."""
    return find_limiter(Path("/proc/self/cgroup").read_text(), Path("/proc/self/mounts").read_text())


class Bench:
    """Starts children in a folder."""

    def __init__(self, folder: Path, host: Host) -> None:
        self.folder, self.host, self.count = folder, host, 0
        self.log = ContainerLog(folder / "0.log", lambda: NOW)

    async def start(self, *argv: str, **more: object) -> Child:
        """Start a program with PATH and what else is given."""
        command = Command(argv, {"PATH": PATH}, self.folder)
        name = f"modelfetch-test-{os.getpid()}-{self.folder.name}"
        return await Child.start(replace(command, **more), name, self.log, self.host)  # type: ignore[arg-type]

    async def shell(self, script: str) -> Child:
        """Start a shell script."""
        return await self.start("sh", "-c", script)

    async def output(self) -> str:
        """Return what the log holds."""
        return b"".join([piece async for piece in self.log.read(LogQuery())]).decode()


def on_bench(folder: Path, work: Callable[[Bench], Awaitable[T]], limiter: Limiter | None = None) -> T:
    """Return what the work returns; the guardian is gone afterwards."""

    async def scenario() -> T:
        guardian = await Guardian.start()
        bench = Bench(folder, Host(guardian, limiter or machine_limiter()))
        try:
            return await work(bench)
        finally:
            await guardian.close()
            bench.log.close()

    return run(scenario())


def is_alive(pid: int) -> bool:
    """True while the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pid: int) -> bool:
    """Wait for the process's end."""
    deadline = time.monotonic() + PATIENCE_S
    while is_alive(pid) and time.monotonic() < deadline:
        os.sched_yield()
    return not is_alive(pid)


@pytest.mark.parametrize(
    ("script", "expected"),
    [("exit 0", Exit(0)), ("exit 7", Exit(7)), ("kill -TERM $$", Exit(143, 15)), ("kill -KILL $$", Exit(137, 9))],
)
def test_exit(tmp_path: Path, script: str, expected: Exit) -> None:
    """A process's end is told as a shell tells it, with the signal."""

    async def work(bench: Bench) -> Exit:
        return await (await bench.shell(script)).wait()

    assert expected == on_bench(tmp_path, work)


def test_surroundings(tmp_path: Path) -> None:
    """A process has its folder, exactly its environment, no input, and a session of its own."""

    async def work(bench: Bench) -> str:
        code = "import os, sys; print(os.getcwd(), sorted(os.environ), sys.stdin.read(), os.getsid(0) == os.getpid())"
        await (await bench.start("python", "-c", code)).wait()
        return await bench.output()

    assert f"{tmp_path} ['LC_CTYPE', 'PATH']  True\n" == on_bench(tmp_path, work)


def test_output(tmp_path: Path) -> None:
    """Both streams are in the log when the process has ended, an unended line included."""

    async def work(bench: Bench) -> str:
        await (await bench.shell("echo out; echo err >&2; printf end")).wait()
        return await bench.output()

    assert ["end", "err", "out"] == sorted(on_bench(tmp_path, work).split())


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "no command specified"),
        (["no-such-program"], 'exec: "no-such-program": executable file not found in $PATH'),
        (["./absent"], 'exec: "./absent": executable file not found in $PATH'),
        (["./broken"], 'exec: "./broken": [Errno 8] Exec format error'),
    ],
)
def test_a_program_that_cannot_start(tmp_path: Path, argv: list[str], words: str) -> None:
    """What cannot be executed is told in a container runtime's words, and nothing is left of it."""
    (tmp_path / "broken").write_bytes(b"\0\1\2")
    (tmp_path / "broken").chmod(0o755)

    async def work(bench: Bench) -> str:
        with pytest.raises(StartFailed) as caught:
            await bench.start(*argv)
        return str(caught.value)

    assert on_bench(tmp_path, work).startswith(words)


def test_too_large_an_environment(tmp_path: Path) -> None:
    """What the kernel refuses to start is told, too."""

    async def work(bench: Bench) -> str:
        with pytest.raises(StartFailed) as caught:
            await bench.start("true", env={"PATH": PATH, "BIG": "x" * (1 << 20)})
        return str(caught.value)

    assert 'exec: "true": Argument list too long' == on_bench(tmp_path, work)


def test_relative_program(tmp_path: Path) -> None:
    """A program named by a relative path is looked for where the process will run."""
    (tmp_path / "tool").write_text("#!/bin/sh\necho tool\n")
    (tmp_path / "tool").chmod(0o755)

    async def work(bench: Bench) -> str:
        await (await bench.start("./tool")).wait()
        return await bench.output()

    assert "tool\n" == on_bench(tmp_path, work)


def test_grandchildren_end_with_the_first_process(tmp_path: Path) -> None:
    """When the first process ends, its whole group is killed, and the log is complete without waiting for them."""

    async def work(bench: Bench) -> int:
        await (await bench.shell("sleep 1000 & echo $!")).wait()
        return int(await bench.output())

    assert gone(on_bench(tmp_path, work))


@pytest.mark.skipif(not isinstance(machine_limiter(), CgroupLimiter), reason="no memory cgroup can be made here")
def test_nobody_escapes_a_cgroup(tmp_path: Path) -> None:
    """A process that made a session of its own is killed with the cgroup."""

    async def work(bench: Bench) -> int:
        await (await bench.shell("setsid sleep 1000 & echo $!; sleep 0.1")).wait()
        return int((await bench.output()).split()[0])

    assert gone(on_bench(tmp_path, work))


@pytest.mark.skipif(not isinstance(machine_limiter(), CgroupLimiter), reason="no memory cgroup can be made here")
def test_out_of_memory(tmp_path: Path) -> None:
    """A process that the kernel kills for memory is told from one that somebody killed."""

    async def work(bench: Bench) -> Exit:
        child = await bench.start("python", "-c", "bytearray(300 << 20)", memory_bytes=64 << 20)
        return await child.wait()

    assert Exit(137, 9, oom_killed=True) == on_bench(tmp_path, work)


def test_out_of_data(tmp_path: Path) -> None:
    """Without a cgroup an allocation beyond the limit fails, while a large file can still be mapped."""
    with (tmp_path / "large").open("wb") as large:
        large.truncate(1 << 30)
    code = "\n".join(
        [
            "import mmap",
            "file = open('large')",
            "mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)",
            "print('mapped', flush=True)",
            "bytearray(300 << 20)",
        ]
    )

    async def work(bench: Bench) -> tuple[Exit, set[str]]:
        child = await bench.start("python", "-c", code, memory_bytes=128 << 20)
        return await child.wait(), {"mapped", "MemoryError"} & set((await bench.output()).split())

    assert (Exit(1), {"mapped", "MemoryError"}) == on_bench(tmp_path, work, DataLimiter())


def test_stubborn(tmp_path: Path) -> None:
    """A process that ignores SIGTERM ends by SIGKILL."""

    async def work(bench: Bench) -> Exit:
        child = await bench.shell("trap '' TERM; echo ready; while :; do sleep 0.05; done")
        while "ready" not in await bench.output():
            await asyncio.sleep(0)
        child.ask_to_end()
        child.kill()
        return await child.wait()

    assert Exit(137, 9) == on_bench(tmp_path, work)


def test_signals_after_the_end(tmp_path: Path) -> None:
    """Whoever asks an ended process to end disturbs nobody."""

    async def work(bench: Bench) -> Exit:
        child = await bench.shell("exit 1")
        await child.wait()
        child.ask_to_end()
        child.kill()
        return await child.wait()

    assert Exit(1) == on_bench(tmp_path, work)


NODE = """\
import asyncio, sys
from pathlib import Path
from tests.unit.devcluster.node.test_process import Bench, Guardian, Host, machine_limiter
async def main():
    guardian = await Guardian.start()
    folder = Path(sys.argv[1])
    guardian.adopt("folder", folder)
    bench = Bench(folder, Host(guardian, machine_limiter()))
    child = await bench.shell("sleep 1000 & echo $!; sleep 1000")
    while not (text := await bench.output()):
        await asyncio.sleep(0.01)
    print(child.pid, text.strip(), guardian._process.pid, flush=True)
    await child.wait()
asyncio.run(main())
"""


def test_children_die_with_the_node(tmp_path: Path) -> None:
    """When the node is killed, its guardian ends every process of every child and removes the node's folder."""
    folder = tmp_path / "work"
    folder.mkdir()

    async def scenario() -> list[int]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        node = await asyncio.create_subprocess_exec(
            sys.executable, "-c", NODE, str(folder), stdout=asyncio.subprocess.PIPE, env=environment
        )
        assert node.stdout is not None
        pids = [int(word) for word in (await node.stdout.readline()).split()]
        node.send_signal(signal.SIGKILL)
        await node.wait()
        return pids

    actual = [gone(pid) for pid in run(scenario())]

    assert ([True, True, True], False) == (actual, folder.exists())
