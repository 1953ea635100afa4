"""The program of a fetch Pod: reads its order from the environment, carries it out, tells how it went.

Comes in: MODELFETCH_ORDER (JSON), MODELFETCH_VOLUME, MODELFETCH_SECRETS (a folder with a file `token`),
MODELFETCH_TERMINATION_LOG. Goes out: one report a line on standard output, the last one also as the termination
message, and exit code 0 only when the order was carried out.
"""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from modelfetch import __version__
from modelfetch.api.order import FetchOrder, Order, parse
from modelfetch.errors import FetchError
from modelfetch.fetcher import outcome
from modelfetch.fetcher.attempt import Surroundings
from modelfetch.fetcher.lines import write_line
from modelfetch.fetcher.silence import Attended, attend, leave
from modelfetch.fetcher.stopping import stopping
from modelfetch.fetcher.token import read_token
from modelfetch.reasons import Reason
from modelfetch.report import Report
from modelfetch.transfer.clock import Clock

CLOCK = Clock(monotonic=time.monotonic, now=lambda: datetime.now(UTC))


def main(argv: Sequence[str] | None = None) -> None:
    """Carry out the order of the environment and exit with the reason's code; 2 where there are arguments."""
    import argparse  # not above: `modelfetch pull` needs this module's clock only

    flags = argparse.ArgumentParser(
        prog="modelfetch-fetcher",
        description="Carry out the order that the operator wrote into MODELFETCH_ORDER, on the volume at "
        "MODELFETCH_VOLUME, with the token in the folder MODELFETCH_SECRETS; one report a line on standard output, "
        "the last one also in the file MODELFETCH_TERMINATION_LOG.",
        epilog="People use `modelfetch pull`: the same work without a cluster.",
    )
    flags.add_argument("--version", action="version", version=f"modelfetch-fetcher {__version__}")
    flags.parse_args(argv)
    sys.exit(run(os.environ))


def run(environment: Mapping[str, str]) -> int:
    """Return the exit code, after the last report was written."""
    with stopping() as stop:
        try:
            order = parse(_required(environment, "MODELFETCH_ORDER"))
            volume = _required(environment, "MODELFETCH_VOLUME")
        except FetchError as error:
            report = outcome.failed(Report(event="progress", at=CLOCK.now(), step="Resolving"), error)
            ended = Attended(report, is_stuck=False)
        else:
            ended = attend(order, Surroundings(volume, tell, stop, CLOCK, _token_reader(order, environment)))
    tell(ended.report)
    _leave_message(environment.get("MODELFETCH_TERMINATION_LOG"), ended.report)
    if ended.is_stuck:
        leave(outcome.exit_code(ended.report))
    return outcome.exit_code(ended.report)


def tell(report: Report) -> None:
    """Write the report as a line of standard output, at once."""
    write_line(sys.stdout, report.line())


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise FetchError(Reason.VERSION_SKEW, f"expected the environment variable {name}, got none")
    return value


def _token_reader(order: Order, environment: Mapping[str, str]) -> "partial[str] | None":
    if not isinstance(order, FetchOrder) or not order.has_token:
        return None
    return partial(read_token, Path(environment.get("MODELFETCH_SECRETS", "/secrets")) / "token")


def _leave_message(path: str | None, report: Report) -> None:
    if path is None:
        return
    try:
        Path(path).write_text(outcome.termination_message(report), encoding="utf-8")
    except OSError as error:
        # The line on standard output says the same.
        sys.stderr.write(f"termination message not written: {error.strerror}\n")
