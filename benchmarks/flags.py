"""The flags of `python -m benchmarks`, checked, and the help that teaches its use."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.catalog import BY_KEY, SCENARIOS, SMOKE, SMOKE_CONTENDERS
from benchmarks.contenders import LIMITS, PEERS
from benchmarks.scenario import Scenario

DESCRIPTION = """\
modelfetch beside the tools people use today, on this machine, over loopback. Contenders run in turn, round after
round; each ends with a verified SHA-256; wall time, CPU time and memory come from wait4."""


@dataclass(frozen=True)
class Options:
    """What to run; `scale` 1 is the full size."""

    scenarios: Sequence[Scenario]
    rounds: int
    scale: float
    only: Sequence[str]
    deadline_s: float
    output: Path | None
    home: Path | None
    smoke: bool
    profile: bool
    render: bool


def parse(arguments: list[str] | None = None) -> Options:
    """Return the checked flags; ends the program with exit code 2 when they are wrong."""
    parser = _parser()
    given = parser.parse_args(arguments)
    for kind, names, known in [("scenario", given.scenario, BY_KEY), ("contender", given.only, _names())]:
        if wrong := [name for name in names if name not in known]:
            parser.error(f"no {kind} is called '{wrong[0]}'; there are: {', '.join(known)}")
    if given.rounds < 1 or not 0 < given.size <= 1:
        parser.error("--rounds is at least 1, --size more than 0 and at most 1")
    return Options(
        scenarios=[BY_KEY[key] for key in given.scenario or (SMOKE if given.smoke else BY_KEY)],
        rounds=1 if given.smoke else given.rounds,
        scale=0.001 if given.smoke else given.size,
        only=SMOKE_CONTENDERS if given.smoke else given.only,
        deadline_s=given.deadline,
        output=given.output,
        home=given.home,
        smoke=given.smoke,
        profile=given.profile,
        render=given.render,
    )


def _names() -> list[str]:
    ours = dict.fromkeys(name for scenario in SCENARIOS for name in scenario.ours)
    return [*ours, *PEERS]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=DESCRIPTION,
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("scenario", nargs="*", metavar="SCENARIO", help="which scenarios to run (default: all)")
    add("--rounds", type=int, default=5, metavar="N", help="how often each contender runs (default %(default)s)")
    add("--size", type=float, default=1.0, metavar="F", help="scale of the files for a quick look, such as 0.1")
    add("--only", action="append", default=[], metavar="NAME", help="only this contender; repeatable")
    add("--deadline", type=float, default=300, metavar="S", help="end a contender after S seconds (default 300)")
    add("--output", type=Path, metavar="FILE", help="write results here; scenarios it holds already stay")
    add("--home", type=Path, metavar="DIR", help="files, logs and outputs go here (default below build/bench)")
    add("--smoke", action="store_true", help="tiny files, one round, few contenders: does the harness work?")
    add(
        "--profile",
        action="store_true",
        help="instead: run modelfetch once a scenario under py-spy, show where time goes",
    )
    add("--render", action="store_true", help="instead: write tables and pictures again from the committed results")
    return parser


def _epilog() -> str:
    scenarios = "\n".join(f"  {scenario.key:<4} {scenario.title}" for scenario in SCENARIOS)
    peers = ", ".join(name for name in PEERS if name not in LIMITS)
    return f"""\
scenarios:
{scenarios}

contenders: {peers}
limits, timed in the same rounds: {", ".join(LIMITS)}

examples:
  make bench                                     peers installed, then everything: five rounds at full size
  make bench ARGS="B1 B2"                        these two; merged into the day's results file
  python -m benchmarks B2 --size 0.1 --rounds 2  a quick look: results go below build/bench
  python -m benchmarks B1 --only modelfetch --only curl
  python -m benchmarks B4 --profile              where modelfetch's time goes

Full runs are written to benchmarks/results/DATE-(sha_ni|no-sha_ni).json after every round, so a stopped run keeps
what it has; docs/benchmarks.md shows the newest of each kind. Compare ratios only, on an otherwise idle machine."""
