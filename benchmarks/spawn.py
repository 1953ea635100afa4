"""Starts one program and measures it with wait4; run as a program of its own, see measure.py.

The kernel counts the memory of whoever starts a program as that program's, so the one who starts it has to be small.
In: a JSON object as the only argument. Out: on standard output a line with the process id, then one with the cost.
"""

import json
import os
import subprocess
import sys
import time


def main() -> None:
    """Run, wait, tell."""
    order = json.loads(sys.argv[1])
    with open(order["log"], "wb") as log:
        begin = time.perf_counter()
        process = subprocess.Popen(
            order["arguments"],
            env=order["environment"],
            cwd=order["folder"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        _tell({"pid": process.pid})
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu_s = usage.ru_utime + usage.ru_stime
    _tell({"wall_s": wall_s, "cpu_s": cpu_s, "rss_kib": usage.ru_maxrss, "code": process.returncode})


def _tell(facts: dict[str, float]) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
