"""Between fork and exec of a container's process; run as a script, standard library only.

In: JSON on argv: parent, report descriptor, memory steps, program, arguments. Out: the program in this very process, or
one line on the report descriptor that says why not. A script instead of code between fork and exec, because the node
has threads.
"""

import ctypes
import json
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1


def launch(order: dict[str, object]) -> None:
    """Become the program; returns never, raises OSError where a step fails."""
    # The kernel ends this process with the node, however the node ends.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != order["parent"]:
        raise OSError("the node has ended")
    for path in order["cgroup_files"]:  # type: ignore[attr-defined]
        with open(path, "w", encoding="ascii") as members:
            members.write(str(os.getpid()))
    if order["data_limit"] is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (order["data_limit"], order["data_limit"]))  # type: ignore[arg-type]
    # Python ignores these, and what is ignored stays so across exec.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    os.umask(0o022)
    os.execv(str(order["program"]), order["argv"])  # type: ignore[arg-type]


def main() -> None:
    """Launch what argv says; on failure report it and end with 128, as a container runtime does."""
    order = json.loads(sys.argv[1])
    report = order["report"]
    os.set_inheritable(report, False)
    try:
        launch(order)
    except (OSError, ValueError) as error:
        os.write(report, str(error).encode())
        os._exit(128)


if __name__ == "__main__":
    main()
