"""How short programs start and end: nothing that was written is lost, and the exit code is that of the program."""

import ctypes
import gc
import subprocess
import sys
import textwrap
from contextlib import suppress
from pathlib import Path

import pytest

from modelfetch import program

START = "import atexit, os, sys, threading\nfrom modelfetch import program\n"


def ran(code: str, **streams: int) -> "subprocess.CompletedProcess[str]":
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.run([sys.executable, "-c", START + textwrap.dedent(code)], check=False, text=True, **given)  # type: ignore[call-overload, no-any-return]


def test_importing_gives_the_collector_back() -> None:
    """It is off inside, and as it was before afterwards, also after an error; what was made is passed over from now."""
    frozen, inside = gc.get_freeze_count(), []
    with suppress(ImportError), program.importing():
        inside.append(gc.isenabled())
        raise ImportError

    assert ([False], True) == (inside, gc.isenabled())
    assert frozen < gc.get_freeze_count()
    gc.unfreeze()


def test_importing_leaves_a_collector_off_that_was_off() -> None:
    """Whoever turned it off keeps it off."""
    gc.disable()
    try:
        with program.importing():
            pass
        after = gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()

    assert not after


def heaps_of_eight_threads(first: str) -> int:
    """Return how many heaps the C library has made after `first` and eight threads at once that each needed memory."""
    ended = ran(f"""
        import ctypes
        {first}
        together = threading.Barrier(8)
        def work():
            together.wait()
            kept = [bytearray(5000) for _ in range(100)]
            together.wait()
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        ctypes.CDLL(None).malloc_stats()
    """)
    return ended.stderr.count("Arena ")


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="needs glibc: others have one heap anyway")
def test_threads_share_a_heap() -> None:
    """Eight threads that need memory at the same time have a few heaps; one where they share it."""
    assert (True, 1) == (heaps_of_eight_threads("") > 1, heaps_of_eight_threads("program.share_heap()"))


@pytest.mark.parametrize(
    ("raised", "code"),
    [("0", 0), ("58", 58), ("None", 0), ("'text'", 1), ("256", 0), ("-1", 255)],
)
def test_the_exit_code_is_the_one_that_was_raised(raised: str, code: int) -> None:
    """As Python itself would end the process, whatever is raised."""
    assert code == ran(f"with program.ending(): sys.exit({raised})").returncode


def test_a_defect_ends_as_ever() -> None:
    """An exception that nobody caught shows where it happened."""
    ended = ran("with program.ending(): raise KeyError('lost')")

    assert (1, True) == (ended.returncode, "KeyError: 'lost'" in ended.stderr)


def test_what_is_written_and_waits_arrives() -> None:
    """Text without an end of line, on both streams, and what exit handlers write."""
    ended = ran(
        """
        atexit.register(lambda: sys.stdout.write(" handler"))
        with program.ending():
            sys.stdout.write("out")
            sys.stderr.write("err")
            sys.exit(3)
        """
    )

    assert (3, "out handler", "err") == (ended.returncode, ended.stdout, ended.stderr)


def test_the_interpreter_is_not_taken_apart() -> None:
    """That is what the whole is for: objects that are left are not destroyed one by one."""
    heavy = "class Heavy:\n    def __del__(self): os.write(1, b'destroyed')\nheavy = Heavy()\n"

    assert "destroyed" == ran(f"{heavy}sys.exit(0)").stdout
    assert "" == ran(f"{heavy}with program.ending(): sys.exit(0)").stdout


def test_other_threads_end_first(tmp_path: Path) -> None:
    """A thread that the program waits for at its end has all its time."""
    done = tmp_path / "done"
    ended = ran(
        f"""
        def work():
            threading.main_thread().join()
            open({str(done)!r}, "w").close()
        with program.ending():
            threading.Thread(target=work).start()
            sys.exit(4)
        """
    )

    assert (4, True) == (ended.returncode, done.exists())


def test_a_stream_that_takes_no_more_is_told() -> None:
    """Where a full disk takes no more, Python ends the process as it does without us: not well, and not in silence."""
    lines = "sys.stdout.write('x'); sys.exit(0)"
    with open("/dev/full", "w") as full:
        ended, without = (ran(code, stdout=full.fileno()) for code in (f"with program.ending(): {lines}", lines))

    assert 0 != ended.returncode == without.returncode
    assert "No space left on device" in ended.stderr


def test_a_program_without_streams_ends() -> None:
    """Where the caller closed both, there is nothing to write."""
    assert 7 == ran("with program.ending():\n    sys.stdout = sys.stderr = None\n    sys.exit(7)").returncode


def test_plugins_of_the_surroundings_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless somebody wants them."""
    monkeypatch.delenv("PYDANTIC_DISABLE_PLUGINS", raising=False)
    ended = ran("program.refuse_plugins(); print(os.environ['PYDANTIC_DISABLE_PLUGINS'])")

    assert "__all__" == ended.stdout.strip()
