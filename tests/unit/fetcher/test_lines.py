"""Output whose reader goes away."""

import subprocess
import sys

CODE = """
import sys
from modelfetch.fetcher.lines import write_line
for number in range(3):
    write_line(sys.stdout, "x" * 100_000)
    if number == 0:
        sys.stdin.read()
write_line(sys.stderr, "done")
"""


def test_the_work_goes_on_without_a_reader() -> None:
    """`modelfetch pull … | head` ends as well as it would have with a reader, without a word about the pipe."""
    process = subprocess.Popen(
        [sys.executable, "-c", CODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    process.stdin.close()
    told = process.stderr.read()
    process.stderr.close()

    assert (0, "done\n") == (process.wait(60), told)


def test_the_work_goes_on_on_a_full_disk() -> None:
    """Output that cannot be written ends nothing, and is no word at the end either."""
    code = "import sys; from modelfetch.fetcher.lines import write_line; write_line(sys.stdout, 'x'); print('y')"
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)

    assert (0, "") == (done.returncode, done.stderr)
