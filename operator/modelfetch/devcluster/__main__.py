"""`python -m modelfetch.devcluster`: up, down, status and binaries, for `make` and for people.

Comes in: the command line. Goes out: what is to be said while one waits on stderr, the result on stdout, and an exit
code: 0, 1 with one paragraph that says what failed and what to do, 130 after Ctrl-C.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from modelfetch.devcluster.binaries import find_binaries
from modelfetch.devcluster.cluster import DEFAULT_NAME, down, up
from modelfetch.devcluster.failure import ClusterFailure
from modelfetch.devcluster.parts import ONLY_CONTROL_PLANE, Parts
from modelfetch.devcluster.state import list_names
from modelfetch.devcluster.summary import describe, statuses


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(argv)
    # So that `kill` takes everything down again, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        options.run(options)
    except ClusterFailure as failure:
        _say(f"modelfetch: {failure}")
        return 1
    except KeyboardInterrupt:
        _say("interrupted: nothing is left behind")
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m modelfetch.devcluster",
        description="A real Kubernetes control plane on this machine: no root, no docker, gone without a trace.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_up(commands.add_parser("up", help="start a cluster and print how to use it"))
    _add_down(commands.add_parser("down", help="end a cluster and remove its files"))
    _add_demo(commands.add_parser("demo", help="show the whole way: apply, progress, Ready, refusals"))
    status = commands.add_parser("status", help="list this user's clusters and their processes")
    status.set_defaults(run=lambda _: _print(statuses(os.environ)))
    binaries = commands.add_parser("binaries", help="fetch or build the control plane's programs")
    binaries.set_defaults(run=lambda _: _print("\n".join(map(str, find_binaries(_say).values()))))
    return parser


def _add_up(parser: argparse.ArgumentParser) -> None:
    _add_name(parser)
    parser.add_argument("--only-control-plane", action="store_true", help="no CRDs, hub, node and operator")
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        choices=["hub", "node", "operator"],
        help="do not start this part, to run it by hand for instance; repeatable",
    )
    parser.add_argument("--audit", action="store_true", help="write every request to logs/audit.jsonl")
    parser.add_argument("--huggingface-endpoint", metavar="URL", help="hub of hf:// sources (default: the fixture hub)")
    parser.set_defaults(run=_up)


def _add_down(parser: argparse.ArgumentParser) -> None:
    _add_name(parser)
    parser.add_argument("--all", action="store_true", help="every cluster of this user")
    parser.set_defaults(run=_down)


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--uri", metavar="hf://…", help="fetch this model from the real hub instead")
    parser.set_defaults(run=_demo)


def _add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default=DEFAULT_NAME, help="which cluster, of a-z, 0-9 and - (default %(default)s)")


def _up(options: argparse.Namespace) -> None:
    _print(describe(up(options.name, _parts(options), os.environ, datetime.now(UTC), _say)))


def _parts(options: argparse.Namespace) -> Parts:
    if options.only_control_plane:
        return replace(ONLY_CONTROL_PLANE, audit=options.audit)
    started = {part: part not in options.without for part in ("hub", "node", "operator")}
    return Parts(**started, audit=options.audit, huggingface_endpoint=options.huggingface_endpoint)


def _down(options: argparse.Namespace) -> None:
    for name in list_names(os.environ) if options.all else [options.name]:
        if not down(name, os.environ, _say):
            _print(f"there is no cluster '{name}'")


def _demo(options: argparse.Namespace) -> None:
    # Imported here: the other commands need neither rich nor a client.
    from modelfetch.devcluster.demo import demo

    demo(options.uri, os.environ, datetime.now(UTC), _say)


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
