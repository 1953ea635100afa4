"""`modelfetch pull`: the fetcher's pipeline on a folder of this machine.

Comes in: the options of cmd_pull.py. Goes out: a published model and exit code 0, or the reason's exit code. The order
is made by pull_order.py, the run is that of fetcher/attempt.py, what people see is that of output.py.
"""

import os
from collections.abc import Mapping
from typing import Any

from modelfetch.cli import output
from modelfetch.cli.pull_order import NAMESPACE, PullOptions, make_order
from modelfetch.cli.surroundings import absolute_path, token_of, with_environment
from modelfetch.errors import FetchError
from modelfetch.fetcher.attempt import Surroundings
from modelfetch.fetcher.main import CLOCK
from modelfetch.fetcher.outcome import exit_code
from modelfetch.fetcher.silence import attend, leave
from modelfetch.fetcher.stopping import stopping


def pull(source: str, store: str, name: str, verbose: bool, given: Mapping[str, Any]) -> int:
    """Return the exit code, after everything was shown; `given` has the other options by their names."""
    output.prepare(name)
    try:
        root = absolute_path("STORE", store)
        options = with_environment(PullOptions(source=source, **given), os.environ)
        token = token_of(options, os.environ)
        order = make_order(options, token is not None)
    except FetchError as error:
        output.refuse(error, name)
        return error.reason.row.exit_code
    goal = output.Goal(options.source, root, root / "models" / NAMESPACE / order.name)
    screen = output.choose(name, goal)
    with stopping() as stop:
        read_token = None if token is None else lambda: token
        around = Surroundings(str(root), screen.report, stop, CLOCK, read_token, output.trace if verbose else None)
        ended = attend(order, around)
        screen.end(ended.report)
    if ended.is_stuck:
        leave(exit_code(ended.report))
    return exit_code(ended.report)
